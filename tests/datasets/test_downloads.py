"""Data sets from servers with every fault, killed and resumed: nothing wrong is kept."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from dcls_cli.data.catalogue import DATASETS
from dcls_cli.data.obtaining import Obtained, obtain, part_of
from dcls_cli.errors import DataError
from dcls_cli.files.locking import held
from dcls_cli.models.hub import transfer
from dcls_cli.models.hub.transfer import Listener
from tests.datasets import tiny
from tests.datasets.server import FileHandler, gets
from tests.hub_server import Hub, serving
from tests.pace import stretched
from tests.training.test_session import small_disk

CONTENT = tiny.zipped()
NOTES: list[str] = []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    NOTES.clear()
    monkeypatch.setattr(transfer, "PAUSE_S", 0.02)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 20)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving(FileHandler) as made:
        made.files["files"] = {tiny.ZIP: CONTENT}
        yield made


def address(server: Hub, kind: str = "files") -> str:
    return f"{server.url}/{kind}/{tiny.ZIP}"


def get(
    folder: Path, *mirrors: str, local: tuple[Path, ...] = (), mirror: str | None = None,
    published: bool = True, size: bool = True,
) -> Obtained:  # fmt: skip
    listener = Listener(note=NOTES.append, progress=lambda _received, _size: None)
    wanted = tiny.dataset(*mirrors, published=published, size=size)
    return obtain(wanted, folder, local=local, mirror=mirror, listener=listener)


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_download_is_whole_and_made_once(server: Hub, tmp_path: Path) -> None:
    for kind in ("files", "moved"):
        found = get(tmp_path / kind, address(server, kind))
        assert found.path.read_bytes() == CONTENT and left(tmp_path / kind) == {tiny.ZIP}
        server.log.clear()
        assert get(tmp_path / kind, address(server, kind)).origin == "was here already, whole"
        assert server.log == []


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("cut-always", "broke the connection off"),
        ("short", "sends only"),
        ("corrupt", "sends wrong bytes: its SHA256 is"),
        ("html", "a web page instead of the file"),
        ("slow", "came within 3 s"),
        ("silent", "does not answer|only 0 bytes came within 1 s"),
        ("401", "answers 401"),
        ("404", "answers 404"),
        ("500", "answers 500"),
    ],
)
def test_a_mirror_with_a_fault_gives_way_to_the_next(
    server: Hub, tmp_path: Path, mode: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode in ("slow", "silent"):  # the slow one has to answer in time, on a busy machine too
        seconds = 3 if mode == "slow" else 1
        monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", seconds)
    server.mode = mode
    started = time.monotonic()
    with pytest.raises(DataError) as caught:
        get(tmp_path / "one", address(server))
    message = str(caught.value)
    assert re.search(said, message) and "\n" not in message
    assert message.startswith("tiny: no mirror gives it: 127.0.0.1:")
    assert message.endswith(f"get {tiny.ZIP} by hand and name its folder with --from")
    assert caught.value.exit_code == 1 and time.monotonic() - started < stretched(20)
    parts = {part_of(Path(tiny.ZIP)).name} if mode in ("cut-always", "short", "slow") else set()
    assert left(tmp_path / "one") == parts
    with serving(FileHandler) as other:
        other.files["files"] = {tiny.ZIP: CONTENT}
        found = get(tmp_path / "two", address(server), address(other))
        assert found.path.read_bytes() == CONTENT and found.origin == f"came from {address(other)}"
        # What the first mirror sent right was not asked for again.
        begun = [wanted for wanted in gets(other) if wanted is not None]
        assert bool(begun) == (mode in ("cut-always", "short", "slow"))
    assert any(re.search(said, note) for note in NOTES)


def test_no_network_costs_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with pytest.raises(DataError, match="127.0.0.1:9 cannot be reached: .*--from"):
        get(tmp_path, "http://127.0.0.1:9/x.zip")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="HF_HUB_OFFLINE"):
        get(tmp_path, "http://127.0.0.1:9/x.zip")
    assert time.monotonic() - started < stretched(10)


def test_a_broken_connection_goes_on(server: Hub, tmp_path: Path) -> None:
    server.mode = "cut"
    assert get(tmp_path, address(server)).path.read_bytes() == CONTENT
    assert gets(server) == [None, f"bytes={len(CONTENT) * 6 // 10}-"]


@pytest.mark.parametrize("size", [True, False])
def test_what_an_earlier_run_has_left_is_not_asked_for_again(
    server: Hub, tmp_path: Path, size: bool
) -> None:
    part = part_of(tmp_path / tiny.ZIP)
    part.write_bytes(CONTENT[:1000])
    assert get(tmp_path, address(server), size=size).path.read_bytes() == CONTENT
    assert gets(server) == ["bytes=1000-"]
    # All of it has arrived, then the process was killed.
    (tmp_path / tiny.ZIP).rename(part)
    server.log.clear()
    assert get(tmp_path, address(server), size=size).path.read_bytes() == CONTENT
    assert gets(server) == ([] if size else [f"bytes={len(CONTENT)}-"])
    assert left(tmp_path) == {tiny.ZIP}


@pytest.mark.parametrize("wrong", [b"x" * 1000, b"x" * (len(CONTENT) + 5), b"x" * len(CONTENT)])
def test_what_does_not_fit_is_fetched_from_the_start(
    server: Hub, tmp_path: Path, wrong: bytes
) -> None:
    part_of(tmp_path / tiny.ZIP).write_bytes(wrong)
    assert get(tmp_path, address(server)).path.read_bytes() == CONTENT
    assert left(tmp_path) == {tiny.ZIP}


def program(server: Hub, folder: Path) -> "subprocess.Popen[str]":
    """`dcls data download` of the tiny data set, in a process of its own."""
    code = (
        "from dcls_cli.data.catalogue import DATASETS; from tests.datasets import tiny; "
        f"DATASETS['tiny'] = tiny.dataset({address(server)!r}); "
        f"from dcls_cli.cli.app import main; main()"
    )
    root = str(Path(__file__).resolve().parents[2])
    arguments = [sys.executable, "-c", code, "data", "download", "tiny", "--to", str(folder)]
    return subprocess.Popen(
        arguments, cwd=root, env={**os.environ, "PYTHONPATH": root}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_killed_again_and_again_it_ends_whole(server: Hub, tmp_path: Path) -> None:
    server.bytes_per_s = len(CONTENT) // 2
    part, moment = part_of(tmp_path / tiny.ZIP), random.Random(0)
    arrived = 0
    for _ in range(3):
        process = program(server, tmp_path)
        end = time.monotonic() + 60
        # The write buffer holds 8 KiB back: wait until the file grows.
        while not (part.exists() and part.stat().st_size > arrived) and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(moment.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (tmp_path / tiny.ZIP).exists():
            break
        assert part.stat().st_size >= arrived
        assert CONTENT.startswith(part.read_bytes())
        arrived = part.stat().st_size
    server.bytes_per_s = None
    process = program(server, tmp_path)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert stdout == f"{tmp_path / tiny.ZIP}\n"
    assert (tmp_path / tiny.ZIP).read_bytes() == CONTENT
    assert {name for name in left(tmp_path) if not name.endswith(".lock")} == {tiny.ZIP}
    starts = [int(wanted[6:-1]) if wanted else 0 for wanted in gets(server)]
    assert starts == sorted(starts) and starts[-1] > 0


def test_a_full_disk_keeps_what_has_arrived(server: Hub, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 16):
        with pytest.raises(
            DataError, match="(?i)no space left on .*; free some space and run the same"
        ):
            get(disk / "data", address(server))
        assert left(disk / "data") == {part_of(Path(tiny.ZIP)).name}
        assert CONTENT.startswith(part_of(disk / "data" / tiny.ZIP).read_bytes())
        subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
        assert get(disk / "data", address(server)).path.read_bytes() == CONTENT
        assert gets(server)[-1] is not None


def test_local_places_come_before_the_network(server: Hub, tmp_path: Path) -> None:
    place = tmp_path / "usb"
    place.mkdir()
    (place / tiny.ZIP).write_bytes(CONTENT)
    found = get(tmp_path / "data", address(server), local=(tmp_path, place))
    assert found.path.read_bytes() == CONTENT and str(place) in found.origin
    images = tiny.unpacked(place / tiny.FOLDER)
    (place / tiny.ZIP).unlink()
    for where in (place, images):
        assert get(tmp_path / "other", address(server), local=(where,)).path == images
    assert server.log == []
    with pytest.raises(DataError, match="no such folder"):
        get(tmp_path / "other", address(server), local=(tmp_path / "none",))


def test_a_damaged_archive_is_refused_and_stays(server: Hub, tmp_path: Path) -> None:
    for content, said in ((CONTENT[:-5], "bytes, expected"), (CONTENT[:-1] + b"x", "SHA256")):
        (tmp_path / tiny.ZIP).write_bytes(content)
        with pytest.raises(DataError, match=f"{tiny.ZIP}: damaged: .*{said}.* rename it to"):
            get(tmp_path, address(server))
        with pytest.raises(DataError, match="damaged"):
            get(tmp_path / "data", address(server), local=(tmp_path,))
        assert (tmp_path / tiny.ZIP).read_bytes() == content
    assert server.log == []


def test_without_a_published_digest_the_servers_counts(server: Hub, tmp_path: Path) -> None:
    url = address(server, "hub")
    server.mode = "corrupt"
    with pytest.raises(DataError, match="wrong bytes"):
        get(tmp_path, url, published=False)
    server.mode = "ok"
    assert get(tmp_path, url, published=False).path.read_bytes() == CONTENT
    record = tmp_path / f"{tiny.ZIP}.sha256"
    done = subprocess.run(["sha256sum", "-c", record.name], cwd=tmp_path, check=False)
    assert done.returncode == 0 and "as its server states" in NOTES[-1]
    assert get(tmp_path, url, published=False).origin == "was here already, whole"
    (tmp_path / tiny.ZIP).write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(DataError, match="damaged"):
        get(tmp_path, url, published=False)


def test_nothing_to_compare_with_is_told_and_not_resumed(server: Hub, tmp_path: Path) -> None:
    part_of(tmp_path / tiny.ZIP).write_bytes(b"of who knows what")
    assert get(tmp_path, address(server), published=False).path.read_bytes() == CONTENT
    assert gets(server) == [None]
    assert "which nothing could be compared with" in NOTES[-1]


def test_an_own_mirror_comes_first(server: Hub, tmp_path: Path) -> None:
    for index, own in enumerate((f"{server.url}/files/", address(server))):
        found = get(tmp_path / str(index), "http://127.0.0.1:9/x.zip", mirror=own)
        assert found.origin == f"came from {address(server)}"


def test_two_downloads_into_one_folder_are_refused(server: Hub, tmp_path: Path) -> None:
    with (
        held(tmp_path / ".tiny.lock"),
        pytest.raises(DataError, match=f"process {os.getpid()} is downloading tiny"),
    ):
        get(tmp_path, address(server))


def test_the_catalogue() -> None:
    assert [len(item.images) for item in DATASETS.values()] == [800, 100, 2650]
    assert DATASETS["div2k"].images[0] == "0001.png"
    assert DATASETS["div2k-valid"].images[-1] == "0900.png"
    assert DATASETS["flickr2k"].images[-1] == "002650.png"
    for item in DATASETS.values():
        assert sum(len(archive.mirrors) for archive in item.archives) >= 2
        for archive in item.archives:
            hosts = {mirror.split("/")[2] for mirror in archive.mirrors}
            assert hosts and all(mirror.endswith(archive.name) for mirror in archive.mirrors)
            assert archive.sha256 is None or len(archive.sha256) == 64
            assert archive.md5 is None or len(archive.md5) == 32
