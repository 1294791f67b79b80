"""Tensors without metadata give their network away."""

import pytest
import torch

from dcls_cli.config import ModelConfig
from dcls_cli.errors import WeightsError
from dcls_cli.integrations.recognition import recognise
from dcls_cli.models import releases, weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.training.presets import PRESETS

CONFIGS = {
    f"{preset.name}-x{scale}": preset.network(scale)
    for preset in PRESETS.values()
    for scale in preset.sigmas
}
CONFIGS |= {
    "small": ModelConfig.light(
        3, features=32, reduction=2, groups=1, blocks=2, latent=8, kernel_size=11,
        estimator_features=16, estimator_blocks=1, head_blocks=2,
    ),
    "stepwise": ModelConfig.light(4, upsampler="stepwise", attention=True, smoothing="features"),
    "narrow": ModelConfig.paper(2, features=16, groups=2, blocks=2, latent=16, kernel_channels=4),
}  # fmt: skip


def tensors(config: ModelConfig) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return dict(DCLS(config).state_dict())


@pytest.mark.parametrize("name", CONFIGS)
def test_every_preset_is_recognised(name: str) -> None:
    assert recognise(tensors(CONFIGS[name])) == CONFIGS[name]


@pytest.mark.parametrize("item", releases.RELEASES, ids=lambda item: item.name)
def test_every_release_is_recognised(item: releases.Release) -> None:
    path = releases.location(item)
    if not path.is_file():
        pytest.skip("no released weights in this checkout")
    config, state = weights.read(path)
    assert recognise(state) == config


#: What the sizes are read from, and two that nothing is read from.
READ = (
    "restorer.conv_first.weight", "restorer.side_head.weight", "estimator.head.weight",
    "estimator.deep_linear_kernel.decoders.0.weight", "restorer.upsampler.0.weight",
    "estimator.deep_linear_kernel.decoders.2.weight", "restorer.fusion.weight",
    "restorer.groups.0.blocks.1.fuse.weight",
)  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_missing_tensor_is_named(name: str) -> None:
    state = tensors(CONFIGS["small"])
    del state[name]
    with pytest.raises(WeightsError):
        recognise(state)


def test_networks_that_do_not_show_are_refused() -> None:
    for config in (
        ModelConfig.paper(2, dual_path=False),
        ModelConfig.paper(2, deconvolution="cls"),
        ModelConfig.light(2, deconvolution_space="rgb"),
    ):
        with pytest.raises(WeightsError):
            recognise(tensors(config))
    with pytest.raises(WeightsError, match="missing"):
        recognise({})


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("shape", [(), (5,), (0, 3, 3, 3), (17, 3, 3, 3)])
def test_tensors_of_any_form_give_our_error(name: str, shape: tuple[int, ...]) -> None:
    state = {**tensors(CONFIGS["small"]), name: torch.empty(shape, device="meta")}
    with pytest.raises(WeightsError):
        recognise(state)
