"""The registry of released weights: what is published under a name, and where its file lies."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dcls_cli.config import Scale
from dcls_cli.errors import UsageError, WeightsError, nearest


@dataclass(frozen=True, kw_only=True)
class Release:
    """Weights that are published under a name.

    Attributes:
        name: what `--model` takes.
        file: name of the file in `weights/` and on the Hub.
        sha256: of the whole file.
        scale: up-scaling factor.
        preset: `ModelConfig` preset that was trained.
        trained_on: the training data.
        licence: of the weights.
        psnr_y_db, ssim_y: Set5, Gaussian8 protocol, mean of the eight blurs.
        repo: where the Hub has the file, as `owner/name`; None: nowhere.
        revision: the commit of that repository, 40 hexadecimal digits; None without `repo`.
    """

    name: str
    file: str
    sha256: str
    scale: Scale
    preset: str
    trained_on: str
    licence: str
    psnr_y_db: float
    ssim_y: float
    repo: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        """Refuse a repository without a pinned revision.

        Raises:
            ValueError: only one of both is given.
        """
        if (self.repo is None) != (self.revision is None):
            raise ValueError(f"{self.name}: a repository and its pinned revision go together")


#: Every release; the first of a scale is the default of that scale.
RELEASES: tuple[Release, ...] = (
    Release(
        name="dcls-light-x4",
        file="dcls-light-x4.safetensors",
        sha256="14dbafede7b9c3cc223b2cbad8089182db9dfb2ac82719b1f06cc5df1dc52040",
        scale=4,
        preset="light",
        trained_on="1058 photographs of public research sets, 393 megapixels, and 400 drawings",
        licence="MIT; the training images have terms of their own, from CC0 to research only",
        psnr_y_db=30.986,
        ssim_y=0.8749,
    ),
    Release(
        name="dcls-light-x3",
        file="dcls-light-x3.safetensors",
        sha256="f5307c69840999b79a62f3fa9a04840681f4cce1185a952ed1fd99f2111149df",
        scale=3,
        preset="light",
        trained_on="1058 photographs of public research sets, 393 megapixels",
        licence="MIT; the training images have terms of their own, from CC0 to research only",
        psnr_y_db=32.966,
        ssim_y=0.9119,
    ),
    Release(
        name="dcls-light-x2",
        file="dcls-light-x2.safetensors",
        sha256="689d63f836fe4a7334b484fbf14b48cb7a6ce607746bffd6c78b37fd2e385d49",
        scale=2,
        preset="light",
        trained_on="1058 photographs of public research sets, 393 megapixels",
        licence="MIT; the training images have terms of their own, from CC0 to research only",
        psnr_y_db=36.522,
        ssim_y=0.9510,
    ),
    Release(
        name="dcls-photo-x4",
        file="dcls-photo-x4.safetensors",
        sha256="9fa01df176d4c38d45d7c86a8abfc45ecce38e128e3d9b2fc61aae1963834d05",
        scale=4,
        preset="photo",
        trained_on="1058 photographs of public research sets, 393 megapixels, and 200 drawings",
        licence="MIT; the training images have terms of their own, from CC0 to research only",
        psnr_y_db=30.268,
        ssim_y=0.8580,
    ),
)


def release(model: str | int) -> Release:
    """The release of a name, or the default release of a scale.

    Raises:
        UsageError: no release has this name.
        WeightsError: no release has this scale.
    """
    for candidate in RELEASES:
        if model in (candidate.name, candidate.scale):
            return candidate
    if isinstance(model, int):
        have = ", ".join(sorted({f"x{item.scale} ({item.name})" for item in RELEASES}))
        raise WeightsError(
            f"no weights for x{model} are included, only for {have}; "
            "give your own with --weights FILE"
        )
    known = ", ".join(item.name for item in RELEASES)
    near = nearest(model, (item.name for item in RELEASES))
    raise UsageError(f"-m {model}: choose from {known}, or hf:OWNER/REPO{near}")


def photo_release(scale: int, *, exact: bool = False) -> Release | None:
    """The release for photographs of a scale, or of the next one above; None if there is none.

    Args:
        scale: up-scaling factor.
        exact: whether no other scale will do.
    """
    reaching = [item for item in RELEASES if item.preset == "photo" and item.scale >= scale]
    fitting = [item for item in reaching if item.scale == scale or not exact]
    return min(fitting, key=lambda item: item.scale, default=None)


def location(item: Release) -> Path:
    """Where the file of a release belongs: in the installed package, or in a checkout."""
    packaged = Path(str(resources.files("dcls_cli"))) / "_weights"
    folder = packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "weights"
    return folder / item.file


def is_released(path: Path) -> bool:
    """Whether a file that can be read is, byte for byte, one that was released."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return any(item.sha256 == sha256 for item in RELEASES)


def verify(item: Release, content: bytes, path: Path) -> None:
    """Refuse a file that is not, byte for byte, what was released.

    Raises:
        WeightsError: the SHA-256 differs.
    """
    got = hashlib.sha256(content).hexdigest()
    if got != item.sha256:
        raise WeightsError(
            f"{path}: damaged: the SHA-256 of {item.name} must be {item.sha256[:12]}..., "
            f"it is {got[:12]}...; install dcls again"
        )
