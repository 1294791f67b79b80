"""A photo from stdin, a result to stdout."""

import functools
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.errors import ImageError, UsageError

if TYPE_CHECKING:
    from dcls_cli.image import Encoding, Photo, Picture
    from dcls_cli.image.metadata import Kept
    from dcls_cli.jobs.request import Request

#: What stands for stdin and stdout; a file of that name is `./-`.
STREAM = "-"

#: More than an image file has; an endless stdin must not fill the memory.
_LARGEST_INPUT_BYTES = 2**31

#: What is read of stdin at a time.
_BLOCK_BYTES = 2**20


def check_streams(request: "Request", *, json: bool) -> None:
    """Refuse what streams cannot do.

    Args:
        request: with `-` among its inputs or as its output.
        json: whether stdout gets events.

    Raises:
        UsageError: several photos with one stream, no output for stdin, two kinds of content for
            stdout, or a terminal in the place of a file.
    """
    photos, output = request.inputs, request.output
    if STREAM in photos and output is None:
        raise UsageError("a photo from stdin needs an output: -o FILE, or -o - for stdout")
    if STREAM in photos and len(photos) > 1:
        raise UsageError("'-' is one photo, from stdin; give it alone")
    if output != STREAM:
        return
    if len(photos) > 1:
        raise UsageError("-o - writes one photo to stdout; give one photo")
    if json:
        raise UsageError("stdout cannot hold both the photo of -o - and --json; give one of them")
    if request.evidence is not None:
        raise UsageError("--report needs an output that can be read again; give a file as -o")
    if sys.stdout is None:
        raise UsageError("-o - writes to stdout, which is closed")
    if sys.stdout.isatty():
        raise UsageError("-o - would write the photo to the terminal; redirect it: > FILE")


def read_stdin(*, max_pixels: int, kept: "Kept") -> "Photo":
    """Read a photo from stdin; see `image.read`.

    Raises:
        ImageError: stdin is closed or holds no such photo.
    """
    from dcls_cli.image import decode

    try:
        return decode(io.BytesIO(_content()), max_pixels=max_pixels, kept=kept)
    except ImageError as error:
        raise ImageError(f"stdin: {error}") from error


@functools.cache
def _content() -> bytes:
    """Everything that stdin has; it is read once."""
    if sys.stdin is None:
        raise ImageError("closed, expected a photo")
    content = io.BytesIO()
    # Asked for all at once, Python would take the memory for the largest input first.
    while block := sys.stdin.buffer.read(_BLOCK_BYTES):
        if content.tell() + len(block) > _LARGEST_INPUT_BYTES:
            limit = _LARGEST_INPUT_BYTES >> 30
            raise ImageError(f"more than {limit} GiB; give such photos as files")
        content.write(block)
    return content.getvalue()


def stdout_path(photo: "Photo", encoding: "Encoding") -> Path:
    """A name for stdout that says the format: by `-f`, else that of the photo where possible."""
    from dcls_cli.image.formats import by_option, default_format

    if encoding.format is None:
        form = default_format(photo.format, alpha=photo.has_alpha)
    else:
        form = by_option(encoding.format)
    return Path(f"stdout{form.suffixes[0]}")


def write_stdout(picture: "Picture", path: Path, encoding: "Encoding") -> tuple[str, ...]:
    """Write a result to stdout, once it is encoded whole.

    Args:
        picture: the result.
        path: its suffix chooses the format.
        encoding: see `image.write`.

    Returns:
        What the format could not keep, a sentence each.

    Raises:
        ImageError: it cannot be encoded or written.
    """
    from dcls_cli.image import write_to

    file = io.BytesIO()
    notes = write_to(picture, file, path, encoding=encoding)
    try:
        rest = file.getbuffer()
        while rest:  # an unbuffered stream may take only a part
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except OSError as error:
        _detach()
        raise ImageError(f"stdout: cannot be written: {error.strerror}") from error
    return notes


def _detach() -> None:
    """Let Python's end not try again to write what stdout does not take."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
