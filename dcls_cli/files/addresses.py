"""Where photos and outputs lie: on this machine, or under an address such as `s3://bucket/a.png`."""

import re
from pathlib import Path, PurePosixPath
from typing import Self

from dcls_cli.errors import UsageError

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://(?P<rest>.*)", re.DOTALL)

#: Schemes of this machine's own files, which are paths and keep all their guarantees.
_LOCAL = ("file", "local")


class Address(str):
    """The address of an object, or of a prefix with objects below it.

    It is a text, so that it is printed, compared and pickled as it was given; `pathlib` would make
    one slash of two. What it has of a path's properties means the same as there.
    """

    __slots__ = ()

    @property
    def scheme(self) -> str:
        """What stands before `://`."""
        return self.partition("://")[0]

    @property
    def parts(self) -> tuple[str, ...]:
        """The scheme, the bucket and the names between slashes."""
        scheme, _, rest = self.partition("://")
        return (scheme, *filter(None, rest.split("/")))

    @property
    def name(self) -> str:
        """What stands behind the last slash, but for one at the end."""
        return self.rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Self:
        """The prefix that the name stands below; of a bucket itself."""
        if len(self.parts) <= 2:
            return self
        return type(self)(self.rstrip("/").rpartition("/")[0])

    def __truediv__(self, name: object) -> Self:
        """The address of a name, or of a relative path, below this prefix."""
        below = name.as_posix() if isinstance(name, Path) else str(name)
        return self if below == "." else type(self)(f"{self.rstrip('/')}/{below}")

    def is_below(self, prefix: "Location | None") -> bool:
        """Whether it is the address of something below a prefix."""
        return isinstance(prefix, Address) and self.startswith(prefix.rstrip("/") + "/")


#: A file of this machine, or an object.
Location = Path | Address


def location(text: str | Path) -> Location:
    """Tell an address from a path by its scheme; `file://` is a path.

    Raises:
        UsageError: an address without anything behind its scheme, or of several parts (`::`).
    """
    if not isinstance(text, str) or (match := _ADDRESS.fullmatch(text)) is None:
        return Path(text)
    if "::" in text:
        raise UsageError(f"{text}: chained addresses are not read; give one scheme://...")
    if not match["rest"].strip("/"):
        raise UsageError(f"{text}: expected a name behind {match['scheme']}://")
    if match["scheme"].lower() in _LOCAL:
        return Path(match["rest"])
    return Address(f"{match['scheme'].lower()}://{match['rest']}")


def local(place: Location) -> Path:
    """The path of a file that is on this machine.

    Raises:
        TypeError: it is an object, which should have been fetched.
    """
    if isinstance(place, Address):
        raise TypeError(f"{place} is no file of this machine")
    return place
