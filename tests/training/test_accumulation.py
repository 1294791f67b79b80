"""A batch in parts makes the update of the whole batch, in one process and in several."""

import shutil
from pathlib import Path

import pytest
import torch

from dcls_cli.errors import TrainingError
from dcls_cli.training.checkpoint import CheckpointFolder
from dcls_cli.training.session import prepare
from tests.training import runs
from tests.training.test_kill import start_pair

# Adam divides by the size of gradients that may be rounding errors: a low rate keeps the
# difference that this makes below what is compared.
OPTIONS = {"iterations": 10, "learning_rate": 1e-4, "batch": 8}


def weights(out: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = runs.newest(out)["training"]["network"]
    return tensors


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.fixture(scope="module")
def whole(hr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose batches are taken at once."""
    out = tmp_path_factory.mktemp("whole")
    runs.trainer(hr, out, runs.config(**OPTIONS))[0].run()
    return out


@pytest.mark.parametrize("parts", [2, 8])
def test_parts_train_as_the_whole(hr: Path, tmp_path: Path, whole: Path, parts: int) -> None:
    trainer, _ = runs.trainer(hr, tmp_path, runs.config(**OPTIONS), accumulate=parts)
    start = {name: value.clone() for name, value in trainer.state.network.state_dict().items()}
    sizes: list[int] = []
    trainer.state.network.register_forward_pre_hook(lambda _net, args: sizes.append(len(args[0])))
    trainer.run()
    assert sizes == [8 // parts] * (10 * parts)
    assert apart(weights(whole), start) > 1e-4
    # How sums round depends on the processor: 1.2e-5 apart with AVX-512, less without.
    assert apart(weights(whole), weights(tmp_path)) < 2e-5
    losses = [
        torch.stack(runs.newest(out)["losses"] or [torch.zeros(3)]) for out in (whole, tmp_path)
    ]
    torch.testing.assert_close(*losses)


def test_one_update_is_the_same_to_rounding(hr: Path, tmp_path: Path) -> None:
    gradients = []
    for parts in (1, 4):
        trainer, _ = runs.trainer(hr, tmp_path / str(parts), runs.config(batch=4), accumulate=parts)
        state = trainer.state
        state._accumulate_gradients(trainer.sampler.batch(0, 0))
        gradients.append([p.grad for p in state.network.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        scale = float(one.abs().max())
        assert float((one - other).abs().max()) <= 1e-4 * scale + 1e-9


def test_two_processes_in_parts_train_as_one(hr: Path, tmp_path: Path, whole: Path) -> None:
    run = runs.command(hr, tmp_path / "two", config=runs.config(**OPTIONS), accumulate=2)
    first, second = (child.wait() for child in start_pair(run, tmp_path / "logs"))
    assert first.exit_code == second.exit_code == 0, first.stderr + second.stderr
    assert apart(weights(whole), weights(tmp_path / "two")) < 1e-5


def test_a_resumed_run_in_parts_ends_with_the_same_bits(hr: Path, tmp_path: Path) -> None:
    options = runs.config(iterations=20)
    one, other = tmp_path / "one", tmp_path / "other"
    runs.trainer(hr, one, options, accumulate=2)[0].run()
    shutil.copytree(one, other)
    for file in CheckpointFolder(other / "checkpoints").files()[:-1]:
        file.unlink()
    trainer, _ = runs.trainer(hr, other, options, accumulate=2)
    saved = CheckpointFolder(other / "checkpoints").newest(lambda _text: None)
    assert saved is not None
    trainer.resume(saved)
    assert trainer.state.step == 10
    trainer.run()
    assert runs.differing(runs.newest(one), runs.newest(other)) == []


def test_parts_must_be_equal(hr: Path, tmp_path: Path) -> None:
    options = runs.settings((hr,), tmp_path / "run", accumulate=3)
    with pytest.raises(TrainingError, match="batch 4 cannot be shared by 1 x 3 parts; .* 3$"):
        prepare(runs.tiny(), runs.config(), options, warn=print)
    assert not (tmp_path / "run").exists()
