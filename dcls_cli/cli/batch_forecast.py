"""`dcls batch --dry-run`: what would be done, and what it would take."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.cli import console
from dcls_cli.cli.batch_plan import nearest
from dcls_cli.cli.forecast import Forecast, forecast, megabytes, time_of
from dcls_cli.cli.outputs import Job
from dcls_cli.cli.restoring import Loaded
from dcls_cli.errors import ImageError, UsageError

if TYPE_CHECKING:
    from dcls_cli.cli.batch_plan import Item
    from dcls_cli.cli.batch_tally import BatchTally
    from dcls_cli.cli.networks import Networks
    from dcls_cli.cli.restoring import Settings

#: What most photos are made of; only the largest one is opened.
_CHANNELS, _DEPTH = 3, 8


@dataclass(frozen=True, kw_only=True)
class BatchForecast:
    """What a batch would take.

    Attributes:
        input_pixels, output_pixels: of all photos that would be restored.
        renamed: photos that get their suffix into the names of their outputs.
        disk_bytes: of the outputs, about; free_disk_bytes: now.
        memory_bytes: beside the program and its networks, about; free_memory_bytes: now.
        seconds: about: a piece of the largest photo was timed.
        device, precision: of the first engine; engines: how many.
    """

    input_pixels: int
    output_pixels: int
    renamed: int
    disk_bytes: int
    free_disk_bytes: int
    memory_bytes: int
    free_memory_bytes: int
    seconds: float
    device: str
    precision: str
    engines: int

    def sentence(self) -> str:
        """For people, in one line."""
        named = f", {self.renamed} named by stem and suffix" if self.renamed else ""
        several = f"{self.engines} x " if self.engines > 1 else ""
        room = ", which is too little" if self.disk_bytes > self.free_disk_bytes else ""
        return (
            f"{self.input_pixels / 1e6:.3g} -> {self.output_pixels / 1e6:.3g} megapixels{named}; "
            f"disk about {megabytes(self.disk_bytes)} of {megabytes(self.free_disk_bytes)} free"
            f"{room}; memory {megabytes(self.memory_bytes)} of "
            f"{megabytes(self.free_memory_bytes)} free; about {time_of(self.seconds)} on "
            f"{several}{self.device} {self.precision}"
        )


@dataclass(frozen=True)
class _Planned:
    """A photo and the size that its output gets; its orientation may turn both."""

    item: "Item"
    input_pixels: int
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Of the output."""
        return self.width * self.height


def print_forecast(
    items: Sequence["Item"],
    out: Path,
    networks: Sequence["Networks"],
    settings: "Settings",
    tally: "BatchTally",
    *,
    threads: int,
) -> int:
    """Print what would be done with each photo, and the sum.

    Of a photo nothing but its header is read, except of the largest one. What is wrong with the
    rest of the others shows when they are restored.

    Returns:
        The exit code: 1 if a photo is known to fail, else 0.

    Raises:
        DclsError: the network cannot be loaded.
    """
    planned = []
    for item in items:
        try:
            planned.append(_planned(item, settings))
        except (ImageError, UsageError) as error:
            _fail(item, error, tally)
    found = None
    for largest in sorted(planned, key=lambda each: each.input_pixels, reverse=True):
        try:
            of_largest = _of_one(largest.item, networks[0], settings)
        except (ImageError, UsageError) as error:
            _fail(largest.item, error, tally)
            planned.remove(largest)
        else:
            found = _sum(planned, of_largest, out, settings, engines=len(networks), threads=threads)
            break
    for each in planned:
        _tell(each, json=tally.json)
    tally.forecast(
        len(planned), found.sentence() if found else "", **(asdict(found) if found else {})
    )
    return int(bool(tally.codes))


def _planned(item: "Item", settings: "Settings") -> _Planned:
    """Check the header of a photo and what it becomes.

    Raises:
        ImageError: the photo is too large or cannot be read.
        UsageError: the format of the output cannot hold it.
    """
    from dcls_cli.image import check_encoding, read
    from dcls_cli.image.reading import check_size

    if item.size is None:  # reading it says why, or gives the size
        photo = read(item.source, max_pixels=settings.max_pixels)
        size = photo.width, photo.height
    else:
        size = item.size
        check_size(size, settings.max_pixels)
    width, height = settings.size.of(*size)
    check_encoding(item.output, width, height, alpha=False, encoding=settings.encoding)
    return _Planned(item, size[0] * size[1], width, height)


def _fail(item: "Item", error: ImageError | UsageError, tally: "BatchTally") -> None:
    """Tell why a photo would have no output."""
    text = str(error)
    names = tuple(f"{console.visible(path)}: " for path in (item.source, item.output))
    named = error if text.startswith(names) else ImageError(f"{names[0]}{text}")
    tally.fail(item.source, item.output, named)


def _of_one(item: "Item", networks: "Networks", settings: "Settings") -> Forecast:
    """The forecast of a photo whose folder may not be there yet.

    Raises:
        ImageError: it cannot be read.
        UsageError: the format of the output cannot hold it.
    """
    from dcls_cli.image import check_encoding, read

    photo = read(item.source, max_pixels=settings.max_pixels, kept=settings.metadata)
    width, height = settings.size.of(photo.width, photo.height)
    encoding = settings.encoding
    check_encoding(item.output, width, height, alpha=photo.has_alpha, encoding=encoding)
    network = networks.choose(photo, settings.size.factor_of(photo.width, photo.height))
    loaded = Loaded(Job(item.source, item.output), photo, network, 0.0)
    return forecast(loaded, networks.load(network), settings)


def _sum(
    planned: Sequence[_Planned],
    largest: Forecast,
    out: Path,
    settings: "Settings",
    *,
    engines: int,
    threads: int,
) -> BatchForecast:
    """Add up all photos; `largest` is the forecast of the largest of them."""
    from dcls_cli.image.writing import expected_bytes

    depth = settings.encoding.bit_depth or _DEPTH
    inputs = sorted((each.input_pixels for each in planned), reverse=True)
    waiting = _CHANNELS * sum(inputs[1 : engines * threads])
    return BatchForecast(
        input_pixels=sum(inputs),
        output_pixels=sum(each.pixels for each in planned),
        renamed=sum(each.item.renamed for each in planned),
        disk_bytes=sum(
            expected_bytes(settings.encoding.of(each.item.output), _CHANNELS * each.pixels, depth)
            for each in planned
        ),
        free_disk_bytes=shutil.disk_usage(nearest(out)).free,
        memory_bytes=largest.memory_bytes * engines + waiting,
        free_memory_bytes=largest.free_memory_bytes,
        seconds=largest.seconds * sum(inputs) / inputs[0] / engines,
        device=largest.device,
        precision=largest.precision,
        engines=engines,
    )


def _tell(each: _Planned, *, json: bool) -> None:
    """One photo that would be restored."""
    item = each.item
    if json:
        console.event(
            "forecast",
            input=item.source,
            output=item.output,
            width=each.width,
            height=each.height,
            replaced=item.replace and item.output.exists(),
        )
        return
    replaced = "  replaces the one that is there" if item.replace and item.output.exists() else ""
    console.say(f"{item.output}  {each.width}x{each.height}  from {item.source}{replaced}")
