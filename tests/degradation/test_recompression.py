"""JPEG at another place and at another size, against Pillow and the independent resizer."""

import numpy as np
import pytest
import torch

from dcls_cli.degradation.jpeg import compressed, compressed_elsewhere
from tests import oracle
from tests.degradation.test_jpeg import by_pillow, photo


def tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) of 8 bits -> (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def levels(image: torch.Tensor) -> np.ndarray:
    """(1, 3, H, W) in [0, 1] -> (H, W, 3) in 8-bit levels."""
    return (image[0].permute(1, 2, 0) * 255).double().numpy()


def one(value: float | bool | list[float]) -> torch.Tensor:
    return torch.tensor([value])


@pytest.mark.parametrize("subsampled", [False, True])
def test_blocks_start_where_they_are_told(subsampled: bool) -> None:
    image = photo(64, 4)
    ours = compressed(tensor(image), one(60.0), one(subsampled), torch.tensor([[5, 11]]))
    around = np.pad(image, ((5, 16), (11, 16), (0, 0)), mode="edge")
    theirs = by_pillow(around, 60, 2 if subsampled else 0)[5 : 5 + 64, 11 : 11 + 64]
    damage = np.abs(theirs - image.astype(float)).mean()
    assert np.abs(levels(ours) - theirs).mean() < 0.4 * damage
    elsewhere = by_pillow(image, 60, 2 if subsampled else 0)
    assert np.abs(levels(ours) - elsewhere).mean() > 0.6 * damage


def test_same_size_is_plain_jpeg() -> None:
    image = photo(64, 1)
    ours = compressed_elsewhere(
        tensor(image), one(50.0), one(True), one(1.0), start=one([0.0, 0.0]), largest=1.4
    )
    theirs = by_pillow(image, 50, 2).astype(float)
    damage = np.abs(theirs - image).mean()
    assert np.abs(levels(ours) - theirs).mean() < 0.4 * damage


@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_blocks_are_those_of_the_other_size(factor: float) -> None:
    """What JPEG changes at the other size, resized: the same by other code."""
    image = photo(128, 7)
    ours = compressed_elsewhere(
        tensor(image), one(50.0), one(False), one(factor), start=one([0.0, 16.0]), largest=1.4
    )
    there = oracle.imresize(image / 255.0, factor).clip(0, 1)
    decoded = by_pillow((there * 255).round().astype(np.uint8), 50, 0) / 255
    change = 255 * oracle.imresize(decoded - there, 1 / factor)[:128, :128]
    inside = np.s_[8:-8, 8:-8]
    got = (levels(ours) - image)[inside]
    assert np.corrcoef(got.ravel(), change[inside].ravel())[0, 1] > 0.9
    assert got.std() == pytest.approx(change[inside].std(), rel=0.1)


def test_the_picture_itself_is_not_filtered() -> None:
    """At quality 100 hardly anything changes, though the picture is resized twice."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)
    for factor in (0.75, 1.0, 1.4):
        ours = compressed_elsewhere(
            tensor(noise), one(100.0), one(False), one(factor), start=one([3.3, 8.1]), largest=1.4
        )
        assert np.abs(levels(ours) - noise).mean() < 1.5


def test_photos_of_a_batch_do_not_meet() -> None:
    images = torch.cat([tensor(photo(48, seed)) for seed in range(3)])
    quality, factor = torch.tensor([50.0, 70.0, 90.0]), torch.tensor([0.8, 1.0, 1.3])
    start = torch.tensor([[0.0, 3.0], [15.9, 2.0], [7.0, 7.0]])
    halved = torch.tensor([True, False, True])
    together = compressed_elsewhere(images, quality, halved, factor, start=start, largest=1.4)
    for index in range(3):
        only = slice(index, index + 1)
        alone = compressed_elsewhere(
            images[only], quality[only], halved[only], factor[only], start=start[only], largest=1.4
        )
        assert (together[only] - alone).abs().mean() < 0.1 / 255
