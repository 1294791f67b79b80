"""Patterns, shards and earlier outputs: what is worked on."""

from collections import Counter
from pathlib import Path

import pytest

from dcls_cli.errors import UsageError
from dcls_cli.files import platforms
from dcls_cli.jobs.catalogue import Catalogue
from dcls_cli.jobs.selection import Shard, earlier_outputs, fits
from tests.jobs.files import sources


@pytest.mark.parametrize(
    ("name", "include", "exclude", "expected"),
    [
        ("a/b.JPG", [], [], True),
        ("a/b.JPG", ["*.jpg"], [], True),
        ("a/b.jpg", ["*.png", "*.jpg"], [], True),
        ("a/b.jpg", ["*.png"], [], False),
        ("a/b.jpg", ["a/*"], [], True),
        ("a/b.jpg", ["b/*"], [], False),
        ("a/b.jpg", [], ["b.*"], False),
        ("a/b.jpg", [], ["a/*"], False),
        ("c/a/b.jpg", [], ["a/*"], True),
        ("c/a/b.jpg", [], ["*/a/*"], False),
        ("caf\u0065\u0301.jpg", ["CAF\u00c9.*"], [], True),
    ],
)
def test_patterns(name: str, include: list[str], exclude: list[str], expected: bool) -> None:
    assert fits(Path(name), include, exclude) == expected


def test_on_windows_a_backslash_parts_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Path("proofs/a.jpg")
    assert fits(photo, [], ["proofs\\*"])
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    assert not fits(photo, [], ["proofs\\*"])
    assert fits(photo, ["proofs\\*.jpg"], [])


def test_shards_part_everything_and_no_photo_changes_its_shard() -> None:
    names = [f"folder {n % 7}/photo {n}.jpg" for n in range(300)]
    parts = [Shard.parse(f"{index}/3") for index in (1, 2, 3)]

    def shard_of(every: list[str]) -> dict[str, int]:
        chosen = {}
        for source in sources(*every):
            (index,) = (part.index for part in parts if part.has(source))
            chosen[source.relative.as_posix()] = index
        return chosen

    whole = shard_of(names)
    assert min(Counter(whole.values()).values()) > 70
    fewer = shard_of(names[::2])
    assert fewer == {name: whole[name] for name in names[::2]}


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "a/b", "1/3/5", "-1/3"])
def test_shards_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="expected i/n"):
        Shard.parse(text)


def test_earlier_outputs_are_told_from_photos() -> None:
    photos = ["a.jpg", "b.png", "c_x4.png", "sub/d.png", "e.bmp", "sub/x4/f.png", "g_x5.png"]
    outputs = [
        "a_x4.jpg",
        "a_x2.png",
        "a_x4_x4.jpg",
        "e.bmp_x3.png",
        "x4/a_x4.jpg",
        "sub/large/d_x4.png",
        "x4/sub/d_x4.png",
        "one/two/a_x4.jpg",
    ]
    others = ["other/b_x4.png/k.png", "one/two/d_x4.jpg", "sub/f_x2.png"]
    listed = Catalogue(sources(*photos, *outputs, *others))
    made = listed.at(earlier_outputs(listed))
    found = {source.relative.as_posix() for source, _ in made}
    assert found == set(outputs)
