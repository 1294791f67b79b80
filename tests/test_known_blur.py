"""The true kernel, given by its owner, restores what the estimate gets wrong."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import convolve

from dcls_cli.errors import KernelError
from dcls_cli.kernels.geometry import to_lr
from dcls_cli.upscaler import Upscaler
from tests import oracle, scenes

SCALE = 4


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    """The released network; it learnt round blurs only."""
    return Upscaler.from_pretrained("dcls-light-x4", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def hr() -> scenes.Image:
    original = Path(__file__).resolve().parents[1] / "examples" / "dog-original.png"
    return np.asarray(Image.open(original).convert("RGB"))[:384, 100:484] / 255.0


def blurred(hr: scenes.Image, kernel: np.ndarray) -> scenes.Image:
    """The picture of a point is the kernel: convolution; then antialiased bicubic and 8 bits."""
    planes = [convolve(hr[..., c], kernel, mode="mirror") for c in range(3)]
    return oracle.q8(oracle.imresize(np.stack(planes, -1), 1 / SCALE))


def slanted(size: int) -> np.ndarray:
    """Three times as long as wide: a blur that the network has never seen."""
    down, right = np.indices((size, size)) - (size - 1) / 2
    along, across = 0.8 * right + 0.6 * down, 0.6 * right - 0.8 * down
    kernel = np.exp(-0.5 * ((along / 3.0) ** 2 + (across / 1.2) ** 2))
    return np.asarray(kernel / kernel.sum())


def test_the_true_kernel_is_better_than_the_estimate_in_either_space_and_size(
    upscaler: Upscaler, hr: scenes.Image
) -> None:
    lr = blurred(hr, slanted(21))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = {
            "blind": upscaler.up(lr),
            "true": upscaler.up(lr, kernel=slanted(21)),
            "even": upscaler.up(lr, kernel=slanted(20)),
            "lr": upscaler.up(lr, kernel=to_lr(slanted(21), SCALE, 21), kernel_space="lr"),
        }
    psnr_db = {name: scenes.psnr_y(done.image, hr, SCALE) for name, done in results.items()}
    assert psnr_db["true"] > psnr_db["blind"] + 1
    assert psnr_db["even"] == pytest.approx(psnr_db["true"], abs=0.05)
    assert psnr_db["lr"] == pytest.approx(psnr_db["true"], abs=0.05)
    np.testing.assert_allclose(results["true"].kernel, slanted(21), atol=1e-6)


def test_a_lopsided_kernel_is_the_picture_of_a_point_and_not_its_mirror_image(
    upscaler: Upscaler, hr: scenes.Image
) -> None:
    comet = np.zeros((21, 21))
    comet[10, 8:18] = 0.7 ** np.arange(10)
    comet = convolve(comet, oracle.gauss_iso(9, 1.2), mode="constant")
    comet /= comet.sum()
    centre = comet.sum(0) @ np.arange(21)
    # Blurred about its centre of mass, as the rule has it: the nearest tap is good enough here.
    lr = blurred(hr, np.roll(comet, 10 - round(centre), axis=1))
    with pytest.warns(UserWarning, match="its centre of mass was"):
        right = upscaler.up(lr, kernel=comet).image
        mirrored = upscaler.up(lr, kernel=comet[::-1, ::-1]).image
    assert scenes.psnr_y(right, hr, SCALE) > scenes.psnr_y(mirrored, hr, SCALE) + 1


def test_files_are_read_and_what_is_changed_is_told(
    upscaler: Upscaler, hr: scenes.Image, tmp_path: Path
) -> None:
    lr = blurred(hr[:128, :128], slanted(21))
    path = tmp_path / "psf.npy"
    np.save(path, 7 * slanted(31))
    with pytest.warns(UserWarning, match="the kernel: its sum was 7; divided by it"):
        from_file = upscaler.up(lr, kernel=path)
    np.testing.assert_allclose(from_file.kernel, slanted(21), atol=1e-4)
    with pytest.raises(KernelError, match="all taps are zero"):
        upscaler.up(lr, kernel=np.zeros((3, 3)))


def test_a_kernel_that_was_saved_gives_the_same_picture_again(
    upscaler: Upscaler, hr: scenes.Image
) -> None:
    lr = blurred(hr[:128, :128], oracle.gauss_iso(21, 2.2))
    blind = upscaler.up(lr)
    again = upscaler.up(lr, kernel=blind.kernel)
    np.testing.assert_allclose(again.image, blind.image, atol=1e-4)
