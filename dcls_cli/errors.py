"""Errors that a user can act on.

Every message says what was expected, what was got and what to do. Only the command line turns an
error into text and an exit code; library code raises.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` for a message, if a known word is like the given one; else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


class DclsError(Exception):
    """Base class of every error that dcls raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(DclsError):
    """The request itself makes no sense: an unknown scale, an output equal to its input."""

    exit_code: ClassVar[int] = 2


class ImageError(DclsError):
    """An image cannot be read, is unsupported, or its output cannot be written."""


class KernelError(DclsError):
    """A blur kernel that the user gave cannot be read or used."""

    exit_code: ClassVar[int] = 2


class DataError(DclsError):
    """Training images are not to be had, damaged, or cannot be written."""


class TrainingError(DclsError):
    """Training cannot start or go on; checkpoints already on disk are whole."""


class ExportError(DclsError):
    """An exported graph could not be made or did not pass its check; no file was left behind."""


class WeightsError(DclsError):
    """Weights are missing, damaged or belong to another network."""

    exit_code: ClassVar[int] = 3


class OutOfMemoryError(DclsError):
    """Not even the smallest tile fits into memory."""

    exit_code: ClassVar[int] = 4

    @classmethod
    def of_piece(cls, shape: Sequence[int]) -> Self:
        """Of an input (..., H, W)."""
        size = f"{shape[-1]}x{shape[-2]}"
        return cls(f"out of memory on a piece of {size} pixels; use a smaller --tile")


class BackendError(DclsError):
    """The requested device, backend or precision is not usable here."""

    exit_code: ClassVar[int] = 5


def first_line(error: Exception) -> str:
    """What an error says first, or its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
