"""Photos in Google Cloud Storage, on a server that speaks its protocol over HTTP."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_upscale import run, write_weights
from tests.jobs.files import picture

pytestmark = pytest.mark.slow


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A client of gcsfs for a bucket `pool` on this machine."""
    # Neither belongs to the development environment: google-cloud brings thirty packages.
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="gcp-storage-emulator")
    # Read at import; the emulator does not speak the gRPC by which the kind of a bucket is asked.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    gcsfs = pytest.importorskip("gcsfs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="pool")
    server.start()
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    monkeypatch.setenv("FSSPEC_GS_TOKEN", "anon")
    monkeypatch.setitem(__import__("fsspec").config.conf, "gs", {"token": "anon"})
    yield gcsfs.GCSFileSystem(token="anon", endpoint_url=url)  # noqa: S106
    server.stop()


def test_a_prefix_becomes_the_same_prefix_and_a_second_run_does_nothing(
    store: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x2 = write_weights(tmp_path / "x2.safetensors", 2)
    for name in ("a.png", "b/c.jpg"):
        store.pipe(f"pool/in/{name}", picture(tmp_path / name).read_bytes())  # type: ignore[attr-defined]
    command = ["batch", "gs://pool/in/", "-o", "gs://pool/out/", "-w", str(x2), "-d", "cpu"]
    for done, skipped in ((2, 0), (0, 2)):
        assert run([*command, "--report", "gs://pool/report.csv"]) == 0
        assert f"{done} done, 0 failed, {skipped} skipped" in capsys.readouterr().err
    found = store.find("pool/")  # type: ignore[attr-defined]
    outputs = ["pool/out/a_x2.png", "pool/out/b/c_x2.jpg"]
    assert found == ["pool/in/a.png", "pool/in/b/c.jpg", *outputs, "pool/report.csv"]
    assert store.cat("pool/report.csv").count(b"skipped") == 2  # type: ignore[attr-defined]
