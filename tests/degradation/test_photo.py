"""The damage of photographs: reproducible, bounded, and what it says it is."""

import torch

from dcls_cli.degradation import anisotropic_gaussian_kernel, bicubic, blur
from dcls_cli.degradation.photo import PhotoDamage, damage_photo


def sharp(count: int, side: int = 120) -> torch.Tensor:
    """Random blocks of colour: edges and flat parts, (count, 3, side, side)."""
    random = torch.Generator().manual_seed(5)
    blocks = torch.rand(count, 3, side // 10, side // 10, generator=random)
    return blocks.repeat_interleave(10, -1).repeat_interleave(10, -2)


def run(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    damage = PhotoDamage.draw(count, (30, 30), 21, (0.2, 4.0), random)
    lr, noise = damage_photo(sharp(count), damage, 4)
    return lr, damage.kernel, noise


def test_same_seed_same_damage() -> None:
    for one, other in zip(run(4, 1), run(4, 1), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(run(4, 1)[0], run(4, 2)[0])


def test_result_is_an_8_bit_image() -> None:
    lr, kernel, noise = run(8, 3)
    assert lr.shape == (8, 3, 30, 30)
    levels = lr * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert float(lr.min()) >= 0
    assert float(lr.max()) <= 1
    assert torch.allclose(kernel.sum((-2, -1)), torch.ones(8, 1), atol=1e-5)
    assert ((noise >= 1e-6) & (noise <= 1)).all()


def test_noise_is_what_is_left_after_the_blur() -> None:
    lr, kernel, noise = run(6, 4)
    clean = bicubic(blur(sharp(6), kernel), 1 / 4)
    expected = (lr - clean).square().mean((1, 2, 3)) / clean.var((1, 2, 3))
    assert torch.allclose(noise, expected.clamp(1e-6, 1), rtol=1e-4)


def test_all_kinds_of_damage_occur() -> None:
    _, kernel, noise = run(64, 6)
    axis = torch.arange(21) - 10.0
    across = (kernel[:, 0].sum(1) * axis**2).sum(1).sqrt()
    down = (kernel[:, 0].sum(2) * axis**2).sum(1).sqrt()
    assert (torch.maximum(across, down) / torch.minimum(across, down) > 1.5).any()
    assert (torch.maximum(across, down) < 1).any()
    assert (torch.minimum(across, down) > 2.5).any()
    assert (noise < 1e-3).any()
    assert (noise > 3e-2).any()


def test_kernel_turns_with_its_angle() -> None:
    flat = anisotropic_gaussian_kernel(
        torch.tensor([3.0]), torch.tensor([1.0]), torch.tensor([0.0]), 21
    )
    axis = torch.arange(21) - 10.0
    assert float((flat[0, 0].sum(0) * axis**2).sum()) > 4 * float(
        (flat[0, 0].sum(1) * axis**2).sum()
    )


def test_parts_of_a_batch_are_damaged_as_in_the_batch() -> None:
    damage = PhotoDamage.draw(6, (30, 30), 21, (0.2, 4.0), torch.Generator().manual_seed(9))
    every_second = slice(1, None, 2)
    part = damage.part(every_second, torch.device("cpu"))
    whole = damage_photo(sharp(6), damage, 4).lr[every_second]
    alone = damage_photo(sharp(6)[every_second], part, 4).lr
    assert ((whole - alone).abs() * 255).max() <= 1.01
    assert (whole != alone).float().mean() < 1e-3
