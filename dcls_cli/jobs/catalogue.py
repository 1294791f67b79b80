"""The photos of a batch in a table on disk: memory does not grow with their number."""

import hashlib
import os
import sqlite3
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcls_cli.errors import DclsError
from dcls_cli.files.addresses import Address, Location

#: What SQLite keeps in memory of a table, KiB.
_CACHE_KIB = 32 * 1024

#: Rows that are read or written at a time.
_PAGE = 500

_TABLES = f"""
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -{_CACHE_KIB};
CREATE TABLE found (position BLOB, place BLOB, relative BLOB, named INTEGER, length INTEGER);
CREATE TABLE photos (
    number INTEGER PRIMARY KEY,
    place BLOB, relative BLOB, named INTEGER, length INTEGER,
    name BLOB, renamed INTEGER,
    width INTEGER, height INTEGER, state INTEGER
);
CREATE TABLE marks (
    kind TEXT, digest BLOB, number INTEGER, PRIMARY KEY (kind, digest, number)
) WITHOUT ROWID;
"""

_SOURCE = "place, relative, named, length, name"


@dataclass(frozen=True, slots=True)
class Source:
    """A file or an object that may be a photo.

    Attributes:
        path: the file or the object.
        relative: its place in the tree that is kept: below the folder that was given, below the
            part of a pattern that has no wildcard, or below the folder that all files of a list
            share.
        named: whether an object was given by its own name, or a list names a file that is not
            there, so that it is taken for a photo.
        length: of an object that was listed, bytes.
    """

    path: Location
    relative: Path
    named: bool = False
    length: int | None = None

    @property
    def key(self) -> bytes:
        """What a stable order and a stable split go by.

        Some systems list accents in one piece and some in two, of the very same share.
        """
        return os.fsencode(unicodedata.normalize("NFC", self.relative.as_posix()))


class Catalogue:
    """Sources, numbered in the order of their keys, with the names of their outputs.

    Besides, texts can be marked with the numbers of sources, in kinds that know nothing of each
    other: `output` for the places of outputs, say. Of a text only a digest is kept.

    The table is a private file of SQLite in the folder for temporary files, without a name, so that
    nothing is left whatever ends the process. Any thread may use it.
    """

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        """Keep sources, each once."""
        self._lock = threading.RLock()
        self._arranged = False
        with self._asked():
            # "" is a file that SQLite makes, deletes and writes to when its cache is full.
            self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._table.executescript(_TABLES)
            self._table.execute("BEGIN")
        for source in sources:
            self.add(source)

    def add(self, source: Source) -> bool:
        """Keep a source; False if its place is kept already. Links are places of their own."""
        place = source.path
        whole = place if isinstance(place, Address) else place.absolute()
        row = (
            source.key,
            os.fsencode(place),
            os.fsencode(source.relative),
            source.named,
            source.length,
        )
        with self._asked():
            mark = "INSERT OR IGNORE INTO marks VALUES ('place', ?, 0)"
            if not self._table.execute(mark, (_digest(os.fspath(whole)),)).rowcount:
                return False
            self._table.execute("INSERT INTO found VALUES (?, ?, ?, ?, ?)", row)
        return True

    def __len__(self) -> int:
        """How many sources are kept."""
        with self._asked():
            self._arrange()
            return int(self._table.execute("SELECT count(*) FROM photos").fetchone()[0])

    def __iter__(self) -> Iterator[Source]:
        """The sources in their order."""
        return (source for _, source, _ in self.named())

    def named(self) -> Iterator[tuple[int, Source, str]]:
        """The sources with their numbers and the names of their outputs, empty without one.

        The numbers rise, with gaps; sources may be removed and named meanwhile.
        """
        for number, *rest in self._rows(_SOURCE):
            yield number, *_named(rest)

    def _rows(self, columns: str, where: str = "1") -> Iterator[tuple[Any, ...]]:
        """Some columns of the photos behind their numbers, a few rows at a time."""
        query = (
            f"SELECT number, {columns} FROM photos WHERE number > ? AND {where} "  # noqa: S608
            f"ORDER BY number LIMIT {_PAGE}"
        )
        last = 0
        while True:
            with self._asked():
                self._arrange()
                page = self._table.execute(query, (last,)).fetchall()
            if not page:
                return
            yield from page
            last = page[-1][0]

    def at(self, numbers: Iterable[int]) -> list[tuple[Source, str]]:
        """Sources by their numbers, with the names of their outputs."""
        query = f"SELECT {_SOURCE} FROM photos WHERE number = ?"  # noqa: S608
        with self._asked():
            self._arrange()
            return [_named(self._table.execute(query, (each,)).fetchone()) for each in numbers]

    def remove(self, numbers: Iterable[int]) -> int:
        """Forget sources; returns how many. Their marks stay."""
        return self._write("DELETE FROM photos WHERE number = ?", ((each,) for each in numbers))

    def _write(self, statement: str, rows: Iterable[Sequence[object]]) -> int:
        """Change the table by one statement for each row, which may be read from it meanwhile.

        Returns:
            How many rows changed.
        """
        changed, page = 0, []
        for row in rows:
            page.append(row)
            if len(page) == _PAGE:
                changed += self._change(statement, page)
                page = []
        return changed + self._change(statement, page)

    def rename(self, names: Iterable[tuple[int, str]]) -> None:
        """Name or rename outputs: pairs of a number and a name."""
        pairs = ((os.fsencode(name), number) for number, name in names)
        # Without a name `renamed` becomes 0, with one 1.
        self._write(
            "UPDATE photos SET renamed = name IS NOT NULL, name = ? WHERE number = ?", pairs
        )

    def choose(self, states: Iterable[tuple[int, tuple[int, int] | None, int]]) -> int:
        """Keep the sizes and states of those that are worked on; returns how many."""
        rows = ((*(size or (None, None)), state, number) for number, size, state in states)
        return self._write(
            "UPDATE photos SET width = ?, height = ?, state = ? WHERE number = ?", rows
        )

    def chosen(self) -> Iterator[tuple[Source, str, bool, tuple[int, int] | None, int]]:
        """Those that have a state: source, name, whether it was renamed, size and state."""
        columns = f"{_SOURCE}, renamed, width, height, state"
        for _, *row in self._rows(columns, "state IS NOT NULL"):
            renamed, width, height, state = row[5:]
            size = None if width is None else (width, height)
            yield *_named(row[:5]), bool(renamed), size, state

    def mark(self, kind: str, texts: Iterable[tuple[str, int]]) -> None:
        """Mark texts with the numbers of sources."""
        rows = ((kind, _digest(text), number) for text, number in texts)
        self._write("INSERT OR IGNORE INTO marks VALUES (?, ?, ?)", rows)

    def marked(self, kind: str, text: str) -> list[int]:
        """The numbers that a text is marked with, in their order."""
        query = "SELECT number FROM marks WHERE kind = ? AND digest = ?"
        with self._asked():
            return [row[0] for row in self._table.execute(query, (kind, _digest(text)))]

    def shared(self, kind: str) -> Iterator[list[int]]:
        """The numbers of each text that is marked with more than one of them."""
        query = (
            "SELECT digest FROM marks WHERE kind = ? AND digest > ? GROUP BY digest "
            f"HAVING count(*) > 1 LIMIT {_PAGE}"
        )
        numbers = "SELECT number FROM marks WHERE kind = ? AND digest = ?"
        last = b""
        while True:
            with self._asked():
                page = self._table.execute(query, (kind, last)).fetchall()
                groups = [
                    [row[0] for row in self._table.execute(numbers, (kind, digest))]
                    for (digest,) in page
                ]
            if not page:
                return
            yield from groups
            last = page[-1][0]

    def _change(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        with self._asked():
            self._arrange()
            return max(self._table.executemany(statement, rows).rowcount, 0)

    def _arrange(self) -> None:
        """Number what was found."""
        if self._arranged:
            return
        self._table.execute(
            "INSERT INTO photos (place, relative, named, length) "
            "SELECT place, relative, named, length FROM found ORDER BY position, place"
        )
        self._table.execute("DROP TABLE found")
        self._table.execute("DELETE FROM marks WHERE kind = 'place'")
        self._arranged = True

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Use the table alone.

        Raises:
            DclsError: the disk is full, say.
        """
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise DclsError(
                    f"the list of photos cannot be kept in the folder for temporary files: "
                    f"{error}; TMPDIR names another one"
                ) from error


def _digest(text: str) -> bytes:
    return hashlib.blake2b(os.fsencode(text), digest_size=16).digest()


def _named(row: Sequence[Any]) -> tuple[Source, str]:
    """A row of the columns `_SOURCE`."""
    place, relative, is_named, length, name = row
    path = Path(os.fsdecode(relative))
    return Source(_location(place), path, bool(is_named), length), os.fsdecode(name or b"")


def _location(place: bytes) -> Location:
    """A path has no two slashes in a row."""
    text = os.fsdecode(place)
    return Address(text) if "://" in text else Path(text)
