"""What `--preset` stands for: the paper's facts, real steps, and LR images against numpy."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dcls_cli.cli.train import PresetOption
from dcls_cli.config import ModelConfig
from dcls_cli.errors import TrainingError, UsageError
from dcls_cli.training.batches import MARGIN, Batch, PatchSampler
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.images import ImageStore
from dcls_cli.training.presets import PRESETS, PresetName
from dcls_cli.training.reports import WindowReport
from tests import oracle
from tests.training import runs

#: Networks of these sizes are built in a moment.
SMALL = {"features": 16, "groups": 1, "blocks": 1, "latent": 8}
SMALL |= {"estimator_features": 16, "estimator_blocks": 1}
QUICK = {"batch": 2, "patch": 16, "iterations": 3, "window": 3, "precision": "fp32"}


def test_the_names_are_one_list() -> None:
    assert get_args(PresetOption) == get_args(PresetName) == tuple(PRESETS)


def test_presets_are_those_of_the_paper() -> None:
    for scale in (2, 3, 4):
        iso = PRESETS["paper-iso"]
        assert iso.network(scale) == ModelConfig.paper(scale)
        training = iso.training(scale)
        assert (training.sigma_min, training.sigma_max) == (0.2, float(scale))
        assert (training.degradation, training.sigma_centred) == ("isotropic", False)
        assert (training.batch, training.patch, training.iterations) == (64, 64, 500_000)
        assert (training.optimizer, training.learning_rate) == ("adamw", 2e-4)
        for level in (15, 30):
            noisy = PRESETS[f"noise{level}"]
            assert noisy.network(scale) == ModelConfig.paper(scale)
            assert noisy.training(scale).noise_level == level
            assert noisy.training(scale, noise_level=0.0) == training
    for scale, size, norm in ((2, 11, "softmax"), (4, 31, "sum")):
        aniso = PRESETS["paper-aniso"]
        expected = ModelConfig.paper(scale, kernel_size=size, kernel_norm=norm)
        assert aniso.network(scale) == expected
        training = aniso.training(scale)
        assert (training.sigma_min, training.sigma_max) == (0.6, 5.0)
        assert (training.degradation, training.disturbance) == ("anisotropic", 0.25)


def test_presets_for_a_cpu() -> None:
    light = PRESETS["light"].training(4, seed=2)
    assert (light.batch, light.learning_rate, light.candidates) == (8, 1e-3, 2)
    assert (light.sigma_min, light.sigma_max, light.sigma_centred) == (0.2, 4.0, True)
    assert (light.optimizer, light.seed, light.patch) == ("muon", 2, 48)
    photo = PRESETS["photo"]
    assert photo.training(3).degradation == "photo"
    assert photo.network(3) == ModelConfig.photo(3)


def test_the_second_setting_has_no_x3() -> None:
    for ask in (PRESETS["paper-aniso"].network, PRESETS["paper-aniso"].training):
        with pytest.raises(UsageError, match="paper-aniso exists for x2 and x4, not for x3"):
            ask(3)
    with pytest.raises(TrainingError, match="disturbance is for anisotropic"):
        PRESETS["paper-iso"].training(4, disturbance=0.25)


@pytest.mark.parametrize("name", PRESETS)
def test_each_trains_real_steps(hr: Path, tmp_path: Path, name: str) -> None:
    preset = PRESETS[name]
    network, options = preset.network(2, **SMALL), preset.training(2, **QUICK)
    trainer, recorder = runs.trainer(hr, tmp_path, options, network)
    before = {key: value.clone() for key, value in trainer.state.network.state_dict().items()}
    trainer.run()
    assert trainer.state.step == 3 and trainer.state.is_finite()
    (window,) = recorder.of(WindowReport)
    assert 0 < window.image_loss < 1 and 0 < window.kernel_loss < 2.1
    after = trainer.state.network.state_dict()
    assert any(not value.equal(before[key]) for key, value in after.items())


def batch_of(folder: Path, name: str, scale: int, **changes: object) -> tuple[Batch, np.ndarray]:
    """A batch from one image that is as large as a window, and this image as (H, W, 3)."""
    preset = PRESETS[name]
    config: TrainConfig = preset.training(scale, candidates=1, **changes)
    side = PatchSampler.min_side(config, scale)
    random = np.random.default_rng(3)
    coarse = (96 + 64 * random.random((side // 3, side // 3, 3))).astype(np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    image.save(folder / "window.png")
    store, _ = ImageStore.load([folder], side, runs.CPU)
    size = preset.network(scale).kernel_size
    batch = PatchSampler(store, config, scale, size, images=True).batch(0, 0)
    return batch, np.asarray(image, np.float64) / 255


def reduced(batch: Batch, index: int, image: np.ndarray, scale: int) -> np.ndarray:
    """What blur and bicubic make of a sample, (p, p, 3), by scipy and the oracle."""
    kernel = batch.kernel[index, 0].double().numpy()
    target = batch.hr[index].double().numpy().transpose(1, 2, 0)
    m = MARGIN
    for code in range(8):
        turned = np.rot90(image, code % 4)
        turned = turned[:, ::-1] if code >= 4 else turned
        if np.allclose(turned[m * scale : -m * scale, m * scale : -m * scale], target, atol=1e-6):
            blurred = ndimage.correlate(turned, kernel[..., None], mode="mirror")
            return np.asarray(oracle.imresize(blurred, 1 / scale)[m:-m, m:-m])
    raise AssertionError("the sample is no view of the image")


@pytest.mark.parametrize(
    ("name", "scale"),
    [("light", 3), ("paper-iso", 2), ("paper-aniso", 2), ("paper-aniso", 4)],
)
def test_lr_images_equal_the_oracle(tmp_path: Path, name: str, scale: int) -> None:
    batch, image = batch_of(tmp_path, name, scale, batch=8, patch=12)
    assert batch.blurred is not None and batch.clear is not None
    for index in range(8):
        expected = reduced(batch, index, image, scale)
        blurred = batch.blurred[index].double().numpy().transpose(1, 2, 0)
        np.testing.assert_allclose(blurred, expected, atol=2e-5)
        lr = batch.lr[index].double().numpy().transpose(1, 2, 0)
        np.testing.assert_allclose(lr, oracle.q8(blurred), atol=1e-6)
        assert np.abs(lr - expected).max() < 0.5 / 255 + 3e-5
    assert float((batch.clear - batch.blurred).abs().max()) > 0.01


@pytest.mark.parametrize("level", [15, 30])
def test_noise_is_white_of_the_right_level_and_rounded(tmp_path: Path, level: int) -> None:
    batch, image = batch_of(tmp_path, f"noise{level}", 4, batch=8, patch=32)
    residuals = []
    for index in range(8):
        lr = batch.lr[index].double().numpy().transpose(1, 2, 0)
        np.testing.assert_allclose(lr * 255, np.round(lr * 255), atol=1e-4)
        residuals.append(lr - reduced(batch, index, image, 4))
    noise = np.stack(residuals) * 255
    # Rounding adds a twelfth; the image keeps away from black and white by three deviations.
    assert noise.std() == pytest.approx((level**2 + 1 / 12) ** 0.5, rel=0.02)
    assert abs(noise.mean()) < 0.03 * level
    assert abs(np.mean(noise**3)) / noise.std() ** 3 < 0.1
    channels = np.corrcoef(noise.reshape(-1, 3).T)
    assert np.abs(channels - np.eye(3)).max() < 0.03
    for axis in (1, 2):
        shifted = np.roll(noise, 1, axis)
        assert abs(np.corrcoef(noise.ravel(), shifted.ravel())[0, 1]) < 0.03
    # Each image has its own noise, and the targets of Eq. 7 have none.
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.06
    clean, _ = batch_of(tmp_path, "paper-iso", 4, batch=8, patch=32)
    assert batch.blurred is not None and clean.blurred is not None
    assert batch.blurred.equal(clean.blurred)


def test_processes_share_noise_and_kernels(hr: Path) -> None:
    for name in ("noise15", "paper-aniso"):
        config = PRESETS[name].training(2, batch=6, patch=16)
        store, _ = ImageStore.load([hr], PatchSampler.min_side(config, 2), runs.CPU)
        sampler = PatchSampler(store, config, 2, 11, images=False)
        whole = sampler.batch(3, 0)
        for rank in range(3):
            part = sampler.batch(3, 0, rank, 3)
            assert part.kernel.equal(whole.kernel[rank::3])
            # The same noise; sums in another order round differently.
            assert float((part.lr - whole.lr[rank::3]).abs().max()) <= 1 / 255 + 1e-6
            assert float((part.lr != whole.lr[rank::3]).float().mean()) < 1e-3
