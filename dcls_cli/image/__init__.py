"""Photos: from files, Pillow images and arrays, and back, with all that is not pixels."""

from dcls_cli.image.decoding import from_pil
from dcls_cli.image.formats import WRITABLE, Encoding
from dcls_cli.image.photo import Photo, Picture, from_array, to_array
from dcls_cli.image.reading import READABLE, decode, read
from dcls_cli.image.writing import check_encoding, check_output, to_pil, write, write_to

__all__ = [
    "READABLE",
    "WRITABLE",
    "Encoding",
    "Photo",
    "Picture",
    "check_encoding",
    "check_output",
    "decode",
    "from_array",
    "from_pil",
    "read",
    "to_array",
    "to_pil",
    "write",
    "write_to",
]
