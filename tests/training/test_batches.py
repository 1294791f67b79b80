"""Training batches: where they come from, that they repeat, and what a step's batch is made of."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.degradation.classical import degrade
from dcls_cli.errors import TrainingError
from dcls_cli.training.batches import Batch, PatchSampler, _softened
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.images import ImageStore
from tests import oracle
from tests.training import runs

KERNEL = 21


def sampler_of(folder: Path, config: TrainConfig, scale: int, images: bool = False) -> PatchSampler:
    store, skipped = ImageStore.load([folder], PatchSampler.min_side(config, scale), runs.CPU)
    assert not skipped
    return PatchSampler(store, config, scale, KERNEL, images)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True) if a is not None)


def test_crops_equal_slices(hr: Path) -> None:
    store, _ = ImageStore.load([hr], 1, runs.CPU)
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(hr.iterdir())]
    image, top, left = torch.tensor([2, 0, 1]), torch.tensor([0, 13, 63]), torch.tensor([64, 0, 5])
    crops = store.crop(*store.windows(image, top, left), 20)
    for crop, index, row, column in zip(crops, image, top, left, strict=True):
        expected = arrays[index][row : row + 20, column : column + 20] / np.float32(255)
        np.testing.assert_array_equal(crop.numpy(), expected.transpose(2, 0, 1))


def test_a_step_has_one_batch(hr: Path) -> None:
    sampler = sampler_of(hr, runs.config(), 2)
    again = sampler_of(hr, runs.config(), 2)
    first = sampler.batch(7, 0)
    sampler.batch(8, 0)
    assert same(sampler.batch(7, 0), first)
    assert same(again.batch(7, 0), first)
    for other in (sampler.batch(8, 0), sampler.batch(7, 1)):
        assert not torch.equal(other.hr, first.hr)
    other_seed = sampler_of(hr, runs.config(seed=1), 2)
    assert not torch.equal(other_seed.batch(7, 0).hr, first.hr)


@pytest.mark.parametrize("candidates", [1, 3])
def test_processes_share_a_batch(hr: Path, candidates: int) -> None:
    sampler = sampler_of(hr, runs.config(batch=6, candidates=candidates), 2, images=True)
    whole = sampler.batch(3, 0)
    parts = [sampler.batch(3, 0, rank, 3) for rank in range(3)]
    for rank, part in enumerate(parts):
        for mine, all_of_it in zip(part[:5], whole[:5], strict=True):
            torch.testing.assert_close(mine, all_of_it[rank::3], rtol=0, atol=1e-6)


def locate(patch: np.ndarray, image: np.ndarray) -> tuple[int, int, int] | None:
    """Symmetry and place of a square patch (3, s, s) in an image (3, H, W)."""
    size = patch.shape[-1]
    for code in range(8):
        turned = np.rot90(patch, code % 4, axes=(1, 2))
        turned = turned[..., ::-1] if code >= 4 else turned
        places = np.abs(image[:, :, :] - turned[:, :1, :1]).max(0)[: 1 - size, : 1 - size] < 1e-6
        for top, left in np.argwhere(places):
            if np.abs(image[:, top : top + size, left : left + size] - turned).max() < 1e-6:
                return code, int(top), int(left)
    return None


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_equals_the_oracle(tmp_path: Path, scale: int) -> None:
    folder = runs.write_images(tmp_path, count=1, side=110)
    image = np.asarray(Image.open(folder / "0.png"), np.float64).transpose(2, 0, 1) / 255
    config = runs.config(batch=16, patch=6, candidates=1, sigma_max=float(scale))
    batch = sampler_of(folder, config, scale, images=True).batch(0, 0)
    assert batch.clear is not None and batch.blurred is not None
    symmetries = set()
    for index in range(16):
        taps = batch.kernel[index, 0, KERNEL // 2, KERNEL // 2 :].double().numpy()
        sigma = (-0.5 / np.log(taps[1] / taps[0])) ** 0.5
        np.testing.assert_allclose(
            batch.kernel[index, 0].numpy(), oracle.gauss_iso(KERNEL, sigma), atol=1e-6
        )
        found = locate(batch.hr[index].double().numpy(), image)
        assert found is not None, "the HR patch is nowhere in the image"
        code, top, left = found
        symmetries.add(code)
        # The whole image on the patch's grid, so that the sampler's window cannot matter.
        aligned = image[:, top % scale :, left % scale :]
        height, width = (side - side % scale for side in aligned.shape[1:])
        window = aligned[:, :height, :width].transpose(1, 2, 0)
        row, column = top // scale, left // scale
        for blur, got in ((sigma, batch.blurred[index]), (None, batch.clear[index])):
            blurred = window if blur is None else oracle.blur(window, blur, KERNEL)
            small = oracle.imresize(blurred, 1 / scale)[row : row + 6, column : column + 6]
            turned = np.rot90(got.double().numpy(), code % 4, axes=(1, 2))
            turned = turned[..., ::-1] if code >= 4 else turned
            np.testing.assert_allclose(turned, small.transpose(2, 0, 1), atol=2e-3)
        expected = oracle.q8(batch.blurred[index].double().numpy())
        np.testing.assert_allclose(batch.lr[index].numpy(), expected, atol=1e-6)
    assert len(symmetries) > 4


def test_candidates_prefer_detail(tmp_path: Path) -> None:
    folder = runs.write_images(tmp_path, count=2, side=100)
    grey = np.full((140, 140, 3), 128, np.uint8)
    Image.fromarray(grey).save(folder / "flat.png")

    def detail(candidates: int) -> float:
        sampler = sampler_of(folder, runs.config(batch=64, candidates=candidates, patch=8), 2)
        return float(sampler.batch(0, 0).hr.diff(dim=-1).abs().mean())

    assert detail(1) < 0.8 * detail(2) < 0.8 * detail(6)


def test_softness_blurs_some_of_the_originals_and_changes_nothing_else(hr: Path) -> None:
    options = {"batch": 64, "candidates": 1, "patch": 8}
    sharp = sampler_of(hr, runs.config(**options), 2).batch(0, 0)
    soft = sampler_of(hr, runs.config(softness=1.2, **options), 2).batch(0, 0)
    changed = (soft.hr != sharp.hr).flatten(1).any(1)
    assert 0.2 < changed.float().mean() < 0.6
    assert torch.equal(soft.kernel, sharp.kernel)

    def detail(images: torch.Tensor) -> torch.Tensor:
        return images.diff(dim=-1).square().mean((1, 2, 3))

    left = detail(soft.hr)[changed] / detail(sharp.hr)[changed]
    assert left.max() < 1.001
    assert left.mean() < 0.9
    brightness = (soft.hr - sharp.hr).mean((1, 2, 3)).abs()
    assert brightness.max() < 0.03


def test_softened_images_are_blurred_by_a_gaussian() -> None:
    image = np.random.default_rng(3).random((40, 40, 3))
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    ours = _softened(tensor, torch.tensor([0.9], dtype=torch.float64))[0].permute(1, 2, 0).numpy()
    expected = oracle.blur(image, 0.9, 21)
    np.testing.assert_allclose(ours[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-6)
    flat = _softened(torch.ones(1, 3, 20, 20), torch.tensor([1.5]))
    torch.testing.assert_close(flat, torch.ones_like(flat))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_photos_have_the_target_that_explains_them(hr: Path, tmp_path: Path, scale: int) -> None:
    """The target's blur of the target image is the LR image, but for the noise it tells of."""
    folder = runs.write_images(tmp_path, count=2, side=180)
    config = runs.config(batch=24, candidates=1, patch=24, degradation="photo", sigma_max=1.5)
    batch = sampler_of(folder, config, scale).batch(0, 0)
    assert batch.noise is not None
    clean = degrade(batch.hr, batch.kernel, scale)
    inside = np.s_[..., 8:-8, 8:-8]
    error = (batch.lr - clean)[inside].square().mean((1, 2, 3))
    told = batch.noise * clean.var((1, 2, 3)).clamp(min=1e-4)
    ratio = (error / told)[batch.noise < 1]
    assert 0.5 < float(ratio.median()) < 1.6


def test_grey_patches_are_grey_before_and_after_the_damage(hr: Path) -> None:
    config = runs.config(batch=100, candidates=1, patch=8, degradation="photo")
    batch = sampler_of(hr, config, 2).batch(0, 0)
    grey = (batch.hr - batch.hr[:, :1]).abs().amax((1, 2, 3)) == 0
    assert 3 < int(grey.sum()) < 16
    colour = (batch.lr - batch.lr[:, :1]).abs().amax((1, 2, 3))
    assert (colour[grey] == 0).all()
    assert (colour[~grey] > 0).all()


def test_processes_share_a_batch_of_photos(hr: Path) -> None:
    config = runs.config(batch=6, candidates=1, degradation="photo")
    sampler = sampler_of(hr, config, 2)
    whole = sampler.batch(3, 0)
    for rank in range(3):
        part = sampler.batch(3, 0, rank, 3)
        torch.testing.assert_close(part.hr, whole.hr[rank::3])
        torch.testing.assert_close(part.kernel, whole.kernel[rank::3])
        assert (part.lr - whole.lr[rank::3]).abs().mean() < 0.05 / 255


def test_widths_of_the_blur(hr: Path) -> None:
    def widths(**changes: object) -> np.ndarray:
        config = runs.config(batch=400, candidates=1, sigma_min=0.5, patch=4, **changes)
        kernel = sampler_of(hr, config, 2).batch(0, 0).kernel[:, 0, 10].double().numpy()
        return np.asarray((-0.5 / np.log(kernel[:, 11] / kernel[:, 10])) ** 0.5)

    uniform, centred = widths(), widths(sigma_centred=True)
    for drawn in (uniform, centred):
        assert drawn.min() >= 0.5 and drawn.max() <= 2.0
        assert drawn.mean() == pytest.approx(1.25, abs=0.06)
    assert uniform.std() == pytest.approx(1.5 / 12**0.5, rel=0.1)
    assert centred.std() == pytest.approx(1.5 / 24**0.5, rel=0.1)


def test_bad_images_are_named_and_skipped(hr: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    runs.write_images(folder / "below", count=2)
    png = (hr / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(png[: len(png) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.webp").write_text("not an image")
    (folder / "postscript.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder / "notes.txt").write_text("no image and not meant as one")
    Image.new("RGB", (30, 200)).save(folder / "narrow.png")
    calls: list[tuple[int, int]] = []
    store, skipped = ImageStore.load(
        [folder], 56, runs.CPU, lambda done, total: calls.append((done, total))
    )
    assert store.files == 2
    reasons = {item.path.name: item.reason for item in skipped}
    names = {"cut.png", "empty.jpg", "text.webp", "postscript.jpg", "narrow.png"}
    assert set(reasons) == names
    assert "30x200" in reasons["narrow.png"] and "56" in reasons["narrow.png"]
    assert all("\n" not in reason and reason for reason in reasons.values())
    assert calls == [(done, 7) for done in range(1, 8)]


def test_deep_and_grey_images_keep_their_tones(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "deep.png")
    store, skipped = ImageStore.load([tmp_path], 64, runs.CPU)
    assert not skipped
    got = store.pixels.view(64, 64, 3).double().numpy()
    np.testing.assert_allclose(got, np.repeat(ramp[..., None], 3, 2) / 257, atol=1)


def test_refuses_folders_without_usable_images(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such folder"):
        ImageStore.load([tmp_path / "missing"], 8, runs.CPU)
    Image.new("RGB", (7, 7)).save(tmp_path / "small.png")
    with pytest.raises(TrainingError, match="no usable training image.*1 image files, 1 skipped"):
        ImageStore.load([tmp_path], 8, runs.CPU)


def test_other_images_have_another_fingerprint(hr: Path, tmp_path: Path) -> None:
    other = runs.write_images(tmp_path, seed=1)
    prints = [
        ImageStore.load(list(folders), 8, runs.CPU)[0].fingerprint
        for folders in ([hr], [hr], [other], [hr, other], [other, hr])
    ]
    assert prints[0] == prints[1]
    for one, two in itertools.combinations(prints[1:], 2):
        assert one != two
