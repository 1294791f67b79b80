"""The damage of photographs: reproducible, bounded, and what it says it is."""

from dataclasses import replace

import pytest
import torch

from dcls_cli.degradation import anisotropic_gaussian_kernel, bicubic, blur
from dcls_cli.degradation.draws import draw_damage
from dcls_cli.degradation.photo import (
    Damaged,
    PhotoDamage,
    damage_photo,
    effective_kernel,
    sharpened,
)


def sharp(count: int, side: int = 120) -> torch.Tensor:
    """Random blocks of colour: edges and flat parts, (count, 3, side, side)."""
    random = torch.Generator().manual_seed(5)
    blocks = torch.rand(count, 3, side // 10, side // 10, generator=random)
    return blocks.repeat_interleave(10, -1).repeat_interleave(10, -2)


def drawn(count: int, seed: int) -> PhotoDamage:
    random = torch.Generator().manual_seed(seed)
    return draw_damage(count, (30, 30), 21, (0.2, 4.0), 4, random=random)


def run(count: int, seed: int) -> Damaged:
    return damage_photo(sharp(count), drawn(count, seed), 4)


def test_same_seed_same_damage() -> None:
    for one, other in zip(run(4, 1), run(4, 1), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(run(4, 1).lr, run(4, 2).lr)


def test_result_is_an_8_bit_image() -> None:
    lr, noise, kernel = run(8, 3)
    assert lr.shape == (8, 3, 30, 30)
    levels = lr * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert float(lr.min()) >= 0
    assert float(lr.max()) <= 1
    assert torch.allclose(kernel.sum((-2, -1)), torch.ones(8, 1), atol=1e-5)
    assert ((noise >= 1e-6) & (noise <= 1)).all()


def test_noise_is_what_is_left_after_blur_and_sharpening() -> None:
    damage = drawn(12, 4)
    assert (damage.sharpening > 0.5).any()
    lr, noise, kernel = damage_photo(sharp(12), damage, 4)
    clean = sharpened(bicubic(blur(sharp(12), damage.kernel), 1 / 4), damage.sharpening)
    expected = (lr - clean).square().mean((1, 2, 3)) / clean.var((1, 2, 3))
    assert torch.allclose(noise, expected.clamp(1e-6, 1), rtol=1e-3, atol=1e-6)
    assert torch.equal(kernel, effective_kernel(damage.blur, damage.sharpening, 4))


def test_noise_of_its_level_is_added() -> None:
    """White noise of 10 levels at mid grey, before the sharpening and after it."""
    impulse = torch.zeros(2, 1, 21, 21)
    impulse[..., 10, 10] = 1
    random = torch.Generator().manual_seed(1)
    quiet = PhotoDamage.none(impulse, (64, 64))
    noisy = {
        "noise": torch.full((2,), 10 / 255),
        "shot": torch.ones(2),
        "sharpening": torch.ones(2),
        "noise_first": torch.tensor([False, True]),
        "colour_pattern": torch.randn(2, 3, 64, 64, generator=random),
    }
    grey = torch.full((2, 3, 256, 256), 0.5)
    assert (damage_photo(grey, quiet, 4).lr * 255 - 127.5).abs().max() < 0.51
    lr = damage_photo(grey, replace(quiet, **noisy), 4).lr * 255
    after, before = lr.var((1, 2, 3)).tolist()
    assert after == pytest.approx(100, rel=0.03)
    # 2 d - b has the taps 2 - 1/4, four of -1/8 and four of -1/16.
    assert before == pytest.approx(100 * (1.75**2 + 4 / 64 + 4 / 256), rel=0.03)


def test_neutral_pictures_stay_neutral() -> None:
    """Equal channels in, equal channels out, for those that are said to be grey."""
    grey = torch.arange(24) % 2 == 0
    picture = sharp(24)[:, :1].expand(-1, 3, -1, -1).contiguous()
    lr = damage_photo(picture, drawn(24, 8).neutral(grey), 4).lr
    colour = (lr - lr[:, :1]).abs().amax((1, 2, 3))
    assert (colour[grey] == 0).all()
    assert (colour[~grey] > 0).any()


def test_all_kinds_of_damage_occur() -> None:
    _, noise, _ = run(64, 6)
    damage = drawn(64, 6)
    kernel = damage.kernel
    axis = torch.arange(21) - 10.0
    across = (kernel[:, 0].sum(1) * axis**2).sum(1).clamp(min=0.01).sqrt()
    down = (kernel[:, 0].sum(2) * axis**2).sum(1).clamp(min=0.01).sqrt()
    assert (torch.maximum(across, down) / torch.minimum(across, down) > 1.5).any()
    assert (torch.maximum(across, down) < 1).any()
    assert (torch.minimum(across, down) > 2.5).any()
    assert (noise < 1e-3).any()
    assert (noise > 3e-2).any()
    for happened in (
        damage.sharpening > 0.6,
        damage.noise_first & (damage.noise > 0),
        damage.grain > 0.7,
        damage.blotches > 1 / 255,
        damage.first_quality <= 95,
        damage.quality <= 100,
    ):
        assert happened.any()
        assert not happened.all()


def test_as_many_are_sharpened_reduced_otherwise_and_unblurred_as_the_shares_say() -> None:
    damage = draw_damage(4000, (1, 1), 21, (0.2, 4.0), 4, random=torch.Generator().manual_seed(2))
    assert (damage.sharpening > 0).float().mean() == pytest.approx(0.4, abs=0.03)
    assert 1.1 < float(damage.sharpening.max()) < 1.2
    assert (damage.kernel.amax((1, 2, 3)) == 1).float().mean() == pytest.approx(
        0.06 * 0.55, abs=0.01
    )
    # All but the bicubic and some of the triangle's kernels have negative taps.
    negative = (damage.kernel.amin((1, 2, 3)) < -1e-4).float().mean()
    assert 0.2 < negative < 0.45


def test_kernel_turns_with_its_angle() -> None:
    flat = anisotropic_gaussian_kernel(
        torch.tensor([3.0]), torch.tensor([1.0]), torch.tensor([0.0]), 21
    )
    axis = torch.arange(21) - 10.0
    assert float((flat[0, 0].sum(0) * axis**2).sum()) > 4 * float(
        (flat[0, 0].sum(1) * axis**2).sum()
    )


def test_parts_of_a_batch_are_damaged_as_in_the_batch() -> None:
    damage = replace(drawn(8, 9), first_quality=torch.tensor([60.0, 70, 101, 101] * 2))
    every_second = slice(1, None, 2)
    part = damage.part(every_second, torch.device("cpu"))
    whole = damage_photo(sharp(8), damage, 4).lr[every_second]
    alone = damage_photo(sharp(8)[every_second], part, 4).lr
    # Sums in another order may round to another level, which JPEG spreads over a block.
    assert (whole - alone).abs().mean() < 0.02 / 255


def test_no_target_has_taps_that_no_lr_image_shows() -> None:
    """A reduction as HR taps oscillates; blur and sharpening alone have an L1 norm below 3."""
    damage = drawn(400, 3)
    kernel = damage_photo(sharp(400), damage, 4).kernel
    assert float(kernel.abs().sum((-2, -1)).max()) < 3
    assert float(damage.kernel.abs().sum((-2, -1)).max()) > 5
