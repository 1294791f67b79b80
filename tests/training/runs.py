"""Tiny training runs for the tests: images, networks, and processes that can be killed."""

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dcls_cli.cli import console, signals, training_view
from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.reformulation import ReformulatedKernel
from dcls_cli.training.batches import Batch, PatchSampler
from dcls_cli.training.checkpoint import CheckpointFolder, read_checkpoint
from dcls_cli.training.config import Cadence, TrainConfig
from dcls_cli.training.images import ImageStore
from dcls_cli.training.loop import Trainer
from dcls_cli.training.optimization import Objective
from dcls_cli.training.reports import Report
from dcls_cli.training.run import Run
from dcls_cli.training.settings import RunSettings
from dcls_cli.training.state import TrainState

# Forked from a process that has imported everything and run nothing, where processes can fork.
PROCESSES = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
if os.name != "nt":
    PROCESSES.set_forkserver_preload([__name__])

#: Save whenever the state is known to be good.
EAGER = Cadence(validation_minutes=1e9, checkpoint_minutes=0.0)


def tiny(scale: int = 2, **changes: object) -> ModelConfig:
    """A light network of 1/50 of its size."""
    small = {"features": 16, "groups": 1, "blocks": 1, "latent": 8}
    small |= {"estimator_features": 16, "estimator_blocks": 1}
    return ModelConfig.light(scale, **small | changes)


def config(**changes: object) -> TrainConfig:
    """A short run of small patches."""
    options: dict[str, Any] = {
        "iterations": 40,
        "batch": 4,
        "patch": 16,
        "candidates": 2,
        "sigma_max": 2.0,
        "window": 5,
        "warmup": 10,
        "precision": "fp32",
    }
    return TrainConfig(**options | changes)


def write_images(folder: Path, count: int = 3, side: int = 80, seed: int = 0) -> Path:
    """Sharp images with edges and texture, of different sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for index in range(count):
        coarse = (random.random((10, 12, 3)) * 255).astype(np.uint8)
        size = (side + 7 * index, side + 3 * index)
        image = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
        image = np.where(image > 128, image, image // 2)
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{index}.png")
    return folder


class Recorder:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.warnings: list[str] = []

    def on_report(self, report: Report) -> None:
        self.reports.append(report)

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)

    def of(self, kind: type[Report]) -> list[Any]:
        return [report for report in self.reports if isinstance(report, kind)]


def trainer(
    hr: Path,
    out: Path,
    options: TrainConfig | None = None,
    model: ModelConfig | None = None,
    sampler: Callable[..., PatchSampler] = PatchSampler,
    *,
    accumulate: int = 1,
) -> tuple[Trainer, Recorder]:
    """A trainer in this process, that saves after every window."""
    options, model = options or config(), model or tiny()
    store, _ = ImageStore.load([hr], PatchSampler.min_side(options, model.scale), CPU)
    torch.manual_seed(options.seed)
    network = DCLS(model).to(memory_format=torch.channels_last)
    kernel = ReformulatedKernel(model.scale, model.kernel_size, model.kernel_size)
    objective = Objective(options, model.kernel_space, kernel)
    state = TrainState(network, objective, options, accumulate)
    recorder = Recorder()
    made = Trainer(
        state=state,
        sampler=sampler(store, options, model.scale, model.kernel_size, images=False),
        folder=CheckpointFolder(out / "checkpoints"),
        observers=[recorder],
        cadence=EAGER,
    )
    return made, recorder


CPU = torch.device("cpu")


@dataclass(frozen=True)
class Outcome:
    """How a process ended."""

    exit_code: int
    stdout: str
    stderr: str


def settings(hr: Sequence[Path], out: Path, **changes: Any) -> RunSettings:  # noqa: ANN401
    """Settings of a run on the CPU that saves after every window."""
    usual: dict[str, Any] = {
        "scale": 2,
        "hr": tuple(hr),
        "out": out,
        "device": "cpu",
        "threads": 1,
        "validate_minutes": EAGER.validation_minutes,
        "checkpoint_minutes": EAGER.checkpoint_minutes,
    }
    return RunSettings(**usual | changes)


def command(hr: Path | Sequence[Path], out: Path, **changes: object) -> Run:
    """What `dcls train` makes of its options, for a tiny network."""
    names = {field.name for field in fields(RunSettings)}
    given = {name: value for name, value in changes.items() if name in names}
    rest = {name: value for name, value in changes.items() if name not in names}
    made = settings((hr,) if isinstance(hr, Path) else hr, out, **given)
    run = Run(settings=made, model=tiny(), config=config(), device=CPU)
    return replace(run, **rest)


def start(run: Run) -> int:
    """Run as `dcls train` does, in this process."""
    return run.start(training_view.view_of(run.out, run.total_steps))


class Child:
    """A process of its own that runs a command; its output goes to files."""

    def __init__(
        self,
        run: Run,
        logs: Path,
        *,
        rank: int = 0,
        world: int = 1,
        port: int = 0,
        blind_at: int | None = None,
    ) -> None:
        """`blind_at`: the step whose first batch has no finite HR image in this process."""
        logs.mkdir(parents=True, exist_ok=True)
        self._files = logs / f"stdout-{rank}", logs / f"stderr-{rank}"
        environment = {}
        if world > 1:
            environment = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        self.process: BaseProcess = PROCESSES.Process(
            target=_live, args=(run, *self._files, environment, blind_at)
        )
        self.process.start()

    def wait(self, seconds: float = 600) -> Outcome:
        """Wait for its end; a process that hangs is killed and fails the test."""
        self.process.join(seconds)
        hangs = self.process.exitcode is None
        if hangs:
            self.process.kill()
            self.process.join()
        texts = [file.read_text() if file.exists() else "" for file in self._files]
        assert not hangs, f"still running after {seconds} s: {texts}"
        assert self.process.exitcode is not None
        return Outcome(self.process.exitcode, *texts)


def execute(run: Run, logs: Path) -> Outcome:
    """Run a command to its end in a process of its own."""
    return Child(run, logs).wait()


def _live(
    run: Run, stdout: Path, stderr: Path, environment: dict[str, str], blind_at: int | None
) -> None:
    """What a child does: as `dcls_cli.cli.app.main`, behind the parsing of options."""
    for descriptor, file in ((1, stdout), (2, stderr)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.environ.update(environment)
    if blind_at is not None:
        _blind(blind_at)
    signals.raise_on_signals()
    code = console.exit_code_of(lambda: start(run), debug=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _blind(at: int) -> None:
    original = PatchSampler.batch

    def batch(self: PatchSampler, step: int, salt: int, *place: int) -> Batch:
        made = original(self, step, salt, *place)
        return made._replace(hr=made.hr * float("nan")) if (step, salt) == (at, 0) else made

    PatchSampler.batch = batch  # type: ignore[method-assign]


def newest(out: Path) -> dict[str, Any]:
    """State of the newest checkpoint."""
    return read_checkpoint(CheckpointFolder(out / "checkpoints").files()[0])


def log_without_clocks(out: Path) -> list[dict[str, Any]]:
    """Records of a run's log, less what differs from time to time."""
    clocks = {"elapsed_s", "patches_per_s"}
    lines = (out / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [{key: record[key] for key in record if key not in clocks} for record in records]


def differing(one: Any, other: Any, where: str = "") -> list[str]:  # noqa: ANN401
    """Paths of the values of two nested states that are not the same bits; clocks are left out."""
    if isinstance(one, torch.Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape
        return [] if same and torch.equal(one, other) else [where]
    if isinstance(one, dict):
        keys = (set(one) | set(other)) - {"elapsed_s", "validated_step"}
        return [
            path
            for key in sorted(keys, key=str)
            for path in (
                differing(one[key], other[key], f"{where}/{key}")
                if key in one and key in other
                else [f"{where}/{key}"]
            )
        ]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [where]
        pairs = enumerate(zip(one, other, strict=True))
        return [path for i, (a, b) in pairs for path in differing(a, b, f"{where}/{i}")]
    return [] if one == other else [where]
