"""`dcls models publish`: weights, model card and picture go to a repository of the Hub."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import console
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

    from dcls_cli.models.hub.publishing import Published

#: Of each part of the picture, output pixels; the parts stand side by side.
PART_PX = 256
#: The photo that is shown if none is given, in a checkout.
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "dog.png"


def publish(
    *,
    repo: Annotated[
        str, typer.Option("--repo", metavar="OWNER/NAME", help="Publish to this repository.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="NAME",
            help="Publish this model. [default: the first one of `dcls models list`]",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("-w", "--weights", metavar="FILE", help="Publish your own weights."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO", help="Show this photo before and after. [default: the example]"
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the model card and send nothing.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line on stdout.")
    ] = False,
) -> None:
    """Publish weights with a model card; needs a token with write access in HF_TOKEN."""
    from dcls_cli.models.hub import parse_hub_name
    from dcls_cli.models.hub.publishing import PICTURE_FILE, model_card

    if model is not None and weights is not None:
        raise UsageError("--model and --weights exclude each other; give one of them")
    target = parse_hub_name(f"hf:{repo}")
    if target.repo != repo:
        raise UsageError(f"--repo {repo}: expected OWNER/NAME")
    source = picture or (EXAMPLE if EXAMPLE.is_file() else None)
    path, published = described(repo, model, weights, picture=source is not None)
    card = model_card(published)
    if dry_run:
        console.out.print(card, end="")
        return
    from dcls_cli.models.hub.publishing import push

    files: dict[str, Path | bytes] = {published.file: path, "README.md": card.encode()}
    if source is not None:
        files[PICTURE_FILE] = drawn(source, path)
    commit = push(repo, files, f"Publish {published.file}", private=private)
    if json:
        console.event("done", repo=repo, revision=commit, file=published.file)
    else:
        console.say(f"hf:{repo}@{commit}/{published.file}")


def described(
    repo: str, model: str | None, weights: Path | None, *, picture: bool
) -> "tuple[Path, Published]":
    """Check the weights; return their file and what the card tells of them.

    Raises:
        WeightsError: they are missing or damaged.
    """
    from dcls_cli.cli.downloads import find_model
    from dcls_cli.models.hub.publishing import Published
    from dcls_cli.models.releases import RELEASES
    from dcls_cli.models.weights import check

    path = weights if weights is not None else find_model(model or RELEASES[0].name)
    config, metadata = check(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    known = next((item for item in RELEASES if item.sha256 == sha256), None)
    file = path.name if path.suffix == ".safetensors" else f"{path.name}.safetensors"
    return path, Published(
        repo=repo,
        file=file if known is None else known.file,
        sha256=sha256,
        config=config,
        metadata=metadata,
        release=known,
        picture=picture,
    )


def drawn(photo: Path, weights: Path) -> bytes:
    """A PNG with a part of a photo: input, bicubic, the result, the blur that was found.

    Raises:
        ImageError: the photo cannot be read.
    """
    from PIL import Image

    from dcls_cli.image import read, to_pil
    from dcls_cli.upscaler import Upscaler

    upscaler = Upscaler.from_pretrained(weights)
    whole = to_pil(read(photo)).convert("RGB")
    scale = int(upscaler.scale)
    side = min(PART_PX // scale, *whole.size)
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    small = whole.crop((left, top, left + side, top + side))
    result = upscaler.up(small)
    size = (side * scale,) * 2
    parts = [
        small.resize(size, Image.Resampling.NEAREST),
        small.resize(size, Image.Resampling.BICUBIC),
        result.image.convert("RGB"),
        kernel_picture(result.kernel).resize(size, Image.Resampling.NEAREST).convert("RGB"),
    ]
    strip = Image.new("RGB", (size[0] * len(parts), size[1]))
    for index, part in enumerate(parts):
        strip.paste(part, (index * size[0], 0))
    out = io.BytesIO()
    strip.save(out, "PNG", optimize=True)
    return out.getvalue()


def kernel_picture(kernel: object) -> "Image.Image":
    """A kernel (k, k) in grey: black is 0, white its greatest tap, with gamma 2."""
    import numpy as np
    from PIL import Image

    taps = np.asarray(kernel, np.float32)
    shown = np.sqrt(np.clip(taps / taps.max(), 0, 1))
    return Image.fromarray((255 * shown).astype(np.uint8))
