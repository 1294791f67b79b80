"""An ablation study: its networks are trained one after the other, measured, and tabulated."""

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch

from dcls_cli.backends.devices import select_device, select_precision
from dcls_cli.config import ModelConfig, Scale
from dcls_cli.errors import TrainingError, UsageError, WeightsError
from dcls_cli.evaluation.benchmarks import find_items
from dcls_cli.evaluation.methods import MethodSpec
from dcls_cli.evaluation.rows import ResultStore, mean_row
from dcls_cli.evaluation.running import Plan, evaluate, processes_for
from dcls_cli.models.weights import read_metadata
from dcls_cli.network.dcls import DCLS
from dcls_cli.training.ablations import ARMS, FULL, Arm, Result, markdown_table
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.presets import PRESETS
from dcls_cli.training.processes import Interruption, exit_code_of, locked, translated_errors
from dcls_cli.training.run import View, write_text
from dcls_cli.training.session import LATEST, prepare
from dcls_cli.training.settings import RunSettings

#: Steps of the warm-up over all steps.
WARMUP = 0.1
#: The options of every network and run, for later readers of the folder.
RECORD = "study.json"
TABLE = "ablations.md"


@dataclass(frozen=True)
class Job:
    """One network to train: an arm of the study, the seed, the network, and how it is trained."""

    arm: Arm
    seed: int
    network: ModelConfig
    training: TrainConfig

    @property
    def name(self) -> str:
        """Of its folder, and in the table."""
        return f"{self.arm.name}-seed{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A checked command line, see `dcls ablate --help`; trainings differ in the seed alone."""

    hr: tuple[Path, ...]
    val: Path
    out: Path
    scale: Scale
    jobs: tuple[Job, ...]
    device: torch.device
    threads: int | None

    @classmethod
    def of(
        cls,
        *,
        hr: tuple[Path, ...],
        val: Path,
        out: Path,
        scale: Scale,
        arms: str | None,
        seeds: int,
        width: int,
        options: Mapping[str, int],
        device: str,
        threads: int | None,
    ) -> Self:
        """Check the options, before minutes are spent; `arms` are names, separated by commas.

        Raises:
            UsageError: networks or options are impossible.
            BackendError: the device is not usable.
        """
        known = ", ".join(item.name for item in ARMS)
        names = [name.strip() for name in (known if arms is None else arms).split(",")]
        for name in filter(None, names):
            if name not in known.split(", "):
                raise UsageError(f"--arms {name}: no such arm; there are {known}")
        chosen = [item for item in ARMS if item.name in (FULL, *names)]
        seeded = [(item, 0) for item in chosen]
        seeded += [(chosen[0], seed) for seed in range(1, seeds)]
        selected = select_device(device)
        common = {
            **options,
            "candidates": 1,
            "warmup": max(1, round(WARMUP * options["iterations"])),
            "precision": select_precision("auto", selected) if selected.type == "cpu" else "bf16",
        }
        try:
            jobs = tuple(
                Job(
                    item,
                    seed,
                    item.config(scale, width),
                    PRESETS["light"].training(scale, **common, seed=seed),
                )
                for item, seed in seeded
            )
        except (WeightsError, TrainingError) as error:
            raise UsageError(f"options: {error}") from error
        return cls(
            hr=hr, val=val, out=out, scale=scale, jobs=jobs, device=selected, threads=threads
        )

    def start(
        self, view_of: Callable[[Path, int], View], note: Callable[[str], None]
    ) -> list[Result] | int:
        """Train, measure and write the table; the results, or the exit code after a signal.

        Args:
            view_of: makes what shows a run, from its folder and its number of steps.
            note: called with messages for people.

        Raises:
            DclsError: a run cannot start or go on, or the images cannot be measured.
        """
        items = find_items("gaussian8", self.scale, self.val)
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        self._refuse_other_networks()
        with translated_errors():
            for number, job in enumerate(self.jobs, start=1):
                if not self._finished(job):
                    note(f"{job.name} ({number} of {len(self.jobs)}): {job.arm.answer}")
                    code = self._train(job, view_of, note)
                    if code is not None:
                        return code
        specs = [
            MethodSpec(job.name, "dcls", self._weights(job), str(self.device)) for job in self.jobs
        ]
        plan = Plan("gaussian8", self.scale, items, specs, kernels=True)
        workers = processes_for(len(items), str(self.device))
        rows = evaluate(plan, ResultStore(self.out), jobs=workers)
        results = [
            Result(job.arm, job.seed, self._parameters(job), mean_row(rows[job.name]))
            for job in self.jobs
        ]
        self._record(markdown_table(results))
        return results

    def _refuse_other_networks(self) -> None:
        """Refuse a folder whose networks are no longer made as they were, before any work.

        Raises:
            UsageError: it is one.
        """
        for job in self.jobs:
            if not self._weights(job).is_file():
                continue
            then, now = vars(read_metadata(self._weights(job))[0]), vars(job.network)
            changed = [
                f"{name} {then[name]}, now {now[name]}" for name in now if then[name] != now[name]
            ]
            if changed:
                raise UsageError(
                    f"{self.out}: the network {job.name} of this study is another than this "
                    f"command makes ({', '.join(changed)}): it had other options, or another "
                    f"version of dcls; choose another --out (its table is in {TABLE})"
                )

    def _weights(self, job: Job) -> Path:
        return self.out / job.name / LATEST

    def _finished(self, job: Job) -> bool:
        """Whether the weights of a whole run of these very options lie there."""
        if not self._weights(job).is_file():
            return False
        config, metadata = read_metadata(self._weights(job))
        options = job.training
        same = TrainConfig.from_json(metadata["training"]) == options
        return same and config == job.network and (int(metadata["step"]) == options.iterations)

    def _train(
        self, job: Job, view_of: Callable[[Path, int], View], note: Callable[[str], None]
    ) -> int | None:
        """Train one network, or go on with it; an exit code where a signal ended that."""
        folder, config = self.out / job.name, job.training
        interruption = Interruption()
        with locked(folder):
            view = view_of(folder, config.iterations)
            settings = RunSettings(hr=self.hr, out=folder, resume="auto", device=str(self.device))
            with view.loading() as loading:
                prepared = prepare(
                    job.network,
                    config,
                    settings,
                    observers=[view],
                    loading=loading,
                    warn=note,
                )
            trainer = prepared.trainer
            with interruption.handled(trainer.request_stop), view:
                trainer.run()
        if trainer.finished:
            return interruption.exit_code
        note("interrupted; run the same command again to continue")
        return interruption.exit_code or exit_code_of(signal.SIGTERM)

    def _parameters(self, job: Job) -> int:
        with torch.device("meta"):
            network = DCLS(job.network)
        return sum(parameter.numel() for parameter in network.parameters())

    def _record(self, table: str) -> None:
        """Write the table, and the options of every network and run."""
        first = self.jobs[0].training
        note = (
            f"{first.iterations} steps of {first.batch} patches of {first.patch} LR pixels for "
            f"each network, x{self.scale}, {self.jobs[0].network.features} features."
        )
        write_text(self.out / TABLE, f"{table}\n{note}\n")
        record = {
            job.name: {
                "model": asdict(job.network),
                "training": asdict(job.training),
            }
            for job in self.jobs
        }
        write_text(self.out / RECORD, json.dumps(record, indent=1) + "\n")
