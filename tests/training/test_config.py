"""Options of a run: what is refused, and that older ones are read."""

import json

import pytest

from dcls_cli.errors import TrainingError
from dcls_cli.training.config import TrainConfig


@pytest.mark.parametrize(
    "changes",
    [
        {"iterations": 0},
        {"batch": 0},
        {"patch": 0},
        {"candidates": 0},
        {"window": 0},
        {"warmup": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"sigma_min": 0.0},
        {"sigma_min": 3.0, "sigma_max": 2.0},
        {"sigma_max": float("nan")},
        {"max_minutes": 0.0},
        {"max_minutes": float("nan")},
        {"seed": -1},
        {"optimizer": "sgd"},
        {"kernel_target": "none"},
        {"precision": "fp16"},
        {"clip": 0.0},
        {"ema": 1.0},
        {"final_rate": 1.1},
        {"softness": 1.6},
        {"spike": 1.0},
        {"batch": 2.0},
        {"batch": True},
        {"sigma_centred": 1},
        {"learning_rate": "1e-3"},
        {"seed": None},
        {"kernel_weight": -0.1},
        {"noise_level": 300.0},
        {"noise_level": 15.0, "degradation": "photo"},
        {"disturbance": 0.25},
        {"disturbance": 1.5, "degradation": "anisotropic"},
    ],
)
def test_refuses_what_cannot_be_trained(changes: dict[str, object]) -> None:
    with pytest.raises(TrainingError, match=next(iter(changes)).split("_")[0]):
        TrainConfig(**changes)  # type: ignore[arg-type]


def test_json_keeps_everything() -> None:
    config = TrainConfig(seed=3, max_minutes=1.5, optimizer="adamw", sigma_centred=True)
    assert TrainConfig.from_json(config.to_json()) == config


def test_reads_options_from_before_some_existed() -> None:
    old = json.loads(TrainConfig(batch=5).to_json())
    del old["candidates"], old["sigma_centred"]
    assert TrainConfig.from_json(json.dumps(old)) == TrainConfig(batch=5)


@pytest.mark.parametrize("text", ['{"from_the_future": 1}', "[]", "no json", '{"batch": 0}'])
def test_refuses_other_text(text: str) -> None:
    with pytest.raises(TrainingError):
        TrainConfig.from_json(text)


def test_differences_leave_the_length_out() -> None:
    one = TrainConfig(iterations=5, batch=2)
    assert one.differences(TrainConfig(iterations=9, max_minutes=3.0, batch=2)) == []
    assert one.differences(TrainConfig(batch=3, seed=1)) == ["seed", "batch"]
