"""The configuration: what is written is read, and what cannot be built is refused with its name."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcls_cli.config import FILTER_LADDERS, ModelConfig, checked_scale
from dcls_cli.errors import UsageError, WeightsError


@pytest.mark.parametrize("preset", ["light", "photo", "paper"])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel_size", FILTER_LADDERS)
def test_what_is_written_is_read(preset: str, scale: int, kernel_size: int) -> None:
    config = getattr(ModelConfig, preset)(checked_scale(scale), kernel_size=kernel_size)
    text = config.to_json()
    assert ModelConfig.from_json(text) == config
    assert json.loads(text)["kernel_filters"] == list(FILTER_LADDERS[kernel_size])


def test_presets_are_those_of_the_paper_and_of_the_budget() -> None:
    paper, light = ModelConfig.paper(4), ModelConfig.light(4)
    assert (paper.features, paper.groups, paper.blocks, paper.latent) == (64, 5, 10, 256)
    assert (paper.path_features, paper.kernel_size, paper.kernel_filters) == (16, 21, (11, 7, 5, 1))
    assert (paper.kernel_space, paper.skip, paper.cls_epsilon) == ("lr", "none", 0.0)
    assert (light.kernel_space, light.skip, light.cls_epsilon) == ("hr", "linear", 1e-2)
    assert light.features % 16 == light.path_features % 16 == 0


def test_it_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ModelConfig.light(4).scale = 2  # type: ignore[misc]


@pytest.mark.parametrize("kernel_size", FILTER_LADDERS)
def test_ladders_collapse_to_their_kernel(kernel_size: int) -> None:
    assert sum(width - 1 for width in FILTER_LADDERS[kernel_size]) + 1 == kernel_size


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": 5}, "scale is 5, expected 2, 3, 4"),
        ({"scale": 4.0}, "scale is 4.0"),
        ({"scale": "4"}, "scale is '4'"),
        ({"scale": None}, "scale is None"),
        ({"kernel_size": 13}, "kernel_size is 13, expected 11, 21, 31"),
        ({"kernel_size": [21]}, "kernel_size is"),
        ({"kernel_size": 31, "kernel_filters": [11, 7, 5, 1]}, "do not collapse to a kernel of 31"),
        ({"kernel_filters": 21}, "kernel_filters is 21"),
        ({"kernel_filters": "21"}, "kernel_filters is '21'"),
        ({"kernel_filters": [20, 2]}, "expected odd"),
        ({"kernel_filters": [23, -1]}, "expected odd"),
        ({"kernel_filters": [21, None]}, "expected odd"),
        ({"kernel_norm": "max"}, "kernel_norm is 'max', expected sum, softmax"),
        ({"pooling": ["mean"]}, "pooling is"),
        ({"attention": 1}, "attention is 1, expected true or false"),
        ({"features": 0}, "features is 0"),
        ({"features": -64}, "features is -64"),
        ({"features": 64.5}, "features is 64.5"),
        ({"features": True}, "features is True"),
        ({"features": 10**9}, "features is 1000000000"),
        ({"features": "x" * 10**6}, "features is 'xxx"),
        ({"latent": None}, "latent is None"),
        ({"blocks": 0}, "blocks is 0"),
        ({"head_blocks": -1}, "head_blocks is -1"),
        ({"skip_taper": -1}, "skip_taper is -1"),
        ({"skip_taper": 16}, "21 taps cannot fade over 16"),
        ({"features": 66}, "multiple of reduction"),
        ({"features": 8, "attention": True}, "attention needs"),
        ({"cls_epsilon": -1}, "cls_epsilon is -1"),
        ({"cls_epsilon": float("nan")}, "cls_epsilon is nan"),
        ({"cls_epsilon": float("inf")}, "cls_epsilon is inf"),
        ({"cls_epsilon": "0"}, "cls_epsilon is '0'"),
        ({"skip": "linear", "kernel_space": "lr"}, "needs kernel_space hr"),
        ({"noise": "estimated", "skip": "none"}, "only the linear skip"),
        ({"colour": "red"}, "unknown fields colour"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(changes: dict[str, object], said: str) -> None:
    values = asdict(ModelConfig.light(4)) | changes
    with pytest.raises(WeightsError, match="model configuration") as raised:
        ModelConfig.from_json(json.dumps(values))
    message = str(raised.value)
    assert said in message
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "4", '"light"', "{}", "[" * 100_000, "1" * 10_000, "\x00"]
)
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(WeightsError, match="model configuration") as raised:
        ModelConfig.from_json(text)
    assert len(str(raised.value)) < 300


def test_a_missing_scale_is_named() -> None:
    with pytest.raises(WeightsError, match="scale"):
        ModelConfig.from_json('{"features": 64}')


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(sorted(asdict(ModelConfig.light(4)))),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=3)
        | st.lists(st.integers() | st.none(), max_size=4)
        | st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    )
)
def test_any_values_give_a_configuration_or_our_error(changes: dict[str, object]) -> None:
    try:
        config = ModelConfig.from_json(json.dumps(asdict(ModelConfig.light(4)) | changes))
    except WeightsError:
        return
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("scale", [0, 1, 5, -4])
def test_a_scale_without_networks_is_a_usage_error(scale: int) -> None:
    with pytest.raises(UsageError, match="choose 2, 3 or 4"):
        checked_scale(scale)
