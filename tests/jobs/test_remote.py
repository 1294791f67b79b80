"""Batches whose photos, outputs and reports are objects of a real S3 server on this machine."""

import functools
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry as _registered
from PIL import Image
from s3fs import S3FileSystem

from dcls_cli import upscale_files
from dcls_cli.cli.app import run
from dcls_cli.errors import BackendError, DclsError, UsageError
from dcls_cli.files import remote, temporaries
from dcls_cli.files.addresses import Address, location
from dcls_cli.jobs.events import Failed, Skipped, Task
from dcls_cli.jobs.request import Request
from dcls_cli.jobs.sources import find
from dcls_cli.jobs.worker import workers_of
from dcls_cli.upscaler import Upscaler
from tests import object_store
from tests.cli.test_upscale import write_weights
from tests.jobs.files import picture
from tests.object_store import Bucket, Server
from tests.pace import stretched

Capture = pytest.CaptureFixture[str]

NAMES = ["a.png", "b/c.jpg", "b/d/e.webp"]
OUTPUTS = ["a_x2.png", "b/c_x2.jpg", "b/d/e_x2.webp"]


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_weights(tmp_path_factory.mktemp("weights") / "x2.safetensors", 2))


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with object_store.serving() as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    object_store.connect(monkeypatch, running.url)
    running.requests.clear()
    running.bytes_sent = 0
    monkeypatch.setattr(running, "refuses", lambda _method, _path: False)
    return running


@pytest.fixture
def bucket(server: Server, request: pytest.FixtureRequest) -> Bucket:
    assert server.url
    return object_store.make_bucket(f"b{abs(hash(request.node.name))}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, and one of temporary files that must be left as empty as it was."""
    staged = tmp_path / "tmp"
    staged.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(staged))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield here
    assert list(staged.iterdir()) == []


@functools.cache
def photo(suffix: str, seed: int) -> bytes:
    with tempfile.TemporaryDirectory() as made:
        return picture(Path(made) / f"photo{suffix}", (12, 8), seed).read_bytes()


def fill(bucket: Bucket, prefix: str = "scans/", names: list[str] = NAMES) -> None:
    for seed, name in enumerate(names):
        bucket.put(prefix + name, photo(Path(name).suffix, seed))


def batch(x2: str, *arguments: str) -> int:
    return run(["batch", *arguments, "-w", x2, "-d", "cpu", "--precision", "fp32"])


def one_line(capsys: Capture) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def test_a_prefix_becomes_the_same_prefix_and_a_second_run_does_nothing(
    x2: str, server: Server, bucket: Bucket, capsys: Capture
) -> None:
    fill(bucket)
    for name in ("notes.xml", ".hidden.png", "b/.cache/x.png", "raw.nef", "marker/"):
        bucket.put(f"scans/{name}", b"nothing to see")
    bucket.put("scans/bad.jpg", b"no photo")
    top = f"s3://{bucket.name}"
    assert batch(x2, f"{top}/scans/", "-o", f"{top}/large/", "--report", f"{top}/r.jsonl") == 1
    captured = capsys.readouterr()
    assert bucket.keys("large/") == [f"large/{name}" for name in OUTPUTS]
    assert f"{top}/large/b/c_x2.jpg  24x16" in captured.out
    assert f"dcls: {top}/scans/bad.jpg: a text file; expected JPEG" in captured.err
    said = "3 done, 1 failed, 0 skipped; files left out: 1 camera raw, 2 hidden, 1 not a photo"
    assert captured.err.endswith(f"dcls: {said}\n")
    rows = {row["input"]: row for row in map(json.loads, bucket.get("r.jsonl").splitlines())}
    assert rows[f"{top}/scans/a.png"]["output"] == f"{top}/large/a_x2.png"
    assert rows[f"{top}/scans/bad.jpg"]["status"] == "failed"
    assert len(rows) == 4
    given = Image.open(io.BytesIO(photo(".png", 0)))
    expected = Upscaler.from_pretrained(x2, precision="fp32").up(given)
    np.testing.assert_array_equal(bucket.image("large/a_x2.png"), expected.image)
    assert bucket.unfinished() == []
    before = bucket.stamps()
    assert server.methods().count("HEAD") == 4  # is the output there? nothing else is asked
    server.requests.clear()
    assert batch(x2, f"{top}/scans/", "-o", f"{top}/large/") == 1
    assert "0 done, 1 failed, 3 skipped" in capsys.readouterr().err
    assert bucket.stamps() == before
    assert "PUT" not in server.methods()


def test_done_is_seen_by_header_and_end_alone(x2: str, server: Server, bucket: Bucket) -> None:
    """Neither of them is fetched whole."""
    size = (640, 480)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    for name, picture_size in (("in/a.png", size), ("out/a_x2.png", (1280, 960))):
        file = io.BytesIO()
        Image.fromarray(noise).resize(picture_size, 0).save(file, "PNG", compress_level=0)
        bucket.put(name, file.getvalue())
    task = Task(
        source=Address(f"s3://{bucket.name}/in/a.png"),
        output=Address(f"s3://{bucket.name}/out/a_x2.png"),
        makes_folder=True,
    )
    (worker,) = workers_of(Request(inputs=(), weights=Path(x2), devices=("cpu",)))
    events: list[object] = []
    assert worker.work(task, events.append) is None
    assert [type(event) for event in events] == [Skipped]
    assert server.methods().count("GET") >= 2
    assert 0 < server.bytes_sent < 500_000  # of 4.6 million


@pytest.mark.parametrize("inputs_local", [True, False])
def test_between_a_disk_and_a_store(
    x2: str, bucket: Bucket, capsys: Capture, inputs_local: bool
) -> None:
    top = f"s3://{bucket.name}"
    for seed, name in enumerate(NAMES):
        if inputs_local:
            picture(Path("in") / name, (12, 8), seed)
    if inputs_local:
        for said in ("3 done, 0 failed, 0 skipped", "0 done, 0 failed, 3 skipped"):
            assert batch(x2, "in", "-o", f"{top}/large") == 0
            assert said in capsys.readouterr().err
        assert bucket.keys() == [f"large/{name}" for name in OUTPUTS]
        return
    fill(bucket)
    for said in ("3 done, 0 failed, 0 skipped", "0 done, 0 failed, 3 skipped"):
        assert batch(x2, f"{top}/scans", "-o", "out", "--report", "r.csv") == 0
        assert said in capsys.readouterr().err
    made = sorted(p.relative_to("out").as_posix() for p in Path("out").rglob("*") if p.is_file())
    assert made == OUTPUTS


def test_patterns_objects_and_lists(x2: str, bucket: Bucket, folder: Path) -> None:
    fill(bucket)
    bucket.put("scans/odd name [1]", photo(".png", 9))
    top = f"s3://{bucket.name}"

    def found(*inputs: str) -> list[str]:
        return [str(each.relative) for each in find(inputs, recursive=True, out=None).sources]

    assert found(f"{top}/scans/**/*.webp") == ["b/d/e.webp"]
    assert found(f"{top}/scans/*.png") == ["a.png"]
    assert found(f"{top}/scans/*/?.jpg") == ["b/c.jpg"]
    assert found(f"{top}/scans/b/c.jpg") == ["c.jpg"]
    assert found(f"{top}/scans/odd name [1]") == ["odd name [1]"]
    picture(Path("own.png"))
    names = [f"{top}/scans/b/c.jpg", "# no photo", f"{top}/scans/a.png"]
    Path("list.txt").write_text("\n".join([*names, "own.png"]))
    assert found("list.txt") == ["a.png", "b/c.jpg", "own.png"]
    bucket.put("list.txt", "\n".join(names).encode())
    assert batch(x2, f"{top}/list.txt", f"{top}/scans/odd name [1]", "-o", f"{top}/out") == 0
    assert bucket.keys("out/") == ["out/a_x2.png", "out/b/c_x2.jpg", "out/odd name [1]_x2.png"]
    flat = find([f"{top}/scans"], recursive=False, out=None).sources
    assert [each.path.name for each in flat] == ["a.png", "odd name [1]"]
    assert folder.exists()


def test_listing_goes_on_past_the_first_page(
    server: Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PAGE", 3)
    names = [f"{number:02}.png" for number in range(10)]
    for name in names:
        bucket.put(f"many/{name}", b"")
    server.requests.clear()
    listed = remote.listed(Address(f"s3://{bucket.name}/many"))
    assert next(listed).name == names[0]
    assert len(server.requests) == 1  # the next page is asked for when it is wanted
    assert [each.name for each in listed] == names[1:]
    assert len(server.requests) == 4


def test_outputs_within_the_inputs_are_no_inputs(x2: str, bucket: Bucket, capsys: Capture) -> None:
    fill(bucket)
    top = f"s3://{bucket.name}/scans"
    for _ in range(2):
        assert batch(x2, top, "-o", f"{top}/large/") == 0
    assert "3 skipped; files left out: 3 outputs" in capsys.readouterr().err
    assert batch(x2, top, "-o", top) == 0  # side by side
    assert batch(x2, top, "-o", top) == 0
    assert "0 done, 0 failed, 3 skipped" in capsys.readouterr().err
    assert len(bucket.keys()) == 9


def test_names_that_differ_only_in_case_are_two(x2: str, bucket: Bucket) -> None:
    fill(bucket, "in/", ["a.png", "A.png"])
    assert batch(x2, f"s3://{bucket.name}/in", "-o", f"s3://{bucket.name}/out") == 0
    assert bucket.keys("out/") == ["out/A_x2.png", "out/a_x2.png"]


def test_names_never_lead_out_of_the_outputs(x2: str, bucket: Bucket, folder: Path) -> None:
    fill(bucket, "in/", ["../../../escaped.png", "/root.png", "x//y.png"])
    assert batch(x2, f"s3://{bucket.name}/in", "-o", "out") == 1
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert made == ["out/root_x2.png", "out/x/y_x2.png"]
    assert not (folder.parent / "escaped_x2.png").exists()


def test_damaged_foreign_and_unwanted_outputs(x2: str, bucket: Bucket, capsys: Capture) -> None:
    fill(bucket, names=NAMES[:1])
    top = f"s3://{bucket.name}"
    arguments = (f"{top}/scans", "-o", f"{top}/out")
    bucket.put("out/a_x2.png", b"")
    assert batch(x2, *arguments) == 0
    assert (
        f"{top}/out/a_x2.png: the existing file is damaged; it is replaced"
        in capsys.readouterr().err
    )
    whole = bucket.get("out/a_x2.png")
    bucket.put("out/a_x2.png", whole[:-20])
    assert batch(x2, *arguments) == 0
    assert bucket.get("out/a_x2.png") == whole
    other = photo(".png", 5)
    bucket.put("out/a_x2.png", other)
    assert batch(x2, *arguments) == 1
    assert "is not the output of this photo: 12x8 pixels, expected" in capsys.readouterr().err
    assert bucket.get("out/a_x2.png") == other
    assert batch(x2, *arguments, "--overwrite") == 0
    assert bucket.get("out/a_x2.png") == whole
    assert batch(x2, *arguments, "--metadata", "strip", "--overwrite") == 0
    assert batch(x2, *arguments, "--metadata", "strip") == 0
    assert "made with other options" not in capsys.readouterr().err


def test_outputs_say_themselves_how_they_were_made(
    x2: str, bucket: Bucket, capsys: Capture
) -> None:
    fill(bucket, names=NAMES[1:2])
    top = f"s3://{bucket.name}"
    arguments = (f"{top}/scans", "-o", f"{top}/out")
    assert batch(x2, *arguments, "--quality", "60") == 0
    assert bucket.keys("out/") == ["out/b/c_x2.jpg"]  # no hidden object
    assert batch(x2, *arguments, "--quality", "60") == 0
    assert "other options" not in capsys.readouterr().err
    assert batch(x2, *arguments) == 0
    assert "made with other options (--quality)" in capsys.readouterr().err
    assert batch(x2, *arguments, "--redo-changed") == 0
    assert "1 done" in capsys.readouterr().err


def test_a_limit_counts_only_what_is_not_there(x2: str, bucket: Bucket, capsys: Capture) -> None:
    fill(bucket)
    top = f"s3://{bucket.name}"
    for done in range(3):
        assert batch(x2, f"{top}/scans", "-o", f"{top}/out", "--limit", "1") == 0
        assert f"1 done, 0 failed, {done} skipped" in capsys.readouterr().err
    assert len(bucket.keys("out/")) == 3


def test_a_dry_run_writes_nothing(x2: str, server: Server, bucket: Bucket, capsys: Capture) -> None:
    fill(bucket)
    top = f"s3://{bucket.name}"
    assert batch(x2, f"{top}/scans", "-o", f"{top}/out", "--limit", "2") == 0
    capsys.readouterr()
    server.requests.clear()
    assert batch(x2, f"{top}/scans", "-o", f"{top}/out", "--dry-run") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{top}/out/b/d/e_x2.webp  24x16  from {top}/scans/b/d/e.webp\n"
    assert "1 to do, 0 would fail, 2 done already" in captured.err
    assert set(server.methods()) == {"GET", "HEAD"}


def test_an_object_that_vanishes_is_a_failed_photo(x2: str, bucket: Bucket) -> None:
    fill(bucket)
    top = f"s3://{bucket.name}"
    events: list[object] = []

    def take(event: object) -> None:
        events.append(event)

    outcomes = upscale_files(
        f"{top}/scans/",
        f"{top}/out/",
        weights=Path(x2),
        devices=("cpu",),
        raise_errors=False,
        on_event=take,
    )
    bucket.client.delete_object(Bucket=bucket.name, Key="scans/b/c.jpg")  # it is planned by now
    assert sorted(str(each.output) for each in outcomes) == [
        f"{top}/out/a_x2.png",
        f"{top}/out/b/d/e_x2.webp",
    ]
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert failed.message == f"{top}/scans/b/c.jpg: no such object or prefix"


def test_a_task_given_twice_finds_its_own_output(x2: str, bucket: Bucket) -> None:
    """As a cluster does it whose worker died after the upload: pickled, in another process."""
    fill(bucket)
    task = Task(
        source=Address(f"s3://{bucket.name}/scans/a.png"),
        output=Address(f"s3://{bucket.name}/out/a_x2.png"),
        makes_folder=True,
    )
    request = Request(inputs=(), weights=Path(x2), devices=("cpu",), precision="fp32")
    assert pickle.loads(pickle.dumps(task)) == task
    Path("job").write_bytes(pickle.dumps((request, task)))
    code = (
        "import pickle\n"
        "from dcls_cli.jobs.worker import workers_of\n"
        "request, task = pickle.load(open('job', 'rb'))\n"
        "(worker,) = workers_of(request)\n"
        "for _ in range(2):\n"
        "    worker.work(task, lambda event: print(type(event).__name__))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert list(dict.fromkeys(done.stdout.split())) == [
        "Started",
        "Stepped",
        "Finished",
        "Skipped",
    ]
    assert bucket.image("out/a_x2.png").size == (24, 16)


# Uploads that fail.


class Dying(MemoryFileSystem):
    """Takes half of an upload, then the connection is gone."""

    protocol = "dying"
    store: dict[str, object] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012

    def put_file(self, lpath: str, rpath: str, **_: object) -> None:
        content = Path(lpath).read_bytes()
        self.pipe_file(rpath, content[: len(content) // 2])
        raise ConnectionResetError("the connection was lost")


def test_an_upload_that_dies_leaves_nothing(x2: str, capsys: Capture) -> None:
    fsspec.register_implementation("dying", Dying, clobber=True)
    picture(Path("in/a.png"))
    store = fsspec.filesystem("dying")
    assert batch(x2, "in", "-o", "dying://bucket/out") == 1
    assert "dying://bucket/out/a_x2.png: cannot be written" in capsys.readouterr().err
    assert store.find("/") == []
    store.pipe_file("/bucket/out/a_x2.png", b"")  # damaged, so that it may be replaced
    assert batch(x2, "in", "-o", "dying://bucket/out") == 1
    assert store.find("/") == ["/bucket/out/a_x2.png"]
    assert store.cat_file("/bucket/out/a_x2.png") == b""


def test_an_upload_in_parts_is_aborted(server: Server, bucket: Bucket, tmp_path: Path) -> None:
    large, address = tmp_path / "large", Address(f"s3://{bucket.name}/large.tif")
    with large.open("wb") as file:
        file.truncate(101 << 20)
    server.refuses = lambda method, path: method == "PUT" and "partNumber=2" in path
    with pytest.raises(DclsError, match="large.tif: cannot be written: no permission"):
        remote.put(large, address)
    assert bucket.keys() == []
    assert bucket.unfinished() == []
    assert any("partNumber=1" in path for _, path in server.requests)
    large.unlink()


def test_a_photo_whose_upload_is_refused_fails_and_leaves_nothing(
    x2: str, server: Server, bucket: Bucket, capsys: Capture
) -> None:
    fill(bucket)
    top = f"s3://{bucket.name}"
    server.refuses = lambda method, path: method == "PUT" and "c_x2" in path
    assert batch(x2, f"{top}/scans", "-o", f"{top}/out") == 1
    assert "2 done, 1 failed" in capsys.readouterr().err
    assert bucket.keys("out/") == ["out/a_x2.png", "out/b/d/e_x2.webp"]


def test_a_memory_store_and_a_file_address(x2: str, capsys: Capture) -> None:
    """A store that is no object store, and an address that is a plain path."""
    store = fsspec.filesystem("memory")
    store.pipe_file("/pool/in/a.png", photo(".png", 0))
    try:
        assert batch(x2, "memory://pool/in", "-o", "memory://pool/out") == 0
        assert store.find("/pool/out") == ["/pool/out/a_x2.png"]
        assert batch(x2, "memory://pool/in", "-o", "memory://pool/out") == 0
        assert "1 skipped" in capsys.readouterr().err
        assert batch(x2, "memory://pool/*/a.png", "-o", f"file://{Path('out').absolute()}") == 0
        assert Path("out/in/a_x2.png").exists()
    finally:
        store.rm("/pool", recursive=True)


# What cannot be.


def test_what_is_not_there(x2: str, bucket: Bucket, capsys: Capture) -> None:
    fill(bucket)
    top = f"s3://{bucket.name}"
    for arguments, said in {
        ("s3://no-such-bucket/scans/", "-o", "out"): "s3://no-such-bucket/scans/: no such bucket",
        (f"{top}/none/", "-o", "out"): f"{top}/none/: no such object, and nothing below it",
        (f"{top}/*.gif", "-o", "out"): f"{top}/*.gif: no object fits this pattern",
        (f"{top}/a**.gif", "-o", "out"): "a**.gif: Invalid pattern: '**' can only be an entire",
        ("s3://*/a.png", "-o", "out"): "s3://*/a.png: the bucket must have no wildcard",
        (
            f"{top}/scans",
            "-o",
            "s3://no-such-bucket/x",
        ): "s3://no-such-bucket/x/output.png: no such bucket",
        (f"{top}/scans",): f"{top}/scans: needs -o, a folder or an address for the outputs",
        ("sr://bucket/a.png", "-o", "out"): "sr://bucket/a.png: sr:// is not known",
        ("s3://", "-o", "out"): "s3://: expected a name behind s3://",
        ("zip://a::s3://b/c", "-o", "out"): "zip://a::s3://b/c: chained addresses are not read",
        (f"{top}/scans", "-o", "out", "--report", f"{top}/r.txt"): "--report writes .jsonl or .csv",
    }.items():
        assert batch(x2, *arguments) == 2, arguments
        assert said in one_line(capsys)


def test_single_photos_are_not_addresses(x2: str, capsys: Capture) -> None:
    assert run(["upscale", "s3://bucket/a.png", "-w", x2]) == 2
    assert "s3://bucket/a.png: addresses are for batches; dcls batch" in one_line(capsys)


@pytest.mark.parametrize("writing", [False, True])
def test_rights_that_are_missing(
    x2: str, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: Capture, writing: bool
) -> None:
    assert server.url
    picture(Path("in/a.png"))
    address = "s3://bucket/photos/"
    arguments = ("in", "-o", address) if writing else (address, "-o", "out")
    with object_store.refusing(403, "AccessDenied") as url:
        object_store.connect(monkeypatch, url)
        assert batch(x2, *arguments) == 1
    said = f"{address}output.png: cannot be written" if writing else f"{address}: cannot be listed"
    assert f"{said}: no permission" in one_line(capsys)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    S3FileSystem.clear_instance_cache()
    assert batch(x2, *arguments) == 1
    assert f"{said}: no credentials" in one_line(capsys)


def test_an_endpoint_that_refuses_connections(
    x2: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    object_store.connect(monkeypatch, object_store.closed())
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # botocore's own; s3fs tries five times still
    started = time.perf_counter()
    assert batch(x2, "s3://bucket/photos/", "-o", "out") == 1
    assert time.perf_counter() - started < stretched(30)
    assert "s3://bucket/photos/: cannot be listed: the store cannot be reached" in one_line(capsys)


def test_an_endpoint_that_never_answers(
    x2: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(remote, "FIRST_ANSWER_S", 1.0)
    with object_store.silent() as url:
        object_store.connect(monkeypatch, url)
        assert batch(x2, "s3://bucket/photos/", "-o", "out") == 1
    assert "s3://bucket/photos/: no answer within 1 s" in one_line(capsys)


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gcs")])
def test_a_package_that_is_missing_is_named(
    scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"s3": "s3fs", "gs": "gcsfs"}[scheme]
    monkeypatch.setitem(sys.modules, module, None)  # as where it is not installed
    monkeypatch.delitem(_registered, scheme, raising=False)
    with pytest.raises(BackendError, match=rf"{scheme}:// needs a package .*\[{extra}\]"):
        remote.open_store(Address(f"{scheme}://bucket/a.png"))


# Addresses and folders.


def test_an_address_as_a_path_is_refused(x2: str, folder: Path) -> None:
    for inputs, output in ((Path("s3://bucket/in"), "out"), ("in", Path("s3://bucket/out"))):
        with pytest.raises(UsageError, match=r"s3:/bucket/.*: give an address as a text"):
            list(upscale_files(inputs, output, weights=Path(x2), devices=("cpu",)))
    assert list(folder.iterdir()) == []


def test_addresses_keep_their_text() -> None:
    address = location("S3://bucket/a//b.tar.png/")
    assert address == "s3://bucket/a//b.tar.png/"
    assert isinstance(address, Address)
    assert (address.name, address.stem, address.suffix) == ("b.tar.png", "b.tar", ".png")
    assert address.parent == "s3://bucket/a/"
    assert address.parent / Path("c/d.png") == "s3://bucket/a/c/d.png"
    assert Address("s3://bucket/").parent == "s3://bucket/"
    assert address / Path() == address
    assert address.parts == ("s3", "bucket", "a", "b.tar.png")
    assert isinstance(pickle.loads(pickle.dumps(address)), Address)
    for text in ("a/b.png", "C:\\a.png", "file:///a/b.png", "./s3:/x", Path("x")):
        assert isinstance(location(text), Path)
    with pytest.raises(UsageError):
        location("s3:///")


def test_folders_of_killed_processes_are_removed() -> None:
    code = (
        "import os, tempfile\n"
        "from dcls_cli.files import temporaries\n"
        f"tempfile.tempdir = {tempfile.tempdir!r}\n"
        "with temporaries.folder() as folder:\n"
        "    (folder / 'photo.png').write_bytes(b'half')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    top = Path(tempfile.gettempdir())
    assert len(list(top.iterdir())) == 1
    temporaries._tidy_up.cache_clear()
    with temporaries.folder() as folder:
        assert list(top.iterdir()) == [folder]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_signal_while_photos_are_fetched_leaves_nothing(
    x2: str, server: Server, bucket: Bucket
) -> None:
    fill(bucket)
    fetching = threading.Event()

    def hold(method: str, path: str) -> bool:
        if method == "GET" and path.endswith("/c.jpg"):
            fetching.set()
            time.sleep(3)
        return False

    server.refuses = hold
    top = f"s3://{bucket.name}"
    command = [sys.executable, "-c", "from dcls_cli.cli import main; main()", "batch"]
    command += [f"{top}/scans", "-o", f"{top}/out"]
    environment = {**os.environ, "TMPDIR": tempfile.gettempdir()}
    process = subprocess.Popen(
        [*command, "-w", x2, "-d", "cpu"], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert fetching.wait(60)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "run the same command again for the rest" in said
    assert bucket.keys("out/b/c") == []
    assert bucket.unfinished() == []
    server.refuses = lambda _method, _path: False
    assert batch(x2, f"{top}/scans", "-o", f"{top}/out") == 0
    assert bucket.keys("out/") == [f"out/{name}" for name in OUTPUTS]
