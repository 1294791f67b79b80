"""`dcls doctor`: both engines run a tile, and the findings are those of this machine."""

import json
from pathlib import Path

import onnxruntime
import pytest
import torch

from dcls_cli import diagnosis
from dcls_cli.cli.app import run

Capture = pytest.CaptureFixture[str]


def test_the_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "file").write_bytes(bytes(10))
    assert run(["doctor", "--json"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert event["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert event["versions"]["onnxruntime"] == onnxruntime.__version__
    assert event["providers"] == onnxruntime.get_available_providers()
    assert event["clash"] is None
    assert event["hub"] == "off"
    assert event["caches"][str(tmp_path)] == 10
    first, second = event["trials"]
    assert [first["engine"], second["engine"]] == ["torch", "onnx"]
    assert first["problem"] is second["problem"] is None
    assert 0 < second["difference"] < 1e-4
    assert min(first["seconds"], second["seconds"]) > 0


def test_a_clash_and_a_hub_that_is_away(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def trials() -> list[diagnosis.Trial]:
        return [diagnosis.Trial("torch", problem="none"), diagnosis.Trial("onnx", problem="none")]

    monkeypatch.setattr(diagnosis, "_trials", trials)  # another test runs them
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    wheels = {"onnxruntime": "1", "onnxruntime-gpu": "1"}
    monkeypatch.setattr("dcls_cli.backends.providers.installed_wheels", lambda: wheels)
    assert run(["doctor"]) == 5
    out = capsys.readouterr().out
    assert "onnxruntime and onnxruntime-gpu are installed at once" in out
    assert "not reachable: " in out
    assert "not usable: none" in out
