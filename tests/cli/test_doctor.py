"""`dcls doctor`: both engines run a tile, and the findings are those of this machine."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest
import torch

from dcls_cli import diagnosis
from dcls_cli.backends import wheels
from dcls_cli.cli.app import run
from tests.web.serving import address, serve

ROOT = Path(__file__).resolve().parents[2]

Capture = pytest.CaptureFixture[str]


def test_the_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "file").write_bytes(bytes(10))
    assert run(["doctor", "--json"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert event.pop("event") == "doctor"
    assert event["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    (wheel,) = wheels.installed_wheels()
    assert event["versions"][wheel] == onnxruntime.__version__
    assert event["providers"] == onnxruntime.get_available_providers()
    assert event["clash"] is None
    assert event["hub"] == "off"
    assert event["caches"][str(tmp_path)] == 10
    first, second = event["trials"]
    assert [first["engine"], second["engine"]] == ["torch", "onnx"]
    assert first["problem"] is second["problem"] is None
    assert 0 < second["difference"] < 1e-4
    assert min(first["seconds"], second["seconds"]) > 0
    documented = (ROOT / "docs" / "json.md").read_text().partition("`doctor` has")[2]
    for name in (*event, *first):
        assert f"`{name}`" in documented


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test runs them."""
    trials = [diagnosis.Trial("torch", problem="none"), diagnosis.Trial("onnx", problem="none")]
    monkeypatch.setattr(diagnosis, "_trials", lambda: trials)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.mark.usefixtures("no_engine")
def test_a_clash_and_a_hub_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    (other,) = {"onnxruntime", "onnxruntime-gpu"} - set(wheels.installed_wheels())
    about = tmp_path / f"{other.replace('-', '_')}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {other}\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run(["doctor"]) == 5
    out = capsys.readouterr().out
    assert "onnxruntime and onnxruntime-gpu are installed at once" in out
    assert "not reachable: " in out
    assert "not usable: none" in out


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.usefixtures("no_engine")
def test_only_an_answer_of_the_hub_is_one(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(diagnosis, "PATIENCE_S", 0.3)
    with serve(tmp_path) as server:
        for endpoint, words in (
            (address(server), "hub: reachable"),
            (f"{address(server)}no", "answers with HTTP 404"),
            (silent, "not reachable: "),
        ):
            monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
            run(["doctor", "--json"])
            assert words in f"hub: {json.loads(capsys.readouterr().out)['hub']}"


def test_what_auto_could_not_use_is_told() -> None:
    from dcls_cli.cli.doctor import in_words

    fallen = diagnosis.Trial("onnx", "cpu", "fp32", 0.1, 1e-6, note="no driver; the CPU is used")
    assert in_words(fallen).endswith(
        "at most 1.0e-06 from the other engine; no driver; the CPU is used"
    )
