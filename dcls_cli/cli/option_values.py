"""What the options of `upscale` and `batch` mean together: tiles, encoding, size."""

from typing import TYPE_CHECKING

from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from dcls_cli.image import Encoding
    from dcls_cli.image.resizing import OutputSize


def tile_of(text: str) -> int | None:
    """Read the value of `--tile`.

    Raises:
        UsageError: neither auto nor a number that tiles can have.
    """
    from dcls_cli.upscaling.sizes import MINIMUM_TILE_PX

    if text == "auto":
        return None
    if not text.isdecimal() or 0 < int(text) < MINIMUM_TILE_PX:
        raise UsageError(
            f"--tile {text}: expected auto, 0 (the whole photo at once) or {MINIMUM_TILE_PX} or "
            "more pixels"
        )
    return int(text)


def encoding_of(form: str, quality: int | None, lossless: bool, bit_depth: str) -> "Encoding":
    """Gather the options of the encoders.

    Raises:
        UsageError: options that contradict each other.
    """
    from dcls_cli.image import Encoding

    return Encoding(
        format=None if form == "keep" else form,
        quality=quality,
        lossless=lossless,
        bit_depth=None if bit_depth == "auto" else int(bit_depth),
    )


def size_of(
    scale: float,
    *,
    width: int | None,
    height: int | None,
    longest: int | None,
    stretch: bool,
) -> "OutputSize":
    """Gather the options of the outputs' size.

    Raises:
        UsageError: options that exclude each other.
    """
    from dcls_cli.image.resizing import OutputSize

    if longest is not None and (width is not None or height is not None):
        raise UsageError("--max-side excludes --width and --height")
    if stretch and (width is None or height is None):
        raise UsageError("--stretch needs --width and --height")
    return OutputSize(
        factor=scale, width=width, height=height, longest_side=longest, stretch=stretch
    )
