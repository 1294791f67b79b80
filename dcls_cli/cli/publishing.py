"""`dcls models publish`: weights, model card and picture go to a repository of the Hub."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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


class Parcel(NamedTuple):
    """What goes to one repository: the name of the weights (None: a page), its README, files."""

    repo: str
    file: str | None
    card: str
    files: "dict[str, Path | bytes]"


def publish(
    *,
    repo: Annotated[
        str,
        typer.Option(
            "--repo",
            metavar="OWNER/NAME",
            help="Publish to this repository; with --all, the OWNER of the repositories.",
        ),
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
    every: Annotated[
        bool,
        typer.Option("--all", help="Publish every released model, each to OWNER/MODEL."),
    ] = False,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Publish this built export/web as a static Space; with --all, as OWNER/dcls.",
        ),
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
    from dcls_cli.models.releases import RELEASES

    if sum((model is not None, weights is not None, every)) > 1:
        raise UsageError("--model, --weights and --all exclude each other; give one of them")
    if space is not None and (model is not None or weights is not None):
        raise UsageError("--space publishes a page; leave out --model and --weights")
    names: list[str | None] = [item.name for item in RELEASES] if every else []
    if not every and space is None:
        names = [model]
    if every and "/" in repo:
        raise UsageError(f"--repo {repo}: with --all, expected OWNER without a name")
    for name in names or [None]:
        repository = f"{repo}/{name}" if every else repo
        if parse_hub_name(f"hf:{repository}").repo != repository:
            raise UsageError(f"--repo {repo}: expected OWNER/NAME")
    source = picture or (EXAMPLE if EXAMPLE.is_file() else None)
    parcels = [
        model_parcel(f"{repo}/{name}" if every else repo, name, weights, picture=source is not None)
        for name in names
    ]
    if space is not None:
        parcels.append(space_parcel(f"{repo}/dcls" if every else repo, space))
    for parcel in parcels:
        if dry_run:
            console.out.print(parcel.card, end="")
        else:
            send(parcel, source, private=private, json=json)


def model_parcel(repo: str, model: str | None, weights: Path | None, *, picture: bool) -> Parcel:
    """Check the weights; return them with their configuration, graphs and card.

    Raises:
        WeightsError: they are missing or damaged.
    """
    from dcls_cli.models.hub.publishing import CONFIG_FILE, model_card

    path, published = described(repo, model, weights, picture=picture)
    files: dict[str, Path | bytes] = {published.file: path}
    if published.release is not None:
        files |= {graph.name: graph for graph in sorted(path.parent.glob(f"{path.stem}-*.onnx"))}
    card = model_card(published)
    files |= {CONFIG_FILE: published.config.to_json().encode(), "README.md": card.encode()}
    return Parcel(repo, published.file, card, files)


def space_parcel(repo: str, folder: Path) -> Parcel:
    """All files of a built page.

    Raises:
        UsageError: the folder has no page for a static Space.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files: dict[str, Path | bytes] = {path.relative_to(folder).as_posix(): path for path in paths}
    if not {"index.html", "README.md"} <= files.keys():
        raise UsageError(f"{folder}: not a built page; run `npm run build` in export/web first")
    return Parcel(repo, None, (folder / "README.md").read_text(encoding="utf-8"), files)


def send(parcel: Parcel, picture: Path | None, *, private: bool, json: bool) -> None:
    """Draw the picture of a model, publish, and print the new revision.

    Raises:
        DclsError: the Hub refuses, or cannot be reached.
    """
    from dcls_cli.models.hub.publishing import PICTURE_FILE, push

    repo, file, _, files = parcel
    weights = None if file is None else files[file]
    if picture is not None and isinstance(weights, Path):
        files[PICTURE_FILE] = drawn(picture, weights)
    message = f"Publish {file or 'the page'}"
    commit = push(repo, files, message, kind="space" if file is None else "model", private=private)
    if json:
        console.event("done", repo=repo, revision=commit, file=file)
    else:
        console.say(f"spaces/{repo}@{commit}" if file is None else f"hf:{repo}@{commit}/{file}")


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
