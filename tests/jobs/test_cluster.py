"""`dcls batch --ray` on real nodes of Ray, one of which is killed without grace."""

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.errors import UsageError
from dcls_cli.jobs import cluster
from dcls_cli.jobs.cluster import Cluster
from dcls_cli.jobs.records import NAME
from dcls_cli.jobs.selection import Shard
from tests import object_store
from tests.jobs.files import picture
from tests.pace import stretched

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")

Capture = pytest.CaptureFixture[str]

LIGHT = ("-m", "dcls-light-x4")

#: Two nodes of one processor; the second one dies when so many outputs are there.
NODES = """
import sys, time
from pathlib import Path
from ray.cluster_utils import Cluster

out, enough = Path(sys.argv[1]), int(sys.argv[2])
cluster = Cluster(
    initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
)
node = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
while len(list(out.glob("*.png"))) < enough:
    time.sleep(0.05)
cluster.remove_node(node, allow_graceful=False)
print("killed", flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(29):
        picture(Path(f"in/{number:02}.png"), (40, 30), number)
    Path("in/bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return tmp_path


@pytest.fixture
def nodes(photos: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    words = [sys.executable, "-c", NODES, str(photos / "out"), "9"]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as program:
        yield program
        assert program.stdin is not None
        program.stdin.close()


def test_a_node_that_dies_costs_no_photo(
    nodes: "subprocess.Popen[str]", photos: Path, capsys: Capture
) -> None:
    assert nodes.stdout is not None
    address = nodes.stdout.readline().strip()
    command = ("batch", "in", "-o", "out", *LIGHT, "--ray", address, "--workers", "2")
    assert run([*command, "--report", "rows.jsonl", "--json"]) == 1
    assert nodes.stdout.readline().strip() == "killed"
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    status = {Path(row["input"]).name: row["status"] for row in rows}
    assert len(rows) == len(status) == 30
    assert status.pop("bad.png") == "failed"
    # A photo whose row was lost with its worker is found finished by the next one.
    assert set(status.values()) <= {"done", "skipped"}
    assert {row["input"] for row in rows} == {f"in/{name}" for name in (*status, "bad.png")}
    files = sorted(path.name for path in Path("out").iterdir())
    assert files == [f"{number:02}_x4.png" for number in range(29)]  # and no leftovers
    for name in files:
        assert Image.open(Path("out", name)).size == (160, 120)
    *_, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert summary["engines"] == [{"ray": address, "workers": 2}]
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    Path("in/bad.png").unlink()
    assert run(list(command)) == 0
    assert "0 done, 0 failed, 29 skipped" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == before


def test_workers_of_this_machine_make_what_threads_make(photos: Path, capsys: Capture) -> None:
    """With the user's own weights, which are sent to the workers, and without a word of Ray's."""
    from dcls_cli.models.releases import location, release

    Path("mine.safetensors").write_bytes(location(release("dcls-light-x4")).read_bytes())
    for path in list(Path("in").iterdir())[4:]:
        path.unlink()
    picture(Path("in/99.png"), (40, 30), 99)
    options = ("-w", "mine.safetensors", "--metadata", "strip", "-d", "cpu")
    assert run(["batch", "in", "-o", "ray", *options, "--ray", "local", "--workers", "1"]) in (0, 1)
    said = capsys.readouterr()
    assert "WARNING" not in said.err and "INFO" not in said.err
    assert all(line.startswith("ray/") for line in said.out.splitlines())
    assert run(["batch", "in", "-o", "threads", *options]) in (0, 1)
    names = sorted(path.name for path in Path("threads").iterdir())
    assert len(names) >= 4 and names == sorted(path.name for path in Path("ray").iterdir())
    for name in names:
        if name != NAME:
            assert Path("ray", name).read_bytes() == Path("threads", name).read_bytes()


@pytest.mark.slow
def test_objects_go_through_workers_too(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with object_store.serving() as server:
        object_store.connect(monkeypatch, server.url)
        bucket = object_store.make_bucket("scans")
        for name in ("00.png", "01.png", "bad.png"):
            bucket.put(f"in/{name}", Path("in", name).read_bytes())
        line = ("batch", "s3://scans/in/", "-o", "s3://scans/out/", *LIGHT, "--ray", "local")
        assert run([*line, "--workers", "1", "--report", "s3://scans/rows.jsonl"]) == 1
        assert bucket.keys("out/") == ["out/00_x4.png", "out/01_x4.png"]
        assert bucket.image("out/00_x4.png").size == (160, 120)
        rows = [json.loads(text) for text in bucket.get("rows.jsonl").splitlines()]
        assert {row["input"]: row["status"] for row in rows} == {
            "s3://scans/in/00.png": "done",
            "s3://scans/in/01.png": "done",
            "s3://scans/in/bad.png": "failed",
        }
        assert not bucket.unfinished()


def refused(capsys: Capture, *options: str) -> tuple[int, str]:
    code = run(["batch", "in", "-o", "out", *LIGHT, *options])
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0, said
    return code, said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workers", "2"), "--workers and --gpus-per-worker are for --ray; give --ray too"),
        (("--gpus-per-worker", "1"), "are for --ray"),
        (("--ray", "local", "--workers", "0"), "--workers 0: expected N or LEAST:MOST"),
        (("--ray", "local", "--workers", "4:2"), "--workers 4:2: expected"),
        (("--ray", "local", "--workers", "many"), "--workers many: expected"),
        (("--ray", "local", "--gpus-per-worker", "-1"), "expected 0 or more"),
        (("--ray", "nowhere"), "--ray nowhere: expected local, auto, HOST:PORT or"),
        (("--ray", "host:port"), "--ray host:port: expected"),
    ],
)
def test_senseless_options_are_refused(
    options: tuple[str, ...], said: str, photos: Path, capsys: Capture
) -> None:
    code, text = refused(capsys, *options)
    assert code == 2 and said in text


def test_a_cluster_that_does_not_answer_is_refused_soon(photos: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    started = time.monotonic()
    code, said = refused(capsys, "--ray", f"127.0.0.1:{port}")
    assert code == 5 and f"--ray 127.0.0.1:{port}: no cluster can be reached" in said
    assert time.monotonic() - started < stretched(cluster.PATIENCE_S)


def test_without_ray_or_with_an_old_one(
    photos: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", {"ray": "2.9.3"}.__getitem__)
    code, said = refused(capsys, "--ray", "local")
    assert code == 2 and "Ray 2.9.3 is too old, 2.50 is needed: pip install" in said
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    code, said = refused(capsys, "--ray", "local")
    assert code == 2 and "--ray needs Ray: pip install" in said


@pytest.mark.slow
def test_gpus_that_no_node_has(photos: Path, capsys: Capture) -> None:
    code, said = refused(capsys, "--ray", "local", "--gpus-per-worker", "1")
    assert code == 5 and "no node of the cluster has a GPU" in said


@pytest.mark.slow
def test_another_version_on_a_node(
    photos: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "__version__", "0.0.1")  # of the command alone
    assert run(["batch", "in", "-o", "out", *LIGHT, "--ray", "local", "--workers", "1"]) == 5
    assert "the command 0.0.1; install the same version on all nodes" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "expected"), [("3", (3, 3)), ("1:32", (1, 32)), (None, (1, 0))])
def test_workers(text: str | None, expected: tuple[int, int]) -> None:
    found = Cluster.of("auto", text, 0.5)
    assert found is not None and (found.least, found.most) == expected


def test_job_arrays_are_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "8")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "1")
    assert Shard.parse("slurm") == Shard(5, 8)
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "0")
    assert Shard.parse("slurm") == Shard(6, 8)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    monkeypatch.setenv("JOB_COMPLETIONS", "4")
    assert Shard.parse("k8s") == Shard(1, 4)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "4")
    with pytest.raises(UsageError, match="JOB_COMPLETION_INDEX=4 is not one of 4 tasks"):
        Shard.parse("k8s")
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    with pytest.raises(UsageError, match="needs the numbers SLURM_ARRAY_TASK_ID"):
        Shard.parse("slurm")
