"""`dcls models`: which weights there are and where; get, check, delete and publish them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from dcls_cli.cli import commands, console
from dcls_cli.cli.publishing import publish
from dcls_cli.errors import DclsError, UsageError, WeightsError

if TYPE_CHECKING:
    from dcls_cli.models.releases import Release

models = typer.Typer(
    cls=commands.Group, help="List, get, check and publish weights.", rich_markup_mode=None
)
models.command(
    cls=commands.Command,
    epilog="""
    dcls models publish --repo owner/name -w run/best.safetensors
    dcls models publish --repo owner --all --space export/web/dist
    """,
)(publish)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout.")]
Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A name of `dcls models list`, or hf:OWNER/REPO[/FILE]."),
]


class Place(NamedTuple):
    """Where the weights of a name are.

    Attributes:
        name: what `--model` takes.
        state: `included`, `cached` or `not here`.
        path: None if they are not here.
        release: of the registry; None for other files of the Hub.
    """

    name: str
    state: str
    path: Path | None
    release: "Release | None"


def place_of(model: str) -> Place:
    """Find out, without the network, where a model is.

    Raises:
        UsageError: unknown or impossible name.
    """
    from dcls_cli.models.hub import find_local, is_hub_name
    from dcls_cli.models.releases import location, release

    path = find_local(model)
    if is_hub_name(model):
        return Place(model, "not here" if path is None else "cached", path, None)
    item = release(model)
    if path is None:
        return Place(item.name, "not here", None, item)
    return Place(item.name, "included" if path == location(item) else "cached", path, item)


def places() -> list[Place]:
    """Every release, then every other weight file of dcls in the cache."""
    from dcls_cli.models.hub import cached_weights
    from dcls_cli.models.releases import RELEASES

    released = [place_of(item.name) for item in RELEASES]
    named = {place.path for place in released}
    others = [item for item in cached_weights() if item.path not in named]
    return released + [Place(item.name, "cached", item.path, None) for item in others]


@models.command(name="list", cls=commands.Command, epilog="dcls models list")
def list_(json: Json = False) -> None:
    """List the released models, and those of the Hub that are on this machine."""
    for place in places():
        item = place.release
        if json:
            console.event("model", **fields(place))
        elif item is None:
            console.say(f"{place.name}  {place.state}")
        else:
            console.say(
                f"{item.name}  x{item.scale}  {item.preset}  Set5 Gaussian8 {item.psnr_y_db:.2f} dB"
                f" / {item.ssim_y:.4f}  {place.state}"
            )


@models.command(cls=commands.Command, epilog="dcls models info dcls-photo-x4")
def info(model: Model, json: Json = False) -> None:
    """Show the details of a model without downloading it."""
    place = place_of(model)
    if json:
        console.event("model", **fields(place))
        return
    known = {key: value for key, value in fields(place).items() if value is not None}
    width = max(map(len, known))
    for key, value in known.items():
        console.say(f"{key:<{width}}  {value}")


def fields(place: Place) -> dict[str, object]:
    """What `list` and `info` tell of a model."""
    from dataclasses import asdict

    from dcls_cli.models.hub import hub_file, look_up
    from dcls_cli.models.weights import read_metadata

    record = {} if place.release is None else asdict(place.release)
    if place.path is not None and place.release is None:
        cached = look_up(hub_file(place.name)[0])
        if cached is not None:
            record |= {"repo": cached.repo, "revision": cached.commit}
        try:
            record |= {"scale": read_metadata(place.path)[0].scale}
        except WeightsError as error:  # a damaged file is listed all the same, to be removed
            record |= {"damage": str(error)}
    size = None if place.path is None else place.path.stat().st_size
    path = None if place.path is None else str(place.path)
    return {**record, "name": place.name, "state": place.state, "path": path, "bytes": size}


@models.command(cls=commands.Command, epilog="dcls models download hf:owner/repo")
def download(
    wanted: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Names of `dcls models list`, or hf:OWNER/REPO."),
    ],
    json: Json = False,
) -> None:
    """Download models, check them, and print where they are."""
    from dcls_cli.cli.downloads import find_model
    from dcls_cli.models.weights import check

    for model in wanted:
        path = find_model(model)
        check(path)
        if json:
            console.event("done", **fields(place_of(model)))
        else:
            console.say(path)


@models.command(cls=commands.Command, epilog="dcls models path dcls-light-x4")
def path(model: Model) -> None:
    """Print the path of a model; exit code 3 if it is not on this machine."""
    found = place_of(model).path
    if found is None:
        raise WeightsError(f"{model}: not on this machine; get it with `dcls models download`")
    console.say(found)


@models.command(cls=commands.Command, epilog="dcls models verify")
def verify(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL...", help="Models to check. [default: all on this machine]"),
    ] = None,
    json: Json = False,
) -> None:
    """Compare every byte of models with their SHA-256; exit code 3 if one is damaged."""
    chosen = [place_of(model) for model in wanted] if wanted else places()
    damaged = 0
    for place in chosen:
        if place.path is None:
            if wanted:
                raise WeightsError(f"{place.name}: not on this machine; nothing to verify")
            continue
        try:
            verify_place(place)
        except DclsError as error:
            damaged += 1
            console.fault(error)
            if json:
                console.event("damaged", name=place.name, path=place.path, message=str(error))
            continue
        if json:
            console.event("whole", name=place.name, path=place.path)
        else:
            console.say(f"{place.name}: whole")
    if damaged:
        raise typer.Exit(WeightsError.exit_code)


def verify_place(place: Place) -> None:
    """Check the file of a model.

    Raises:
        WeightsError: it is damaged.
    """
    from dcls_cli.models.hub import check_cached, hub_file, look_up
    from dcls_cli.models.weights import check

    if place.state == "included" and place.path is not None:
        check(place.path)
        return
    file, sha256 = hub_file(place.name)
    cached = look_up(file)
    if cached is not None:
        check_cached(cached, sha256)


@models.command(cls=commands.Command, epilog="dcls models remove hf:owner/repo")
def remove(model: Model) -> None:
    """Delete a model from the cache of downloads."""
    from dcls_cli.models.hub import hub_file, look_up
    from dcls_cli.models.hub import remove as remove_cached

    place = place_of(model)
    if place.state == "included":
        raise UsageError(f"{model}: a part of dcls, not of the cache; nothing was removed")
    cached = look_up(hub_file(model)[0]) if place.path is not None else None
    if cached is None:
        raise WeightsError(f"{model}: not in the cache; nothing was removed")
    remove_cached(cached)
    console.say(f"{place.name}: removed")
