"""A photo from stdin is read piece by piece."""

import io
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from dcls_cli.errors import ImageError
from dcls_cli.jobs import streams


class Asked(io.BytesIO):
    """A stdin that remembers the most that it was asked for at once."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and remember."""
        assert size is not None
        assert size >= 0
        self.most = max(self.most, size)
        return super().read(size)


@pytest.fixture(autouse=True)
def unread() -> Iterator[None]:
    streams._content.cache_clear()
    yield
    streams._content.cache_clear()


def test_no_more_memory_is_asked_for_than_the_photo_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) * 12_345
    stdin = Asked(content)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    assert streams._content() == content
    assert 0 < stdin.most <= 2**20


def test_an_endless_stdin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_LARGEST_INPUT_BYTES", 2**22)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read=bytes)))
    with pytest.raises(ImageError, match="more than 0 GiB"):
        streams._content()
