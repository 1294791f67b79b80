"""Runs on disk: what starts, what resumes, what is refused, and what a full disk leaves."""

import contextlib
import hashlib
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dcls_cli.config import ModelConfig
from dcls_cli.degradation.draws import VERSION
from dcls_cli.errors import BackendError, DclsError, TrainingError, WeightsError
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.training.checkpoint import CheckpointFolder
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.processes import joined
from dcls_cli.training.reports import Report, read_log
from dcls_cli.training.session import Prepared, prepare
from tests.training import runs


def start(
    hr: Path,
    out: Path,
    config: TrainConfig | None = None,
    model: ModelConfig | None = None,
    **options: object,
) -> Prepared:
    made = runs.settings((hr,), out, **options)
    config = config or runs.config(iterations=10)
    return prepare(model or runs.tiny(), config, made, warn=WARNINGS.append)


WARNINGS: list[str] = []


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    WARNINGS.clear()
    yield


@pytest.fixture(scope="module")
def finished(hr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 10 steps with two checkpoints; only to be looked at."""
    out = tmp_path_factory.mktemp("finished")
    start(hr, out).trainer.run()
    assert len(CheckpointFolder(out / "checkpoints").files()) == 2
    return out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    out = tmp_path / "copied"
    for file in finished.rglob("*"):
        if file.is_file():
            target = out / file.relative_to(finished)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return out


def digests(out: Path) -> dict[str, str]:
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(out.rglob("*"))
        if file.is_file()
    }


def test_writes_the_averaged_weights(hr: Path, finished: Path) -> None:
    network = weights.load(finished / "latest.safetensors")
    assert network.config == runs.tiny()
    averaged = runs.newest(finished)["training"]["ema"]
    assert all(torch.equal(value, averaged[name]) for name, value in network.state_dict().items())
    assert not (finished / "best.safetensors").exists()  # nothing was validated


def test_a_run_is_not_written_over(hr: Path, finished: Path) -> None:
    before = digests(finished)
    with pytest.raises(TrainingError, match="holds a run already; continue it with --resume auto"):
        start(hr, finished)
    assert digests(finished) == before


def test_weights_without_checkpoints_are_not_written_over(hr: Path, copied: Path) -> None:
    for file in CheckpointFolder(copied / "checkpoints").files():
        file.unlink()
    before = digests(copied)
    for resume in ("auto", "never"):
        with pytest.raises(TrainingError, match="weights of another run"):
            start(hr, copied, resume=resume)
    assert digests(copied) == before


def test_auto_starts_where_there_is_nothing(hr: Path, tmp_path: Path) -> None:
    assert start(hr, tmp_path / "new", resume="auto").resumed_at is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": runs.tiny(3)}, "scale 2, now 3"),
        ({"model": runs.tiny(blocks=2)}, "blocks 1, now 2"),
        ({"config": runs.config(batch=2, seed=7)}, "seed 0, now 7; batch 4, now 2"),
    ],
)
def test_other_options_are_refused_by_name(
    hr: Path, finished: Path, changes: dict[str, object], named: str
) -> None:
    before = digests(finished)
    with pytest.raises(TrainingError) as caught:
        start(hr, finished, resume="auto", **changes)  # type: ignore[arg-type]
    assert named in str(caught.value)
    assert digests(finished) == before


def test_other_images_are_refused(finished: Path, tmp_path: Path) -> None:
    other = runs.write_images(tmp_path / "other", seed=9)
    with pytest.raises(TrainingError, match="other training images"):
        start(other, finished, resume="auto")


def test_a_longer_run_goes_on(hr: Path, copied: Path) -> None:
    prepared = start(hr, copied, runs.config(iterations=20), resume="auto")
    assert prepared.resumed_at == 10
    prepared.trainer.run()
    windows = [record for record in read_log(copied / "log.jsonl") if record["event"] == "window"]
    assert [record["step"] for record in windows] == [5, 10, 15, 20]


def test_another_length_says_what_the_learning_rate_does(hr: Path, copied: Path) -> None:
    """By the formula of the cosine, for a run that was 10 steps long and is now 20 or 0.001."""
    same = start(hr, copied, resume="auto").new_length
    assert same is None
    usual = runs.config(iterations=10)
    floor, peak = usual.final_rate, usual.learning_rate

    def cosine(share: float) -> float:
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share)))

    longer = start(hr, copied, runs.config(iterations=20), resume="auto").new_length
    assert longer is not None and longer.rates is not None
    assert (longer.before, longer.now) == ("10 iterations", "20 iterations")
    assert longer.rates == pytest.approx((cosine(9 / 10), cosine(10 / 20)))
    elapsed_min = runs.newest(copied)["elapsed_s"] / 60
    timed = start(hr, copied, runs.config(max_minutes=4 * elapsed_min), resume="auto").new_length
    assert timed is not None and timed.rates is not None
    assert timed.rates == pytest.approx((cosine(9 / 10), cosine(1 / 4)))


@pytest.mark.parametrize("changes", [{"iterations": 7}, {"max_minutes": 1e-7}])
def test_a_length_that_is_behind_trains_nothing_and_says_so(
    hr: Path, copied: Path, changes: dict[str, float]
) -> None:
    shorter = start(hr, copied, runs.config(**changes), resume="auto")
    assert shorter.new_length is not None
    assert shorter.new_length.rates is None
    before = weights.load(copied / "latest.safetensors").state_dict()
    shorter.trainer.run()
    assert shorter.trainer.state.step == 10
    after = weights.load(copied / "latest.safetensors").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_damaged_checkpoint_costs_a_window(hr: Path, copied: Path, finished: Path) -> None:
    newest = CheckpointFolder(copied / "checkpoints").files()[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    prepared = start(hr, copied, resume="auto")
    assert prepared.resumed_at == 5
    assert len(WARNINGS) == 1 and newest.name in WARNINGS[0]
    prepared.trainer.run()
    assert runs.differing(runs.newest(finished), runs.newest(copied)) == []
    assert runs.log_without_clocks(finished) == runs.log_without_clocks(copied)


def test_damaged_checkpoints_are_no_start_from_zero(hr: Path, copied: Path) -> None:
    for file in CheckpointFolder(copied / "checkpoints").files():
        file.write_bytes(b"DCLSCKP1" + bytes(500))
    before = digests(copied)
    with pytest.raises(TrainingError, match="all 2 checkpoints are damaged"):
        start(hr, copied, resume="auto")
    assert digests(copied) == before


def test_checkpoints_that_are_older_than_some_options_resume(hr: Path, copied: Path) -> None:
    """As those of a run that was started before an option existed."""
    folder = CheckpointFolder(copied / "checkpoints")
    state = runs.newest(copied)
    for key in ("model", "config"):
        fields = state[key].strip("{}").split(", ")
        gone = ('"noise"', '"degradation"', '"noise_weight"')
        state[key] = "{" + ", ".join(f for f in fields if not f.startswith(gone)) + "}"
    del state["validated_step"]
    folder.save(10, state)
    assert start(hr, copied, resume="auto").resumed_at == 10


def test_starts_from_weights_of_another_scale(hr: Path, tmp_path: Path) -> None:
    source = tmp_path / "x4.safetensors"
    torch.manual_seed(5)
    large = DCLS(runs.tiny(4))
    weights.write(large, source)
    prepared = start(hr, tmp_path / "run", init=source)
    assert prepared.new_layers == [
        "restorer.conv_linear.weight",
        "restorer.upsampler.0.bias",
        "restorer.upsampler.0.weight",
    ]
    own, theirs = prepared.trainer.state.network.state_dict(), large.state_dict()
    for name in own:
        assert (name in prepared.new_layers) != torch.equal(own[name], theirs[name]), name


def test_weights_that_fit_nowhere_are_refused(hr: Path, tmp_path: Path) -> None:
    source = tmp_path / "other.safetensors"
    weights.write(DCLS(runs.tiny(2)), source)
    with pytest.raises(WeightsError, match="no such weight file"):
        start(hr, tmp_path / "run", init=tmp_path / "missing.safetensors")
    source.write_bytes(source.read_bytes()[:-5])
    with pytest.raises(WeightsError):
        start(hr, tmp_path / "run", init=source)
    assert not (tmp_path / "run").exists()


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A file system of its own that is soon full."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("spare_kb", [8, 60, 250])
def test_a_full_disk_loses_nothing(hr: Path, tmp_path: Path, finished: Path, spare_kb: int) -> None:
    size = CheckpointFolder(finished / "checkpoints").files()[0].stat().st_size
    disk = tmp_path / "disk"
    with small_disk(disk, 2 * size // 1024 + spare_kb):
        out = disk / "run"
        prepared = start(hr, out, runs.config(iterations=40))
        before: dict[str, str] = {}

        class Witness(runs.Recorder):
            def on_report(self, report: Report) -> None:
                before.clear()
                before.update(digests(out / "checkpoints"))

        prepared.trainer.observers = [*prepared.trainer.observers, Witness()]
        with pytest.raises(TrainingError, match="no space left on the disk") as caught:
            prepared.trainer.run()
        assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
        assert list(before) == ["step-00000005.ckpt", "step-00000010.ckpt"]
        assert digests(out / "checkpoints") == before  # and no temporary file
        assert not list(out.rglob("*.dcls-tmp"))
        with pytest.raises(TrainingError, match="no space left"):
            start(hr, out, runs.config(iterations=40), resume="auto").trainer.run()
        assert digests(out / "checkpoints") == before
        assert not WARNINGS


def test_weights_that_cannot_be_written_end_the_run(hr: Path, tmp_path: Path) -> None:
    prepared = start(hr, tmp_path)
    (tmp_path / "latest.safetensors").mkdir()
    with pytest.raises(DclsError, match="latest.safetensors"):
        prepared.trainer.run()
    assert runs.newest(tmp_path)["training"]["step"] == 10


def test_the_paper_network_trains_on_eq_7(hr: Path, tmp_path: Path) -> None:
    model = ModelConfig.paper(
        2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    options = {"iterations": 20, "patch": 24, "optimizer": "adamw", "batch": 2, "candidates": 1}
    ends = {}
    for target in ("image", "expected"):
        config = runs.config(kernel_target=target, **options)
        prepared = start(hr, tmp_path / target, config, model)
        prepared.trainer.run()
        windows = read_log(tmp_path / target / "log.jsonl")
        assert prepared.trainer.state.is_finite() and len(windows) == 4
        ends[target] = float(str(windows[-1]["kernel_loss"]))
    assert ends["image"] != ends["expected"]
    assert all(0 < end < 2 for end in ends.values())


def test_photos_train(hr: Path, tmp_path: Path) -> None:
    model = ModelConfig.photo(
        2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    prepared = start(hr, tmp_path, runs.config(iterations=10, degradation="photo"), model)
    prepared.trainer.run()
    assert prepared.trainer.state.is_finite()


def test_a_run_goes_on_only_with_the_damage_it_began_with(hr: Path, tmp_path: Path) -> None:
    model = ModelConfig.photo(
        2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    config = runs.config(iterations=5, degradation="photo")
    start(hr, tmp_path, config, model).trainer.run()
    longer = runs.config(iterations=10, degradation="photo")
    assert start(hr, tmp_path, longer, model, resume="auto").resumed_at == 5
    folder = CheckpointFolder(tmp_path / "checkpoints")
    saved = runs.newest(tmp_path)
    for damage in (None, VERSION + 1):
        other = {name: value for name, value in saved.items() if name != "damage"}
        folder.save(6, other if damage is None else {**other, "damage": damage})
        with pytest.raises(TrainingError, match=f"version {damage or 1}, .* makes version"):
            start(hr, tmp_path, longer, model, resume="auto")


def test_cadence_changes_no_bit(hr: Path, tmp_path: Path, finished: Path) -> None:
    start(hr, tmp_path, validate_minutes=5.0, checkpoint_minutes=2.0).trainer.run()
    assert runs.differing(runs.newest(finished), runs.newest(tmp_path)) == []


@pytest.mark.parametrize(
    ("device", "rank", "message"),
    [
        ("cuda:0", 0, "device 'cuda:0': 4 processes cannot share one GPU; use --device cuda,"),
        ("cuda", 2, "4 processes need as many GPUs, and this machine has 2; use torchrun --nproc"),
    ],
)
def test_processes_that_would_share_a_gpu_are_refused(
    device: str, rank: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 4, "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(BackendError, match=message), joined(torch.device(device)):
        pass
