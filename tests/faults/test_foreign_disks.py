"""Disks of Windows and macOS: letter case, accents and forbidden names, as they themselves have it.

Each kind is skipped where it cannot be made or mounted. `lowntfs-3g` (FUSE) is NTFS as Windows
shows it; kernels without vfat or case folding skip these.
"""

import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dcls_cli.cli.app import run
from tests.jobs.files import picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="has such a disk anyway"),
]

Capture = pytest.CaptureFixture[str]

#: How an image of a disk is formatted and mounted, and how its root is prepared.
LINUX = {
    "ntfs": (
        ["mkntfs", "-F", "-q", "-Q", "IMAGE"],
        ["lowntfs-3g", "-o", "ignore_case,windows_names,loop", "IMAGE", "FOLDER"],
        [],
    ),
    "vfat": (["mkfs.vfat", "IMAGE"], ["mount", "-o", "loop,utf8=1", "IMAGE", "FOLDER"], []),
    "ext4 that folds case": (
        ["mkfs.ext4", "-q", "-O", "casefold", "-E", "encoding=utf8", "IMAGE"],
        ["mount", "-o", "loop", "IMAGE", "FOLDER"],
        ["chattr", "+F", "FOLDER/here"],
    ),
}
MAC = ("APFS", "Case-sensitive APFS", "HFS+", "ExFAT")

KINDS = MAC if sys.platform == "darwin" else tuple(LINUX)


def called(command: list[str]) -> None:
    """Run a command, or skip the test with what it says."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"no {command[0]} here")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{' '.join(command)}: {error.stderr.strip()}")


@contextmanager
def mounted(kind: str, top: Path) -> Iterator[Path]:
    """A disk of 48 MB."""
    image, folder = top / "disk.dmg", top / "disk"
    folder.mkdir()
    if kind in MAC:
        called(["hdiutil", "create", "-size", "48m", "-fs", kind, "-volname", "d", str(image)])
        called(["hdiutil", "attach", str(image), "-mountpoint", str(folder)])
        end, prepare = ["hdiutil", "detach", "-force", str(folder)], []
    else:
        with image.open("wb") as file:
            file.truncate(48 << 20)
        names = {"IMAGE": str(image), "FOLDER": str(folder), "FOLDER/here": f"{folder}/here"}
        make, mount, prepare = ([names.get(word, word) for word in line] for line in LINUX[kind])
        called(make)
        called(mount)
        end = ["umount", str(folder)]
    try:
        (folder / "here").mkdir()
        if prepare:
            called(prepare)
        yield folder / "here"
    finally:
        subprocess.run(end, check=True)


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with mounted(request.param, tmp_path) as folder:
        yield folder


def one(disk: Path, first: str, second: str) -> bool:
    """Whether a disk takes two names for one file."""
    (disk / first).touch()
    same = (disk / second).exists()
    (disk / first).unlink()
    return same


def names(folder: Path) -> list[str]:
    """In one case and form: `lowntfs-3g` lists small letters, HFS+ accents in two pieces."""
    listed = (unicodedata.normalize("NFC", path.name) for path in folder.iterdir())
    return sorted(name.lower() for name in listed)


def test_two_outputs_that_the_disk_takes_for_one_are_refused(
    disk: Path, tmp_path: Path, x2: Path, capsys: Capture
) -> None:
    pairs = [("photo.png", "PHOTO.png"), ("caf\u00e9.png", "cafe\u0301.png")]
    for number, pair in enumerate(pairs):
        photos = [picture(tmp_path / f"{number}{side}" / name) for side, name in zip("ab", pair)]  # noqa: B905
        same, out = one(disk, *pair), disk / f"out{number}"
        arguments = ["upscale", *map(str, photos), "-o", f"{out}/", "-w", str(x2), "-d", "cpu"]
        assert run(arguments) == (2 if same else 0)
        if same:
            assert "would be written for both" in capsys.readouterr().err
            assert not out.exists() or names(out) == []
        else:
            assert len(names(out)) == 2


def test_a_batch_is_done_once_and_leaves_nothing(disk: Path, x2: Path, capsys: Capture) -> None:
    for number, name in enumerate(("a.png", "B.PNG", "sub/caf\u00e9.jpg", "sub/b.webp")):
        picture(disk / "in" / name, seed=number)
    command = ["batch", str(disk / "in"), "-o", str(disk / "out"), "-w", str(x2), "-d", "cpu"]
    for done, skipped in ((4, 0), (0, 4)):
        assert run(command) == 0
        assert f"{done} done, 0 failed, {skipped} skipped" in capsys.readouterr().err
    assert names(disk / "out") == ["a_x2.png", "b_x2.png", "sub"]
    assert names(disk / "out" / "sub") == ["b_x2.webp", "caf\u00e9_x2.jpg"]
    assert run([*command, "--overwrite", "--metadata", "strip"]) == 0
    assert names(disk / "out" / "sub") == [".dcls-outputs.jsonl", "b_x2.webp", "caf\u00e9_x2.jpg"]


def test_no_photo_is_replaced_under_another_name_of_it(
    disk: Path, x2: Path, capsys: Capture
) -> None:
    photo = picture(disk / "photo.png")
    before = photo.read_bytes()
    same = one(disk, "a", "A")
    command = ["upscale", str(photo), "-o", str(disk / "PHOTO.png"), "-w", str(x2), "-d", "cpu"]
    assert run([*command, "--overwrite"]) == (2 if same else 0)
    assert photo.read_bytes() == before
    if same:
        assert "the output would replace the input" in capsys.readouterr().err


def test_a_name_that_the_disk_refuses_is_one_line_and_leaves_nothing(
    disk: Path, tmp_path: Path, x2: Path, capsys: Capture
) -> None:
    photo, output = picture(tmp_path / "photo.png"), disk / "a:b.png"
    code = run(["upscale", str(photo), "-o", str(output), "-w", str(x2), "-d", "cpu"])
    if code == 0:
        assert names(disk) == ["a:b.png"]
    else:
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert names(disk) == []
