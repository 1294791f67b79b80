"""Event files, read back by TensorBoard itself: right figures, pictures, and no step twice."""

import io
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dcls_cli.training.checkpoint import CheckpointFolder
from dcls_cli.training.reports import ValidationReport, read_log
from dcls_cli.training.tensorboard import FOLDER, TensorBoard
from dcls_cli.training.validation import SampleView
from tests.training import runs
from tests.training.test_kill import send, wait_for


def read(out: Path) -> EventAccumulator:
    board = EventAccumulator(str(out / FOLDER), {"scalars": 0, "images": 0})
    board.Reload()
    return board


def steps(board: EventAccumulator, tag: str) -> list[int]:
    return [event.step for event in board.Scalars(tag)]


def test_curves_equal_the_log(hr: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = runs.command(hr, out, tensorboard=True, config=runs.config(iterations=20))
    assert (outcome := runs.execute(run, tmp_path / "logs")).exit_code == 0, outcome.stderr
    windows = [record for record in read_log(out / "log.jsonl") if record["event"] == "window"]
    board = read(out)
    for tag, key in (
        ("loss/image", "image_loss"),
        ("loss/kernel", "kernel_loss"),
        ("training/learning rate", "learning_rate"),
        ("training/gradient norm", "gradient_norm"),
    ):
        assert steps(board, tag) == [record["step"] for record in windows] == [5, 10, 15, 20]
        values = [event.value for event in board.Scalars(tag)]
        assert values == pytest.approx([record[key] for record in windows], rel=1e-6)
    without = runs.command(hr, tmp_path / "plain", config=runs.config(iterations=5))
    assert runs.execute(without, tmp_path / "logs").exit_code == 0
    assert not (tmp_path / "plain" / FOLDER).exists()


def test_a_killed_run_shows_each_step_once(hr: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    endless = runs.config(iterations=1_000_000)
    child = runs.Child(runs.command(hr, out, tensorboard=True, config=endless), tmp_path / "logs")
    wait_for(out / "checkpoints" / "step-00000020.ckpt")
    send(child, signal.SIGKILL)
    child.wait()
    # Steps that were shown after the checkpoint that is whole: they will be made again.
    for file in CheckpointFolder(out / "checkpoints").files()[:-1]:
        file.unlink()
    kept = runs.newest(out)["training"]["step"]
    last = steps(read(out), "loss/image")[-1]
    assert last > kept
    config = runs.config(iterations=last + 10)
    again = runs.command(hr, out, tensorboard=True, resume="auto", config=config)
    assert runs.execute(again, tmp_path / "logs").exit_code == 0
    assert len(list((out / FOLDER).iterdir())) == 2
    assert steps(read(out), "loss/image") == list(range(5, last + 11, 5))


def view(scale: int = 2) -> SampleView:
    random = np.random.default_rng(0)
    lr = random.integers(0, 256, (3, 6, 5), dtype=np.uint8)
    hr = random.integers(0, 256, (3, 12, 10), dtype=np.uint8)
    kernel = random.random((11, 11)).astype(np.float32)
    return SampleView("a/baby.png", 1.5, 30.0, lr, (hr / 255).astype(np.float32), hr, kernel)


def test_validations_come_with_pictures(tmp_path: Path) -> None:
    sample = view()
    board = TensorBoard(tmp_path, 0, lambda: [sample])
    board.on_report(ValidationReport(25, 60.0, 30.5, (31.0, 30.4, 29.9), best=True))
    read_back = read(tmp_path)
    assert [event.value for event in read_back.Scalars("validation/PSNR Y, dB")] == [30.5]
    tags = read_back.Tags()
    assert "validation/PSNR Y of the widest blur, dB" in tags["scalars"]
    (row,) = (tag for tag in tags["images"] if tag.startswith("pictures/baby"))
    (event,) = read_back.Images(row)
    picture = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    assert event.step == 25 and picture.shape == (12, 4 * 10 + 3 * 4, 3)
    # Left the LR image pixel by pixel, right the sharp one and, here, the restored one.
    np.testing.assert_array_equal(picture[::2, :10:2], sample.lr.transpose(1, 2, 0))
    np.testing.assert_array_equal(picture[:, -10:], sample.hr.transpose(1, 2, 0))
    np.testing.assert_array_equal(picture[:, -24:-14], sample.hr.transpose(1, 2, 0))
    (event,) = read_back.Images("kernels/baby")
    kernel = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    assert kernel.max() == 255 and kernel.shape[:2] == (11, 11)


def test_without_the_package_it_is_named(
    hr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcls_cli.errors import TrainingError

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(TrainingError, match="needs TensorBoard: pip install .*tensorboard"):
        runs.start(runs.command(hr, tmp_path / "run", tensorboard=True))
    assert not (tmp_path / "run").exists()
    assert torch.get_num_threads() == 1
