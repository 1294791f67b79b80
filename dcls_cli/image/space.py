"""What an output takes on the disk, before there is one."""

import shutil
from pathlib import Path

from dcls_cli.atomic import printable
from dcls_cli.errors import ImageError
from dcls_cli.image.encoders import STREAMED
from dcls_cli.image.encoders.whole import LARGEST_IN_MEMORY
from dcls_cli.image.formats import Format

#: Size of the file over that of its samples, for restored photos of 8 bits (measured); flat
#: drawings are much smaller.
_TYPICAL = {"PNG": 0.36, "TIFF": 0.36, "JPEG": 0.16, "WEBP": 0.08, "AVIF": 0.08}

#: The second byte of 16-bit samples is mostly noise.
_TYPICAL_OF_16_BITS = 0.75

#: A disk with less than this part of what is expected will not do.
_AT_LEAST = 0.5

#: Smaller outputs are soon written, and then the disk itself says that it is full.
_CHECKED_FROM_BYTES = 2**24


def expected_bytes(form: Format, samples: int, bit_depth: int) -> int:
    """Guess the size of a file.

    Args:
        form: of the file.
        samples: pixels times channels.
        bit_depth: 8 or 16.
    """
    part = _TYPICAL[form.name] if bit_depth == 8 else _TYPICAL_OF_16_BITS
    return round(part * samples * bit_depth / 8)


def waiting_bytes(form: Format, samples: int, bit_depth: int) -> int:
    """What lies on the disk as well until a large output of a format without rows is encoded."""
    size = samples * bit_depth // 8
    return 0 if form.name in STREAMED or size <= LARGEST_IN_MEMORY else size


def check_space(path: Path, form: Format, samples: int, bit_depth: int) -> None:
    """Refuse an output for which the disk is much too small.

    Args:
        path: of the file; its folder must exist.
        form: of the file.
        samples: pixels times channels.
        bit_depth: 8 or 16.

    Raises:
        ImageError: there is too little space.
    """
    expected = expected_bytes(form, samples, bit_depth)
    waiting = waiting_bytes(form, samples, bit_depth)
    free = shutil.disk_usage(path.parent).free
    if expected < _CHECKED_FROM_BYTES or free >= waiting + _AT_LEAST * expected:
        return
    raise ImageError(
        f"{printable(path)}: takes about {(expected + waiting) / 1e6:.0f} MB and its disk has "
        f"{free / 1e6:.0f} MB left; make room or write to another disk"
    )
