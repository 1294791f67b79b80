"""What is asked for: photos, outputs and how to make them, checked once, in one frozen record."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from dcls_cli.errors import UsageError
from dcls_cli.jobs import DEFAULT_MAX_PIXELS, DEFAULT_NAME

if TYPE_CHECKING:
    from dcls_cli.config import KernelSpace
    from dcls_cli.image import Encoding
    from dcls_cli.image.metadata import Kept
    from dcls_cli.image.resizing import OutputSize
    from dcls_cli.jobs.selection import Shard
    from dcls_cli.upscaling import KernelMode


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request for photos; each attribute is an option of `dcls upscale` or `dcls batch`.

    Attributes:
        inputs: photos, also `-` for stdin; of a batch also folders, patterns and lists.
        output: a file, a folder, `-` for stdout; None for a name beside the photo or its folder.
        scale: how many times larger; None: the scale of the weights, or 4.
        width, height, max_side: pixels of the outputs in place of `scale`.
        stretch: take width and height both, whatever the proportions.
        model: `auto` or None: chosen by the photo; else a name.
        weights: a file instead of a model.
        kernel: file of a blur that is inverted in place of the estimate.
        kernel_space: whether its taps are `hr` (output) or `lr` (input) pixels.
        kernel_mode: one blur for the whole photo (`global`) or one for each `tile`.
        fidelity: from 0, the network alone, to 1: the result explains the photo.
        noise: standard deviation of the photos' noise, levels of 255; None or `auto`: as estimated.
        tta: whether the mean over flips and rotations is taken.
        tile: side of the pieces, pixels; 0: the whole photo at once; None: as memory allows.
        precision, backend: of the engine, see `load_backend`.
        devices: each works on photos of its own.
        format, quality, lossless, bit_depth: see `Encoding`.
        metadata: what is kept of it: `keep`, `minimal` or `strip`.
        name: template of the outputs' names, see `Naming`.
        max_pixels: of an input.
        overwrite: whether existing outputs may be replaced.
        redo_changed: whether those of a batch may be that were made with other options.
        redo_older: whether those of a batch may be that were made by other or unknown weights.
        save_kernel: file of the blur of the only photo.
        evidence: page about the only photo.
        recursive, include, exclude, shard, limit: which photos of a batch are taken.
        dry_run: nothing may change: no folder is made, no leftovers are removed.
    """

    inputs: tuple[str, ...]
    output: str | None = None
    scale: float | None = None
    width: int | None = None
    height: int | None = None
    max_side: int | None = None
    stretch: bool = False
    model: str | None = None
    weights: Path | None = None
    kernel: Path | None = None
    kernel_space: "KernelSpace | None" = None
    kernel_mode: "KernelMode" = "global"
    fidelity: float = 0.0
    noise: float | str | None = None
    tta: bool = False
    tile: int | None = None
    precision: str = "auto"
    backend: str = "auto"
    devices: tuple[str, ...] = ("auto",)
    format: str | None = None
    quality: int | None = None
    lossless: bool = False
    bit_depth: int | None = None
    metadata: "Kept" = "keep"
    name: str = DEFAULT_NAME
    max_pixels: int = DEFAULT_MAX_PIXELS
    overwrite: bool = False
    redo_changed: bool = False
    redo_older: bool = False
    save_kernel: Path | None = None
    evidence: Path | None = None
    recursive: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    shard: "Shard | None" = None
    limit: int | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself or no network reaches.

        Raises:
            UsageError: see above.
        """
        from dcls_cli.config import LARGEST_SCALE
        from dcls_cli.upscaling.fidelity import check_fidelity
        from dcls_cli.upscaling.noise import noise_of
        from dcls_cli.upscaling.sizes import MINIMUM_TILE_PX
        from dcls_cli.upscaling.symmetries import check_symmetries

        check_fidelity(self.fidelity)
        if self.tta:
            check_symmetries(local=self.kernel_mode == "tile")
        noise_of(self.noise)
        if self.scale is not None and not 1 <= self.scale <= LARGEST_SCALE:
            raise UsageError(f"scale {self.scale:g} is not available; choose 1 to {LARGEST_SCALE}")
        if self.tile is not None and self.tile != 0 and self.tile < MINIMUM_TILE_PX:
            raise wrong_tile(self.tile)
        if self.max_side is not None and (self.width is not None or self.height is not None):
            raise UsageError("--max-side excludes --width and --height")
        if self.stretch and (self.width is None or self.height is None):
            raise UsageError("--stretch needs --width and --height")
        if self.kernel_space is not None and self.kernel is None:
            raise UsageError("--kernel-space says what --kernel is in; give --kernel too")
        if self.kernel_mode == "tile" and (self.kernel or self.evidence):
            given = "--kernel" if self.kernel else "--report"
            raise UsageError(
                f"{given} is about one blur of the whole photo, not --kernel-mode tile"
            )
        if self.redo_older and self.metadata != "keep" and "://" in (self.output or ""):
            raise UsageError("--redo-older needs --metadata keep for outputs in object stores")
        self.encoding  # noqa: B018 - it checks the options of the encoders

    @cached_property
    def encoding(self) -> "Encoding":
        """Format, quality and depth of the outputs."""
        from dcls_cli.image import Encoding

        return Encoding(
            format=self.format,
            quality=self.quality,
            lossless=self.lossless,
            bit_depth=self.bit_depth,
        )

    def size(self, factor: float) -> "OutputSize":
        """The size of the outputs: in pixels, or by a factor that comes from the network."""
        from dcls_cli.image.resizing import OutputSize

        return OutputSize(
            factor=factor,
            width=self.width,
            height=self.height,
            longest_side=self.max_side,
            stretch=self.stretch,
        )


class Options(TypedDict, total=False):
    """Options of `upscale_file`, those of `dcls upscale`: see `Request`."""

    width: int | None
    height: int | None
    max_side: int | None
    stretch: bool
    weights: Path | None
    kernel: Path | None
    kernel_space: "KernelSpace | None"
    kernel_mode: "KernelMode"
    fidelity: float
    noise: float | str | None
    tta: bool
    tile: int | None
    precision: str
    backend: str
    format: str | None
    quality: int | None
    lossless: bool
    bit_depth: int | None
    metadata: "Kept"
    name: str
    max_pixels: int
    overwrite: bool


class BatchOptions(Options, total=False):
    """Options of `upscale_files`, those of `dcls batch`: see `Request`."""

    recursive: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    shard: "Shard | None"
    limit: int | None
    redo_changed: bool
    redo_older: bool


def wrong_tile(value: object) -> UsageError:
    """The error about a size that tiles cannot have."""
    from dcls_cli.upscaling.sizes import MINIMUM_TILE_PX

    return UsageError(
        f"--tile {value}: expected auto, 0 (the whole photo at once) or {MINIMUM_TILE_PX} or "
        "more pixels"
    )
