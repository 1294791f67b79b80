"""Validations follow the Gaussian8 protocol, on the averaged weights, and stop when told to."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dcls_cli.errors import ImageError
from dcls_cli.evaluation.gaussian8 import gaussian8
from dcls_cli.evaluation.rows import rows_by_sigma
from dcls_cli.evaluation.samples import find_hr
from dcls_cli.training.validation import SHOWN_SIGMA, AveragedRestorer, Validation
from tests.training import runs


def moved(hr: Path, out: Path, **changes: object) -> runs.TrainState:
    """A state whose averaged weights differ from the others."""
    trainer, _ = runs.trainer(hr, out, runs.config(**changes))
    for step in range(6):
        trainer.state.train_step(trainer.sampler.batch(step, 0), 0.0)
    return trainer.state


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_figures_are_those_of_the_protocol(hr: Path, tmp_path: Path, precision: str) -> None:
    state = moved(hr, tmp_path, precision=precision)

    def restore(lr: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(state.ema(torch.from_numpy(lr)[None]).sr[0].numpy())

    expected = [row.psnr_y for row in rows_by_sigma(gaussian8(find_hr(hr), 2, restore))]
    validation = Validation.of_folder(hr, 2, lambda: False)
    # bf16 rounds activations to 8 bits: about 50 dB of noise under a restoration of about 30.
    tolerance = 1e-3 if precision == "fp32" else 0.1
    assert validation(state) == pytest.approx(expected, abs=tolerance)
    assert len(expected) == 8


def test_shows_what_it_measured(hr: Path, tmp_path: Path) -> None:
    state = moved(hr, tmp_path)
    validation = Validation.of_folder(hr, 2, lambda: False)
    validation(state)
    assert [view.name for view in validation.views] == ["0.png", "1.png", "2.png"]
    view, sample = validation.views[1], validation.samples[1]
    assert view.sigma == sample.sigmas[SHOWN_SIGMA]
    restorer = AveragedRestorer(state)
    lr = sample.lr[SHOWN_SIGMA].astype(np.float32) / 255
    np.testing.assert_array_equal(view.sr, restorer(lr))
    np.testing.assert_array_equal(view.kernel, restorer.kernel)
    assert view.kernel.shape == (21, 21) and view.kernel.sum() == pytest.approx(1, abs=1e-4)


def test_leaves_the_training_as_it_was(hr: Path, tmp_path: Path) -> None:
    states = []
    for validates in (True, False):
        trainer, _ = runs.trainer(hr, tmp_path / str(validates), runs.config(iterations=10))
        if validates:
            trainer.cadence = runs.Cadence(validation_minutes=0, checkpoint_minutes=0)
            trainer.validate = Validation.of_folder(hr, 2, lambda: False)
        trainer.run()
        states.append(trainer.state.state_dict())
    assert runs.differing(*states) == []


def test_stops_when_told_to(hr: Path, tmp_path: Path) -> None:
    state, asked = moved(hr, tmp_path), iter([False, False, True])
    assert Validation.of_folder(hr, 2, lambda: next(asked))(state) is None


def test_says_which_folder_or_image_is_wrong(hr: Path, tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(ImageError) as caught:
            Validation.of_folder(folder, 2, lambda: False)
        return str(caught.value)

    assert refused(tmp_path / "missing").startswith(f"--val: {tmp_path / 'missing'}")
    assert "no HR image" in refused(tmp_path)
    shutil.copy(hr / "0.png", tmp_path)
    (tmp_path / "broken.png").write_bytes((hr / "1.png").read_bytes()[:300])
    assert "broken.png" in refused(tmp_path)
