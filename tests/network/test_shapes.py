"""Networks that are built for their shapes alone."""

import pytest
import torch

from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS, shapes_only


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig.light(4),
        ModelConfig.photo(2),
        ModelConfig.paper(3, groups=1, blocks=2),
        ModelConfig.paper(2, groups=1, blocks=1, deconvolution="stretch", dual_path=False),
        ModelConfig.paper(4, groups=1, blocks=1, deconvolution="wiener"),
    ],
)
def test_shapes_are_those_of_the_network(config: ModelConfig) -> None:
    with shapes_only():
        network = DCLS(config)
    real = {name: tensor.shape for name, tensor in DCLS(config).state_dict().items()}
    assert {name: tensor.shape for name, tensor in network.state_dict().items()} == real
    layers = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d)]
    empty = [part.weight.is_meta for part in layers]
    assert sum(empty) >= len(empty) - 1  # the estimator's first filters may be a table
    random = torch.rand(2)  # nothing is left switched on
    assert not random.is_meta
    assert not torch.empty(2).is_meta
