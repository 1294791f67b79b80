"""HEIC photos, by a package that not everybody may install: its codec is under the GPL."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.image.colour import Samples
from dcls_cli.installation import install_command

if TYPE_CHECKING:
    from pillow_heif import HeifImage


def has_alpha(path: Path) -> bool:
    """Look for an alpha channel in a HEIC file without decoding it.

    Returns:
        False for a file that cannot be read; reading it will say why.
    """
    try:
        with path.open("rb") as file:
            return HeifPhoto(file).has_alpha
    except (ImageError, OSError, ValueError, RuntimeError, EOFError):
        return False


class HeifPhoto:
    """The main picture of a HEIC file, not decoded yet."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the file's structure.

        Raises:
            ImageError: the package is not installed.
            ValueError: the file is damaged.
        """
        try:
            import pillow_heif
        except ImportError as error:
            raise ImageError(
                f"HEIC photos need an optional package: {install_command('heif')}; "
                "or save the photo as JPEG, PNG or TIFF"
            ) from error
        file.seek(0)
        pictures = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
        self.pages = len(pictures)
        self._picture: HeifImage = pictures[pictures.primary_index]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        width, height = self._picture.size
        return width, height

    @property
    def has_alpha(self) -> bool:
        """Whether it has an alpha channel."""
        return bool(self._picture.has_alpha)

    def decode(self) -> Samples:
        """Decode it, turned upright.

        Raises:
            ValueError: the file is damaged.
        """
        values = np.asarray(self._picture)
        info: dict[str, Any] = self._picture.info
        bits = int(info.get("bit_depth", 8))
        white = 255 if values.dtype == np.uint8 else (2**bits - 1) << (16 - bits)
        return Samples(
            values=values[..., None] if values.ndim == 2 else values,
            white=white,
            bit_depth=8 if values.dtype == np.uint8 else 16,
        )

    def stand_in(self) -> Image.Image:
        """A Pillow image of one pixel with the photo's metadata."""
        image = Image.new("L", (1, 1))
        for name in ("icc_profile", "exif", "xmp"):
            if data := self._picture.info.get(name):
                image.info[name] = data
        return image
