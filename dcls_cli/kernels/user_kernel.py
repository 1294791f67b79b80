"""A kernel that a user has measured: read from a file, made fit for a network or refused.

Files hold taps as they are (.npy) or are grey pictures (.png, .tif).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self, get_args

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from dcls_cli.config import KernelSpace, ModelConfig
from dcls_cli.errors import ImageError, KernelError
from dcls_cli.files.atomic import check_writable, printable, write_bytes
from dcls_cli.kernels.geometry import CENTRE_TOLERANCE_PX, centre_of_mass, centred, to_hr, to_lr

#: Wider kernels, in taps, are no blur but a mistake.
LARGEST_SIZE = 1023

#: Negative taps over positive ones. In LR pixels a blur that is sharp in one direction rings there:
#: the closed form of a Gaussian of 3.0 x 1.2 HR pixels has 0.18 at x4.
LARGEST_NEGATIVE_SHARE: dict[KernelSpace, float] = {"hr": 0.1, "lr": 0.3}

#: A sum that differs more from 1 is reported when it is made 1.
SUM_TOLERANCE = 1e-3

#: Share of the absolute mass that may lie outside the network's kernel and be cut off.
LARGEST_LOSS = 0.02

#: Share of a kernel in LR pixels that its form in HR pixels may lack; see `to_hr`.
LARGEST_MISFIT = 0.05

_PIXELS: dict[KernelSpace, str] = {"hr": "output", "lr": "input"}


@dataclass(frozen=True, eq=False)
class UserKernel:
    """A blur that is known, checked, at any size.

    Attributes:
        taps: (h, w) float64, the picture of a point, sum 1.
        space: whether the taps are HR (output) or LR (input) pixels.
        notes: what was changed, a sentence each.
    """

    taps: np.ndarray
    space: KernelSpace
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, array: np.ndarray, space: KernelSpace = "hr") -> Self:
        """Check an array (h, w) of integers or floats, odd or even, and divide it by its sum.

        Raises:
            KernelError: it is no such array, not finite, all zeros, or too negative.
        """
        if np.ma.is_masked(array):
            raise KernelError("masked taps are not supported; fill them: array.filled(0)")
        array = np.asarray(array)
        if array.dtype.kind not in "iuf":
            raise KernelError(f"expected numbers, got an array of {array.dtype}")
        if array.ndim != 2 or 0 in array.shape:
            raise KernelError(f"expected taps as (rows, columns), got an array of {array.shape}")
        if max(array.shape) > LARGEST_SIZE:
            raise KernelError(
                f"expected at most {LARGEST_SIZE} taps a side, got {_size(array.shape)}"
            )
        taps = array.astype(np.float64)
        if not np.isfinite(taps).all():
            raise KernelError("expected finite taps, got NaN or infinity")
        positive, negative = taps.clip(0, None).sum(), -taps.clip(None, 0).sum()
        if positive == negative == 0:
            raise KernelError("all taps are zero: there is no blur in it")
        limit = LARGEST_NEGATIVE_SHARE[space]
        if negative > limit * positive:
            share = f"{negative / positive:.0%}" if positive > 0 else "more than all"
            raise KernelError(
                f"its negative taps are {share} of its positive ones, "
                f"expected at most {limit:.0%}; a blur adds light"
            )
        total = taps.sum()
        changed = abs(total - 1) > SUM_TOLERANCE
        notes = (f"its sum was {total:g}; divided by it",) if changed else ()
        return cls(taps / total, space, notes)


@dataclass(frozen=True, eq=False)
class FittedKernel:
    """A known blur as a network takes it.

    Attributes:
        kernel: (k, k) float32, sum 1, in the network's own space.
        notes: what was changed, a sentence each.
    """

    kernel: np.ndarray
    notes: tuple[str, ...]


def fit_kernel(given: UserKernel, config: ModelConfig) -> FittedKernel:
    """Centre a kernel, carry it into the network's space and bring it to the network's size.

    Raises:
        KernelError: it is wider than what the network can invert.
    """
    size, notes = config.kernel_size, list(given.notes)
    # In LR pixels as many taps reach `scale` times as far.
    wide = 2 * (size * config.scale // 2) + 1
    room = wide if (given.space, config.kernel_space) == ("hr", "lr") else size
    taps, lost = centred(given.taps, room)
    if lost > LARGEST_LOSS:
        raise KernelError(
            f"{lost:.1%} of it ({_size(given.taps.shape)} taps) lies outside the {room}x{room} "
            f"{_PIXELS[given.space]} pixels that this network inverts, expected at most "
            f"{LARGEST_LOSS:.0%}; take off its background, or use weights with a larger kernel"
        )
    if lost > SUM_TOLERANCE:
        notes.append(f"cut off {lost:.1%} of it, which lies outside {room}x{room} taps")
    notes += _moved(given.taps)
    if given.space != config.kernel_space and given.space == "hr":
        taps = to_lr(taps, config.scale, size)
    elif given.space != config.kernel_space:
        taps, misfit = to_hr(taps, config.scale, size)
        if misfit > LARGEST_MISFIT:
            raise KernelError(
                f"no blur within {size}x{size} output pixels looks like it in input pixels at "
                f"x{config.scale}: {misfit:.1%} of it is left over, expected at most "
                f"{LARGEST_MISFIT:.0%}; it is too wide, or not in input pixels"
            )
    return FittedKernel(taps.astype(np.float32), tuple(notes))


def _moved(taps: np.ndarray) -> list[str]:
    """Tell how far the centre of mass was from the middle of the file."""
    down, right = (
        moment - (length - 1) / 2
        for moment, length in zip(centre_of_mass(taps), taps.shape, strict=True)
    )
    if max(abs(down), abs(right)) <= CENTRE_TOLERANCE_PX:
        return []
    return [
        f"its centre of mass was {right:+.2f} px to the right and {down:+.2f} px down from its "
        "middle; moved to the middle, so that the picture stays in place"
    ]


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


#: What `encode_kernel` writes.
WRITABLE_KERNELS = (".npy", ".png")

#: Each tap of the kernel is a square of so many pixels in a PNG.
PIXELS_PER_TAP = 8

#: Text chunks of a PNG that say how to read it again.
_TAP_KEY, _SPACE_KEY = "dcls:pixels_per_tap", "dcls:kernel_space"

#: Modes of Pillow whose samples are one linear number a pixel.
_GREY = ("1", "L", "I;16", "I;16B", "I;16L", "I;16N", "I", "F")

_FORMATS = ("PNG", "TIFF")

_STEPS = ("1", "2", "4", "8", "16")

_NPY_SIGNATURE = b"\x93NUMPY"

#: No kernel needs more; what is larger is something else.
_LARGEST_FILE = 64 * 1024 * 1024


def check_new_file(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether a small file, of a kernel or a page, can be written.

    Raises:
        ImageError: it exists and may not be replaced, or its folder cannot be written.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error
    if path.exists() and not overwrite:
        raise ImageError(f"{printable(path)}: exists already; replace it with --overwrite")


def write_kernel(kernel: np.ndarray, space: KernelSpace, path: Path, *, overwrite: bool) -> None:
    """Write the taps as they are (.npy), or as a picture whose white is the largest tap (.png).

    Raises:
        ImageError: the file exists already or cannot be written.
    """
    try:
        write_bytes(encode_kernel(kernel, space, path.suffix.lower()), path, overwrite=overwrite)
    except OSError as error:
        raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error


def encode_kernel(kernel: np.ndarray, space: KernelSpace, suffix: str) -> bytes:
    """Content of a kernel file: `.npy`, float32 taps as they are, or `.png`, a grey picture.

    White is the largest tap, negative taps are black; a text chunk of a PNG says the space.
    """
    content = BytesIO()
    if suffix == ".npy":
        np.save(content, kernel)
        return content.getvalue()
    levels = np.rint(255 * kernel.clip(0) / max(float(kernel.max()), 1e-12)).astype(np.uint8)
    enlarged = levels.repeat(PIXELS_PER_TAP, axis=0).repeat(PIXELS_PER_TAP, axis=1)
    texts = PngInfo()
    texts.add_text(_TAP_KEY, str(PIXELS_PER_TAP))
    texts.add_text(_SPACE_KEY, space)
    Image.fromarray(enlarged).save(content, "PNG", pnginfo=texts)
    return content.getvalue()


def read_kernel(path: Path, space: KernelSpace | None = None) -> UserKernel:
    """Read and check the kernel of a user: .npy, or a grey PNG or TIFF, by content.

    Samples of pictures are taken as linear, however they may be meant to be shown. Without a
    `space` its taps are what a PNG of `encode_kernel` says, and HR pixels in all others.

    Raises:
        KernelError: it cannot be read, is no kernel (see `UserKernel.of`), or says that it is of
            the other space. The message is one line and starts with the path.
    """
    with _named(path):
        content = path.read_bytes() if path.stat().st_size <= _LARGEST_FILE else b""
        if not content:
            raise KernelError(f"expected a kernel of 1 byte to {_LARGEST_FILE >> 20} MiB")
        if content.startswith(_NPY_SIGNATURE):
            return UserKernel.of(_load_npy(content), space or "hr")
        taps, said = _load_picture(content)
        if None not in (space, said) and space != said:
            raise KernelError(f"it says that its taps are {said} pixels, not {space}")
        return UserKernel.of(taps, space or said or "hr")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except KernelError as error:
        raise KernelError(f"{printable(path)}: {error}") from error
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise KernelError(f"{printable(path)}: cannot be read: {reason}") from error


def _load_npy(content: bytes) -> np.ndarray:
    """Load an array; one of objects, which could run code, is refused."""
    try:
        return np.asarray(np.lib.format.read_array(BytesIO(content), allow_pickle=False))
    except (ValueError, EOFError, MemoryError) as error:
        raise KernelError(f"damaged .npy file, or one of objects: {_one_line(error)}") from error


def _load_picture(content: bytes) -> tuple[np.ndarray, KernelSpace | None]:
    """Samples of a grey picture, and the space that it says it is in."""
    try:
        with warnings.catch_warnings(), Image.open(BytesIO(content), formats=_FORMATS) as image:
            warnings.simplefilter("ignore")  # of damaged metadata
            text = getattr(image, "text", {})
            step = int(text[_TAP_KEY]) if text.get(_TAP_KEY) in _STEPS else 1
            if image.mode not in _GREY:
                raise KernelError(
                    f"expected a grey picture without transparency, got {image.mode}; "
                    "save one channel"
                )
            if max(image.size) > LARGEST_SIZE * step:  # before it is decoded
                raise KernelError(
                    f"expected at most {LARGEST_SIZE} taps a side, got {image.width}x{image.height}"
                )
            taps = np.asarray(image, np.float64)[::step, ::step]
    except KernelError:
        raise
    except UnidentifiedImageError as error:
        raise KernelError("expected .npy, or a PNG or TIFF picture; this is neither") from error
    except Exception as error:  # OSError, ValueError, SyntaxError, struct.error, ...
        raise KernelError(f"damaged picture: {_one_line(error)}") from error
    said = next((known for known in get_args(KernelSpace) if text.get(_SPACE_KEY) == known), None)
    # The white of a picture that `encode_kernel` made means nothing; that of others is reported.
    return (taps / max(taps.sum(), 1.0) if said else taps), said


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
