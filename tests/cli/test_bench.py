"""`dcls bench`: it measures what the preset trains with, and refuses what is not there."""

import json
import re
from pathlib import Path

import pytest
import torch

from dcls_cli.backends.devices import has_bf16
from dcls_cli.cli import app
from dcls_cli.training.presets import PRESETS


@pytest.fixture(autouse=True)
def threads() -> object:
    """The command sets the threads of the whole process."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_measures_training_and_both_precisions(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["bench", "--seconds", "0.1", "--side", "16", "--batch", "1", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [event["event"] for event in events]
    precisions = ["fp32", "bf16"] if has_bf16(torch.device("cpu")) else ["fp32"]
    count = len(precisions)
    assert names[: count + 2] == ["training", *["inference"] * count, "comparison"]
    assert [event.get("precision") for event in events[1 : count + 2]] == [*precisions, "fp32"]
    assert names[-3:] == ["tiles", "released", "released"]
    assert [event["precision"] for event in events[-2:]] == ["fp32", "int8"]
    tiles = events[-3]
    assert (tiles["side_px"], tiles["batch"]) == (64, 16)
    assert tiles["batch_ratio"] == tiles["alone_us_per_px"] / tiles["batch_us_per_px"] > 0
    assert tiles["captured_ratio"] is None
    for found in events[count + 1 : -3]:
        assert found["ratio"] == found["plain_us_per_px"] / found["us_per_px"]
        assert found["share"] == found["gmac_per_s"] / found["convolutions_gmac_per_s"]
    assert events[0]["setup"].endswith("1 thread")
    assert events[0]["patches_per_s"] > 0
    assert 0 < events[0]["degradation_share"] < 1
    assert all(event["us_per_px"] > 0 and event["side_px"] == 16 for event in events[1 : count + 1])


def test_every_field_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page.split("`bench` prints")[1], re.M))
    assert app.run(["bench", "--seconds", "0.1", "--side", "8", "--json"]) == 0
    for line in capsys.readouterr().out.splitlines():
        event = json.loads(line)
        documented = set(re.findall(r"`(\w+)`", rows[event["event"]]))
        assert documented == set(event) - {"event", "setup"}


@pytest.mark.slow
def test_trains_as_the_preset_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["bench", "--seconds", "0.1", "--side", "8"]) == 0
    light = PRESETS["light"].training(4)
    expected = f"(LR {light.patch} px, batch {light.batch})"
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--preset", "huge"], 2), (["--scale", "5"], 2), (["--device", "cuda:99"], 5)],
)
def test_refuses(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["bench", *arguments]) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
