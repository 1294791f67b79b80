"""The loop: its length, its windows, what it takes back, and that a resumed run ends as one."""

import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dcls_cli.errors import TrainingError
from dcls_cli.training.batches import Batch, PatchSampler
from dcls_cli.training.checkpoint import read_checkpoint
from dcls_cli.training.config import Cadence
from dcls_cli.training.loop import MAX_ROLLBACKS, Trainer
from dcls_cli.training.reports import JsonlLog, RollbackReport, ValidationReport, WindowReport
from dcls_cli.training.state import TrainState
from tests.pace import stretched
from tests.training import runs


class Saboteur(PatchSampler):
    """Does something at one step, once or whenever that step is met."""

    def at(self, step: int, action: object, *, always: bool = False) -> None:
        self.step, self.action, self.always = step, action, always

    def batch(self, step: int, salt: int, rank: int = 0, world: int = 1) -> Batch:
        batch = super().batch(step, salt, rank, world)
        if step == self.step and (self.always or salt == 0):
            assert callable(self.action)
            changed = self.action(batch)
            return changed if isinstance(changed, Batch) else batch
        return batch


def sabotaged(
    hr: Path, out: Path, step: int, action: object, *, always: bool = False, **changes: object
) -> tuple[Trainer, runs.Recorder]:
    trainer, recorder = runs.trainer(hr, out, runs.config(**changes), sampler=Saboteur)
    assert isinstance(trainer.sampler, Saboteur)
    trainer.sampler.at(step, action, always=always)
    return trainer, recorder


def blinded(batch: Batch) -> Batch:
    return batch._replace(hr=batch.hr * float("nan"))


def glaring(batch: Batch) -> Batch:
    return batch._replace(hr=batch.hr + 100)


def tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for item in value for t in tensors(item)] if isinstance(value, list) else []


def assert_finite_checkpoints(trainer: Trainer) -> None:
    files = trainer.folder.files()
    assert files
    for file in files:
        assert all(bool(t.isfinite().all()) for t in tensors(read_checkpoint(file)))


@pytest.mark.parametrize("iterations", [3, 10, 12])
def test_counts_iterations_exactly(hr: Path, tmp_path: Path, iterations: int) -> None:
    trainer, recorder = runs.trainer(hr, tmp_path, runs.config(iterations=iterations))
    trainer.run()
    assert trainer.state.step == iterations
    steps = [report.step for report in recorder.of(WindowReport)]
    assert steps == [step for step in (5, 10) if step < iterations] + [iterations]
    assert recorder.of(WindowReport)[-1].progress == 1


def test_a_loss_that_falls(hr: Path, tmp_path: Path) -> None:
    trainer, recorder = runs.trainer(hr, tmp_path, runs.config(iterations=80))
    trainer.run()
    windows = recorder.of(WindowReport)
    assert windows[-1].kernel_loss < 0.8 * windows[0].kernel_loss
    assert not recorder.warnings and not recorder.of(RollbackReport)


def test_stops_in_time(hr: Path, tmp_path: Path) -> None:
    config = runs.config(max_minutes=1.5 / 60, window=1000)
    trainer, _ = runs.trainer(hr, tmp_path, config)
    before = time.monotonic()
    trainer.run()
    assert 1.4 < time.monotonic() - before < stretched(10)
    assert trainer.finished and trainer.state.step > 0
    assert not trainer.state_dict()["losses"]


def test_the_rate_follows_the_clock(hr: Path, tmp_path: Path) -> None:
    config = runs.config(max_minutes=1 / 60, window=2, warmup=1, iterations=1)
    trainer, recorder = runs.trainer(hr, tmp_path, config)
    trainer.run()
    rates = [report.learning_rate for report in recorder.of(WindowReport)]
    assert rates[0] == pytest.approx(1e-3, rel=0.2)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 5e-4


@pytest.mark.parametrize("action", [blinded, glaring])
def test_a_bad_batch_is_rolled_back(hr: Path, tmp_path: Path, action: object) -> None:
    trainer, recorder = sabotaged(hr, tmp_path, 22, action, iterations=40)
    trainer.run()
    (rollback,) = recorder.of(RollbackReport)
    assert (rollback.step, rollback.back_to) == (25, 20)
    assert rollback.learning_rate_factor == 0.5
    assert ("not finite" if action is blinded else "rose") in rollback.reason
    steps = [report.step for report in recorder.of(WindowReport)]
    assert steps == list(range(5, 45, 5))
    smooth, _ = runs.trainer(hr, tmp_path / "smooth", runs.config(iterations=40))
    smooth.run()
    halved = trainer.state.optimizers[0].param_groups[0]["lr"]
    assert halved == pytest.approx(smooth.state.optimizers[0].param_groups[0]["lr"] / 2)
    assert_finite_checkpoints(trainer)


@pytest.mark.parametrize("where", ["network", "ema", "moment"])
def test_a_number_that_is_not_finite_is_rolled_back(hr: Path, tmp_path: Path, where: str) -> None:
    def spoil(_: Batch) -> None:
        with torch.no_grad():
            if where == "moment":
                moments = next(iter(trainer.state.optimizers[0].state.values()))
                spoiled, value = moments["exp_avg_sq"], float("inf")
            else:
                network = trainer.state.network if where == "network" else trainer.state.ema
                spoiled, value = next(network.parameters()), float("nan")
            spoiled[(0,) * spoiled.ndim] = value

    trainer, recorder = sabotaged(hr, tmp_path, 13, spoil, iterations=25)
    trainer.run()
    (rollback,) = recorder.of(RollbackReport)
    assert rollback.back_to == 10
    assert trainer.state.step == 25 and trainer.state.is_finite()
    assert_finite_checkpoints(trainer)


def test_gives_up_after_some_roll_backs(hr: Path, tmp_path: Path) -> None:
    trainer, recorder = sabotaged(hr, tmp_path, 12, blinded, always=True, iterations=25)
    with pytest.raises(TrainingError, match=f"not finite, after {MAX_ROLLBACKS} roll-backs"):
        trainer.run()
    assert len(recorder.of(RollbackReport)) == MAX_ROLLBACKS
    assert trainer.folder.files()[0].name == "step-00000010.ckpt"
    assert_finite_checkpoints(trainer)


def finish(hr: Path, out: Path, log: Path | None = None, **changes: object) -> Trainer:
    """Resume from the newest checkpoint and run to the end."""
    trainer, recorder = runs.trainer(hr, out, runs.config(**changes), sampler=Saboteur)
    assert isinstance(trainer.sampler, Saboteur)
    trainer.sampler.at(-1, None)
    saved = trainer.folder.newest(pytest.fail)
    assert saved is not None
    trainer.resume(saved)
    if log is not None:
        trainer.observers = [recorder, JsonlLog(log, trainer.state.step)]
    trainer.run()
    return trainer


@pytest.fixture(scope="module")
def whole(hr: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A run that nothing disturbed, with its log."""
    out = tmp_path_factory.mktemp("whole")
    trainer, _ = runs.trainer(hr, out)
    trainer.observers = [JsonlLog(out / "log.jsonl", 0)]
    trainer.run()
    return trainer


@pytest.mark.parametrize("stop", [19, 20, 22, 39])
def test_a_stopped_run_resumes_with_the_same_bits(
    hr: Path, tmp_path: Path, whole: Trainer, stop: int
) -> None:
    def request_stop(_: Batch) -> None:
        trainer.stop_requested = True

    trainer, _ = sabotaged(hr, tmp_path, stop, request_stop)
    trainer.observers = [JsonlLog(tmp_path / "log.jsonl", 0)]
    trainer.run()
    assert trainer.state.step == stop + 1
    resumed = finish(hr, tmp_path, tmp_path / "log.jsonl")
    assert runs.differing(whole.state_dict(), resumed.state_dict()) == []
    log = runs.log_without_clocks(tmp_path)
    assert log == runs.log_without_clocks(whole.folder.path.parent)
    assert [record["step"] for record in log] == list(range(5, 45, 5))


def test_a_run_stopped_in_a_window_that_is_taken_back_resumes_with_the_same_bits(
    hr: Path, tmp_path: Path
) -> None:
    """The window that goes wrong began before the stop and ends after it."""

    class Twice(Saboteur):
        def batch(self, step: int, salt: int, rank: int = 0, world: int = 1) -> Batch:
            batch = super().batch(step, salt, rank, world)
            return blinded(batch) if step == 23 and salt == 0 else batch

    undisturbed, _ = runs.trainer(hr, tmp_path / "whole", sampler=Twice)
    assert isinstance(undisturbed.sampler, Twice)
    undisturbed.sampler.at(-1, None)
    undisturbed.run()

    def request_stop(_: Batch) -> None:
        trainer.stop_requested = True

    trainer, _ = runs.trainer(hr, tmp_path / "parts", sampler=Twice)
    assert isinstance(trainer.sampler, Twice)
    trainer.sampler.at(21, request_stop)
    trainer.run()
    assert trainer.state.step == 22
    resumed, recorder = runs.trainer(hr, tmp_path / "parts", sampler=Twice)
    assert isinstance(resumed.sampler, Twice)
    resumed.sampler.at(-1, None)
    resumed.resume(trainer.folder.newest(pytest.fail) or {})
    resumed.run()
    assert recorder.of(RollbackReport)[0].back_to == 20
    assert runs.differing(undisturbed.state_dict(), resumed.state_dict()) == []


def test_a_stop_amid_trouble_saves_the_last_good_state(hr: Path, tmp_path: Path) -> None:
    def spoil_and_stop(batch: Batch) -> Batch:
        trainer.stop_requested = True
        return blinded(batch)

    trainer, recorder = sabotaged(hr, tmp_path, 12, spoil_and_stop)
    trainer.run()
    assert trainer.state.step == 10
    assert len(recorder.warnings) == 1
    assert_finite_checkpoints(trainer)
    assert finish(hr, tmp_path).state.step == 40


def test_validates_by_the_clock_and_at_the_end(hr: Path, tmp_path: Path) -> None:
    figures = iter([20.0, 22.0, 21.0, *[19.0] * 100])
    trainer, recorder = runs.trainer(hr, tmp_path, runs.config(iterations=20))
    trainer.cadence = Cadence(validation_minutes=0, checkpoint_minutes=1e9)
    exported: list[tuple[int, bool]] = []

    def export(state: TrainState, report: ValidationReport | None) -> None:
        assert report is not None
        exported.append((state.step, report.best))

    trainer.validate = lambda _: [next(figures)] * 8
    trainer.export = export
    trainer.run()
    assert exported == [(5, True), (10, True), (15, False), (20, False)]
    assert [r.step for r in recorder.of(ValidationReport)] == [5, 10, 15, 20]
    assert trainer.best_psnr_db == 22
    again, recorder = runs.trainer(hr, tmp_path, runs.config(iterations=20))
    again.validate = lambda _: pytest.fail("a finished run is not validated twice")
    again.resume(again.folder.newest(pytest.fail) or {})
    again.run()
    assert again.best_psnr_db == 22 and not recorder.reports


def test_an_interrupted_validation_is_made_up_for(hr: Path, tmp_path: Path) -> None:
    trainer, recorder = runs.trainer(hr, tmp_path, runs.config(iterations=10))
    trainer.validate = lambda _: None
    trainer.export = lambda *_: pytest.fail("nothing was validated")
    trainer.run()
    assert not recorder.of(ValidationReport)
    again, recorder = runs.trainer(hr, tmp_path, runs.config(iterations=10))
    again.validate = lambda _: [30.0]
    again.resume(again.folder.newest(pytest.fail) or {})
    again.run()
    assert [report.psnr_y_db for report in recorder.of(ValidationReport)] == [30.0]


def test_time_of_validation_is_not_time_of_training(hr: Path, tmp_path: Path) -> None:
    trainer, _ = runs.trainer(hr, tmp_path, runs.config(iterations=10))
    trainer.cadence = Cadence(validation_minutes=0, checkpoint_minutes=1e9)

    def slow(_: TrainState) -> list[float]:
        time.sleep(1)
        return [30.0]

    trainer.validate = slow
    before = time.monotonic()
    trainer.run()
    assert trainer.elapsed_s < time.monotonic() - before - 1.9


def test_the_restorer_alone(hr: Path, tmp_path: Path) -> None:
    trainer, reports = runs.trainer(hr, tmp_path, runs.config(part="restorer", iterations=20))
    before = {name: value.clone() for name, value in trainer.state.network.named_parameters()}
    trainer.run()
    after = dict(trainer.state.network.named_parameters())
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {name for name in before if not name.startswith("estimator.")}


def test_the_estimator_alone(hr: Path, tmp_path: Path) -> None:
    options = runs.config(part="estimator", iterations=60)
    made, recorder = runs.trainer(hr, tmp_path / "run", options)
    before = {name: value.clone() for name, value in made.state.network.state_dict().items()}
    made.run()
    moved = {
        name
        for name, value in made.state.network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved
    assert all(name.startswith("estimator.") for name in moved)
    windows = recorder.of(WindowReport)
    assert windows[-1].kernel_loss < windows[0].kernel_loss
    assert {window.image_loss for window in windows} == {0.0}
