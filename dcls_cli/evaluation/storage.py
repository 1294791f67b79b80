"""Results on disk, so that an evaluation that was ended goes on where it was.

One file for each method and image, named by what its figures depend on: weights, arithmetic,
version, the bytes of the image, protocol and scale. Nothing is ever taken for something else.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from dcls_cli.atomic import atomic_write
from dcls_cli.errors import ImageError
from dcls_cli.evaluation.rows import Row

FOLDER = "results"


def key_of(**parts: object) -> str:
    """Name of a result: a digest of everything that it depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class ResultStore:
    """Rows by key in a folder; without a folder nothing is kept."""

    def __init__(self, out: Path | None) -> None:
        """Keep results in `out`/results, which is made.

        Raises:
            ImageError: the folder cannot be made.
        """
        self._folder = None if out is None else out / FOLDER
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ImageError(f"{self._folder}: cannot be made: {error.strerror}") from error

    def get(self, key: str) -> list[Row] | None:
        """Rows of a key; None where there are none, or their file is damaged."""
        if self._folder is None:
            return None
        try:
            content = json.loads((self._folder / f"{key}.json").read_bytes())
            return [Row(**row) for row in content["rows"]]
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, key: str, about: dict[str, object], rows: list[Row]) -> None:
        """Keep rows, with what they are about for people to read.

        Raises:
            ImageError: the file cannot be written.
        """
        if self._folder is None:
            return
        text = json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1)

        def write(file: BinaryIO) -> None:
            file.write(text.encode())

        path = self._folder / f"{key}.json"
        try:
            atomic_write(path, write, overwrite=True)
        except OSError as error:
            raise ImageError(f"{path}: cannot be written: {error.strerror}") from error
