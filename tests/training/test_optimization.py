"""Muon, the schedule, the averages and the clipping, against independent formulas."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dcls_cli.training.optimization import (
    MIN_CHANNELS,
    UPDATE_RMS,
    Muon,
    build_optimizers,
    learning_rate,
    orthogonalise,
)
from tests.training import runs


@pytest.mark.parametrize("shape", [(3, 16, 40), (2, 40, 16), (1, 24, 24)])
def test_orthogonalise_approaches_the_polar_factor(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, vh = np.linalg.svd(matrices.numpy(), full_matrices=False)
    got = orthogonalise(matrices).double().numpy()
    # The quintic leaves singular values between 0.7 and 1.2 and turns no singular vector.
    along = np.swapaxes(u, 1, 2) @ got @ np.swapaxes(vh, 1, 2)
    singular = np.diagonal(along, axis1=1, axis2=2)
    assert singular.min() > 0.6 and singular.max() < 1.3
    beside = along - singular[..., None] * np.eye(along.shape[-1])
    assert np.abs(beside).max() < 1e-4


def test_orthogonalise_survives_zero() -> None:
    assert orthogonalise(torch.zeros(1, 16, 16)).isfinite().all()


def test_muon_step_is_the_orthogonalised_nesterov_momentum() -> None:
    random = torch.Generator().manual_seed(1)
    weight = nn.Parameter(torch.randn(16, 20, 3, 3, generator=random))
    before = weight.detach().clone()
    gradients = [torch.randn(weight.shape, generator=random) for _ in range(2)]
    optimizer = Muon([weight], lr=0.1)
    momentum = torch.zeros_like(before)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
        momentum = 0.95 * momentum + 0.05 * gradient
        update = orthogonalise((0.05 * gradient + 0.95 * momentum).reshape(1, 16, 180))
        before = before - 0.1 * UPDATE_RMS * math.sqrt(180) * update.view_as(before)
    torch.testing.assert_close(weight.detach(), before, rtol=0, atol=1e-5)


def test_muon_takes_hidden_matrices_only() -> None:
    from dcls_cli.network.dcls import DCLS

    network = DCLS(runs.tiny())
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    adamw, muon = build_optimizers(network, runs.config())
    taken = [names[id(p)] for group in muon.param_groups for p in group["params"]]
    left = [names[id(p)] for group in adamw.param_groups for p in group["params"]]
    assert sorted(taken + left) == sorted(names.values())
    assert "restorer.groups.0.blocks.0.main_conv1.weight" in taken
    assert not any(name.endswith("bias") or "upsampler" in name for name in taken)
    assert {"restorer.conv_first.weight", "estimator.head.weight"} <= set(left)
    shapes = [parameter.shape for group in muon.param_groups for parameter in group["params"]]
    assert all(min(shape[:2]) >= MIN_CHANNELS for shape in shapes)
    (only,) = build_optimizers(network, runs.config(optimizer="adamw"))
    assert isinstance(only, torch.optim.AdamW)


def test_warm_up_and_cosine() -> None:
    config = runs.config(learning_rate=2.0, warmup=4, final_rate=0.1)
    warm = [learning_rate(config, step, 0.0) for step in range(6)]
    assert warm == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    late = [learning_rate(config, 99, progress) for progress in (0.0, 0.5, 1.0, 1.3)]
    assert late == pytest.approx([2.0, 2.0 * (0.1 + 0.9 / 2), 0.2, 0.2])
    assert learning_rate(config, 99, 0.25) == pytest.approx(
        2.0 * (0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2)
    )


def test_average_follows_its_recursion(hr: Path, tmp_path: Path) -> None:
    trainer, _ = runs.trainer(hr, tmp_path, runs.config(ema=0.8))
    state = trainer.state
    name = "restorer.conv_first.weight"
    averaged = copy.deepcopy(state.ema.state_dict()[name]).double()
    for step in range(12):
        state.train_step(trainer.sampler.batch(step, 0), 0.0)
        decay = min(0.8, (1 + step) / (10 + step))
        current = state.network.state_dict()[name].double()
        averaged = decay * averaged + (1 - decay) * current
    torch.testing.assert_close(state.ema.state_dict()[name].double(), averaged, rtol=0, atol=1e-6)
    assert not torch.equal(state.ema.state_dict()[name], state.network.state_dict()[name])


def test_gradients_are_clipped_and_their_norm_is_told(hr: Path, tmp_path: Path) -> None:
    trainer, _ = runs.trainer(hr, tmp_path, runs.config(clip=1e-3))
    state = trainer.state
    *_, told = state.train_step(trainer.sampler.batch(0, 0), 0.0)
    norms = {True: 0.0, False: 0.0}
    for name, parameter in state.network.named_parameters():
        if parameter.grad is not None:
            norms[name.startswith("estimator.")] += float(parameter.grad.double().square().sum())
    for squared in norms.values():
        assert math.sqrt(squared) == pytest.approx(1e-3, rel=1e-2)
    assert float(told) > 1e-2  # before clipping
