"""What a restored page says: read by Tesseract, and compared with what is written on it."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcls_cli.errors import ImageError, UsageError

PROGRAM = "tesseract"

#: Longest time for one page, seconds.
_PATIENCE_S = 300

_LISTED_IN = re.compile(r'"(.+)"')


@dataclass(frozen=True)
class Text:
    """What is written on a page.

    Attributes:
        words: in the order of reading, with their punctuation.
        language: as Tesseract calls it.
        dots_per_inch: resolution of the original, which Tesseract is given.
    """

    words: tuple[str, ...]
    language: str
    dots_per_inch: int


@dataclass(frozen=True)
class ReadingFigures:
    """How well a page was read.

    Attributes:
        words_read: word accuracy, 0 to 1; see `word_accuracy`.
        letters_invented: share of the letters on the page; see `invented`.
    """

    words_read: float
    letters_invented: float


@dataclass(frozen=True)
class Reader:
    """Tesseract as it is installed.

    Attributes:
        path: of the program.
        version: its name and version.
        data: SHA-256 of each language's data, by the name of the language.
    """

    path: str
    version: str
    data: dict[str, str]

    @classmethod
    @functools.cache
    def found(cls, languages: tuple[str, ...]) -> Self:
        """Look for the program and its languages, once in a process.

        Raises:
            UsageError: the program or one of the languages is not installed.
        """
        path = shutil.which(PROGRAM)
        if path is None:
            raise UsageError(
                f"{PROGRAM}: not found; it reads the pages (Debian: apt install tesseract-ocr)"
            )
        version = _output(path, "--version").splitlines()[0].strip()
        heading, *known = _output(path, "--list-langs").splitlines()
        missing = [name for name in languages if name not in known]
        if missing:
            packages = " ".join(f"tesseract-ocr-{name}" for name in missing)
            raise UsageError(f"{PROGRAM}: no data for {', '.join(missing)}; apt install {packages}")
        found = _LISTED_IN.search(heading)
        folder = Path(found[1] if found else "")
        return cls(path, version, {name: _digest(folder, name) for name in languages})

    def read(self, page: NDArray[np.uint8], text: Text) -> str:
        """Read a page, (3, H, W), as one block of text.

        Raises:
            ImageError: Tesseract ends with an error or takes longer than `_PATIENCE_S`.
        """
        file = BytesIO()
        Image.fromarray(np.ascontiguousarray(page.transpose(1, 2, 0))).save(file, "PNG")
        options = ["stdin", "stdout", "-l", text.language, "--psm", "6", "--oem", "1"]
        options += ["--dpi", str(text.dots_per_inch)]
        # One thread: the same order of sums on every machine, and evaluation has its processes.
        environment = os.environ | {"OMP_THREAD_LIMIT": "1"}
        try:
            done = subprocess.run(
                [self.path, *options],
                input=file.getvalue(),
                capture_output=True,
                env=environment,
                timeout=_PATIENCE_S,
                check=True,
            )
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"{PROGRAM}: a page took longer than {_PATIENCE_S} s") from error
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason"]
            raise ImageError(f"{PROGRAM}: failed on a page: {reason[-1]}") from error
        return done.stdout.decode(errors="replace")


def reading_figures(read: str, text: Text) -> ReadingFigures:
    """Compare what was read with what is written."""
    true, found = words_of(" ".join(text.words)), words_of(read)
    letters = len("".join(true))
    return ReadingFigures(
        words_read=word_accuracy(found, true),
        letters_invented=invented("".join(found), "".join(true)) / letters,
    )


def words_of(text: str) -> list[str]:
    """Words without punctuation: letters, marks and digits only, composed (NFC).

    What has no letter or digit is no word. Upper and lower case differ.
    """
    words = unicodedata.normalize("NFC", text).split()
    kept = ("".join(sign for sign in word if unicodedata.category(sign)[0] in "LMN")
            for word in words)  # fmt: skip
    return [word for word in kept if word]


def word_accuracy(found: Sequence[str], true: Sequence[str]) -> float:
    """1 - d / n, at least 0: d the edit distance over words, n the number of true words."""
    return max(0.0, 1 - edit_distance(found, true) / len(true))


def edit_distance(found: Sequence[str], true: Sequence[str]) -> int:
    """Fewest words (or letters, of two strings) to replace, insert or leave out (Levenshtein)."""
    return _aligned(found, true)[0]


def invented(found: Sequence[str], true: Sequence[str]) -> int:
    """Letters of `found` that stand for another letter of `true`, or for none.

    Counted in an alignment of the smallest edit distance; of several, in the one with the fewest
    such letters. Letters that were merely missed are not counted.
    """
    return _aligned(found, true)[1]


def _aligned(found: Sequence[str], true: Sequence[str]) -> tuple[int, int]:
    """Edit distance, and the fewest replaced and inserted signs among the alignments that have it.

    One price states both: `step` for each change, and 1 more for each that invents a sign.
    """
    step = len(found) + len(true) + 1
    numbers = {sign: number for number, sign in enumerate(dict.fromkeys([*found, *true]))}
    true_signs = np.array([numbers[sign] for sign in true], np.int64)
    missed = step * np.arange(len(true) + 1, dtype=np.int64)
    prices = missed.copy()
    for sign in found:
        replaced = prices[:-1] + np.where(true_signs == numbers[sign], 0, step + 1)
        inserted = prices + step + 1
        best = np.minimum(inserted, np.concatenate(([inserted[0]], replaced)))
        # What leaves out true signs comes from the left, at `step` for each of them.
        prices = np.minimum.accumulate(best - missed) + missed
    distance, made_up = divmod(int(prices[-1]), step)
    return distance, made_up


def _output(path: str, option: str) -> str:
    """What the program says of itself; older versions say it on stderr."""
    try:
        done = subprocess.run(
            [path, option], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{path}: cannot be run: {error}; install tesseract-ocr again") from error
    return (done.stdout.strip() or done.stderr.strip()) or PROGRAM


def _digest(folder: Path, language: str) -> str:
    """SHA-256 of a language's data; empty where it lies elsewhere."""
    try:
        return hashlib.sha256((folder / f"{language}.traineddata").read_bytes()).hexdigest()
    except OSError:
        return ""
