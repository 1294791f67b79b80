"""A file appears whole or not at all, whatever happens while it is written."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from dcls_cli.files.atomic import atomic_write, check_writable
from tests.posix import resource

OLD = b"old content"


def write(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    def writer(file: BinaryIO) -> None:
        file.write(content)

    atomic_write(path, writer, overwrite=overwrite)


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_new_file_has_the_content_and_the_usual_permissions(tmp_path: Path) -> None:
    write(tmp_path / "a.bin", b"new")
    (tmp_path / "b.bin").write_bytes(b"")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "b.bin").stat().st_mode
    assert files(tmp_path) == ["a.bin", "b.bin"]


def test_a_writer_may_seek_back(tmp_path: Path) -> None:
    def writer(file: BinaryIO) -> None:
        file.write(b"....data")
        file.seek(0)
        file.write(b"head")

    atomic_write(tmp_path / "a.bin", writer, overwrite=False)
    assert (tmp_path / "a.bin").read_bytes() == b"headdata"


def test_an_existing_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(OLD)
    with pytest.raises(FileExistsError, match="exists already") as caught:
        write(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == OLD
    write(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert files(tmp_path) == ["a.bin"]


def test_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(OLD)
    link.symlink_to(target)
    write(link, b"new", overwrite=True)
    assert target.read_bytes() == OLD
    assert link.read_bytes() == b"new"
    assert not link.is_symlink()


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_writer_that_fails_leaves_nothing(
    tmp_path: Path, problem: type[BaseException], overwrite: bool
) -> None:
    path = tmp_path / "a.bin"
    if overwrite:
        path.write_bytes(OLD)

    def writer(file: BinaryIO) -> None:
        file.write(b"half")
        raise problem

    with pytest.raises(problem):
        atomic_write(path, writer, overwrite=overwrite)
    assert files(tmp_path) == (["a.bin"] if overwrite else [])
    assert not overwrite or path.read_bytes() == OLD


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk(full_disk: Path, overwrite: bool) -> None:
    path = full_disk / "a.bin"
    if overwrite:
        path.write_bytes(OLD)
    with pytest.raises(OSError, match="no space left on the disk") as caught:
        write(path, bytes(100_000), overwrite=overwrite)
    assert caught.value.filename == str(path)
    assert files(full_disk) == (["a.bin"] if overwrite else [])
    assert not overwrite or path.read_bytes() == OLD
    write(path, bytes(1000), overwrite=overwrite)  # and there is room again
    assert path.stat().st_size == 1000


def test_a_read_only_disk(full_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    with pytest.raises(OSError, match=f"{full_disk} is read-only"):
        write(full_disk / "a.bin", b"new")
    with pytest.raises(OSError, match="read-only"):
        check_writable(full_disk / "a.bin")


def test_a_limit_on_the_file_size_at_every_block(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in range(0, 40_000, 4096):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            with pytest.raises(OSError, match="larger than files may be"):
                write(path, bytes(40_000), overwrite=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == OLD
        assert files(tmp_path) == ["a.bin"]


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "folder").mkdir()
    for check in (check_writable, lambda path: write(path, b"new", overwrite=True)):
        with pytest.raises(OSError, match=f"the folder {tmp_path}/missing does not exist"):
            check(tmp_path / "missing" / "a.bin")
        with pytest.raises(OSError, match=f"{tmp_path}/file is not a folder"):
            check(tmp_path / "file" / "a.bin")
        with pytest.raises(OSError, match="is a folder"):
            check(tmp_path / "folder")
        with pytest.raises(OSError, match="name is too long"):
            check(tmp_path / ("x" * 300))
    assert files(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127 + "x", "new\nline", "[red]%s", "-o"])
def test_awkward_names(tmp_path: Path, name: str) -> None:
    check_writable(tmp_path / name)
    write(tmp_path / name, b"new")
    assert files(tmp_path) == [name]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.png")
    write(path, b"new")
    assert path.read_bytes() == b"new"


def test_one_of_many_writers_wins_and_no_content_is_mixed(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    barrier = threading.Barrier(8)
    refused = []

    def compete(letter: str) -> None:
        barrier.wait()
        try:
            write(path, letter.encode() * 100_000)
        except FileExistsError:
            refused.append(letter)

    threads = [threading.Thread(target=compete, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert len(refused) == 7
    assert content == content[:1] * 100_000
    assert content[:1].decode() not in refused
    assert files(tmp_path) == ["a.bin"]


FOREVER = """
import sys
from pathlib import Path
from dcls_cli.files.atomic import atomic_write
content = [letter * 200_000 for letter in (b"a", b"b")]
while True:
    for part in content:
        atomic_write(Path(sys.argv[1]), lambda file: file.write(part), overwrite=True)
"""


def test_a_killed_writer_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write(path, b"a" * 200_000)
    for kill in range(5):
        process = subprocess.Popen([sys.executable, "-c", FOREVER, str(path)])
        time.sleep(0.3 + 0.013 * kill)
        process.send_signal(signal.SIGKILL)
        process.wait()
        content = path.read_bytes()
        assert content == content[:1] * 200_000
    write(path, b"new", overwrite=True)
    assert files(tmp_path) == ["a.bin"]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write(tmp_path / "a.bin", b"new")
    with pytest.raises(FileExistsError, match="exists already"):
        write(tmp_path / "a.bin", b"other")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert files(tmp_path) == ["a.bin"]
