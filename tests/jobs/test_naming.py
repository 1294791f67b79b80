"""Every photo gets a file of its own, or nothing is begun."""

import os
import unicodedata
from pathlib import Path

import pytest

from dcls_cli.errors import UsageError
from dcls_cli.jobs import naming
from dcls_cli.jobs.catalogue import Catalogue, Source
from dcls_cli.jobs.naming import (
    Namer,
    Places,
    Sameness,
    name_all,
    outputs_of_others,
    part,
    sameness,
)
from tests.jobs.files import picture, sources

LINUX = Sameness(case=False, forms=False)
MAC = Sameness(case=True, forms=True)


def png(photo: Path, stem: str) -> str:
    return f"{stem}_x4.png"


def parted(
    listed: list[Source], out: Path, name_of: Namer = png, same: Sameness = LINUX
) -> Catalogue:
    photos = Catalogue(listed)
    name_all(photos, name_of)
    part(photos, out, name_of, same)
    return photos


def outputs(*names: str, same: Sameness = LINUX) -> list[str]:
    """The outputs of photos, in the order in which these are given."""
    named = {
        source.relative.as_posix(): (source.relative.parent / name).as_posix()
        for _, source, name in parted(sources(*names), Path("out"), same=same).named()
    }
    assert named.keys() == set(names)
    return [named[name] for name in names]


def test_the_tree_is_kept() -> None:
    assert outputs("a.png", "b/a.jpg") == ["a_x4.png", "b/a_x4.png"]


def test_photos_that_differ_in_their_suffix_get_it_into_their_names() -> None:
    assert outputs("a.bmp", "a.png", "b.bmp") == ["a.bmp_x4.png", "a_x4.png", "b_x4.png"]
    assert outputs("a.bmp", "a.jpg") == ["a.bmp_x4.png", "a.jpg_x4.png"]
    assert outputs("a.bmp", "A.png", "a.png", same=LINUX) == [
        "a.bmp_x4.png",
        "A_x4.png",
        "a_x4.png",
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "A.png"),
        ("a/b.png", "A/b.png"),
        ("caf\u00e9.png", "cafe\u0301.png"),
        ("a.png", "a.PNG"),
    ],
)
def test_names_that_are_one_for_the_file_system_are_refused_with_both(
    names: tuple[str, str],
) -> None:
    with pytest.raises(UsageError, match="several photos") as caught:
        outputs(*names, same=MAC)
    for name in names:
        assert f"in/{name}" in str(caught.value)


def test_one_name_from_two_folders_is_refused() -> None:
    first = sources("a.png")
    second = [type(first[0])(Path("elsewhere/a.png"), Path("a.png"))]
    with pytest.raises(UsageError, match=r"out/a_x4.png for elsewhere/a.png and in/a.png"):
        parted([*first, *second], Path("out"))


@pytest.mark.skipif(os.name == "nt", reason="links")
@pytest.mark.parametrize("link", ["symbolic", "hard", "the folder itself"])
def test_an_output_that_is_a_photo_is_refused(link: str, tmp_path: Path) -> None:
    photo, output = picture(tmp_path / "a.png"), tmp_path / "out" / "a.png"
    if link == "the folder itself":
        output.parent.symlink_to(tmp_path)
    else:
        output.parent.mkdir()
        (output.symlink_to if link == "symbolic" else output.hardlink_to)(photo)
    source = type(sources("a")[0])(photo, Path("a.png"))
    with pytest.raises(UsageError, match="would replace the photo"):
        parted([source], tmp_path / "out", lambda _, stem: f"{stem}.png")


def test_outputs_of_others_are_no_photos(tmp_path: Path) -> None:
    photos = [picture(tmp_path / name) for name in ("a.jpg", "big-a.png", "big-b.png")]
    listed = [type(sources("a")[0])(photo, Path(photo.name)) for photo in photos]
    kept = Catalogue(listed)
    name_all(kept, lambda _, stem: f"big-{stem}.png")
    assert kept.remove(outputs_of_others(kept, tmp_path)) == 1
    assert [source.path.name for source in kept] == ["a.jpg", "big-b.png"]


def test_the_file_system_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "\u00e9").touch()
    assert sameness(tmp_path) == Sameness(
        case=(tmp_path / "A").exists(),
        forms=(tmp_path / unicodedata.normalize("NFD", "\u00e9")).exists(),
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a", "\u00e9"}


NTFS = Sameness(case=True, forms=False)
EXT4_FOLDED = Sameness(case=True, forms=True, folded=True)


@pytest.mark.parametrize(
    ("same", "first", "second", "expected"),
    [
        (LINUX, "a", "A", False),
        (NTFS, "a\u00e9", "A\u00c9", True),
        (NTFS, "stra\u00dfe", "STRASSE", False),
        (EXT4_FOLDED, "stra\u00dfe", "STRASSE", True),
        (NTFS, "caf\u00e9", "cafe\u0301", False),
        (MAC, "caf\u00e9", "CAFE\u0301", True),
    ],
)
def test_names_are_compared_as_the_file_system_does(
    same: Sameness, first: str, second: str, expected: bool
) -> None:
    assert (same.key(Path(first)) == same.key(Path(second))) == expected


@pytest.mark.parametrize(
    ("same", "second", "expected"),
    [
        (LINUX, "PHOTO.png", None),
        (NTFS, "PHOTO.png", "first"),
        (LINUX, "photo.png", "first"),
        (NTFS, "photos.png", None),
        (MAC, "../out/Photo.png", "first"),
    ],
)
def test_outputs_that_are_one_for_the_disk_are_found(
    same: Sameness,
    second: str,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(naming, "sameness", lambda folder: same)
    out = tmp_path / "out"
    out.mkdir()
    places = Places()
    assert places.take(out / "photo.png", Path("first")) is None
    found = places.take(out / second, Path("second"))
    assert found == (None if expected is None else Path(expected))


def test_the_disk_is_asked_only_where_names_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def refuse(folder: Path) -> Sameness:
        asked.append(folder)
        raise PermissionError

    monkeypatch.setattr(naming, "sameness", refuse)
    places = Places()
    assert places.take(tmp_path / "new" / "a.png", Path("1")) is None
    assert places.take(tmp_path / "new" / "b.png", Path("2")) is None
    assert asked == []
    assert places.take(tmp_path / "new" / "A.png", Path("3")) == Path("1")
    assert asked == [tmp_path]
