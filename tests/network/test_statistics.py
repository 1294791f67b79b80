"""What is gathered window by window is what the whole image gives."""

import math

import pytest
import torch
from torch import Tensor

from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.estimator import EnergyPooling
from dcls_cli.network.statistics import Source, gather, read_joint_windows
from dcls_cli.network.windows import JOINT_PIXELS, JOINT_SIDE_PX, SAMPLE_WINDOWS, intervals
from tests import scenes

TINY = {"features": 16, "groups": 2, "blocks": 2, "latent": 8, "kernel_channels": 4}
CONFIGS = {
    "light": ModelConfig.light(2, **TINY, estimator_features=16),
    "photo": ModelConfig.photo(3, **TINY, estimator_features=16),
    "paper": ModelConfig.paper(2, **TINY, estimator_features=16, kernel_size=11),
    "linear skip": ModelConfig.paper(
        2, **TINY, estimator_features=16, kernel_space="hr", skip="linear", head_blocks=1
    ),
}


def network(name: str) -> DCLS:
    """Random weights, livelier than at the start, so that nothing is near zero."""
    torch.manual_seed(1)
    made = DCLS(CONFIGS[name]).eval()
    with torch.no_grad():
        for parameter in made.restorer.parameters():
            parameter.mul_(1.5)
    return made


def image(height: int, width: int) -> Tensor:
    return scenes.to_tensor(scenes.natural(height, width))


def windows_of(whole: Tensor) -> Source:
    height, width = whole.shape[-2:]
    return Source(lambda rows, columns: whole[..., rows, columns], height, width)


@pytest.mark.parametrize("length", [1, 2, 6, 7, 8, 31, 64])
@pytest.mark.parametrize("margin", [0, 4, 6])
@pytest.mark.parametrize("step", [1, 5, 100])
def test_intervals_cover_what_is_pooled_once(length: int, margin: int, step: int) -> None:
    halo = 3
    covered = []
    for part in intervals(length, step, halo, margin):
        covered += range(part.first, part.last)
        read = range(length)[part.read]
        core = read[part.core]
        assert len(core) == min(part.last - part.first + margin, length)
        assert core[0] == part.first
        assert read[0] == max(core[0] - halo, 0)
        assert read[-1] == min(core[-1] + halo, length - 1)
    assert covered == list(range(max(length - margin, 1)))


@pytest.mark.parametrize("size", [(1, 1), (2, 41), (41, 6), (7, 7), (29, 37)])
@pytest.mark.parametrize("name", CONFIGS)
def test_kernel_noise_and_smoothing_are_those_of_the_whole_image(
    name: str, size: tuple[int, int]
) -> None:
    net, whole = network(name), image(*size)
    with torch.no_grad():
        expected = net.estimate(whole)
        found = gather(net, windows_of(whole), tiled=True, window=10)
        at_once = gather(net, windows_of(whole), tiled=False)
        torch.testing.assert_close(found.kernel, expected.kernel, atol=1e-6, rtol=0)
        for part in (0, 1, 2):
            whole_part = expected[part]
            if whole_part is None:
                assert at_once[part] is None
                continue
            assert torch.equal(at_once[part], whole_part)
            torch.testing.assert_close(found[part], whole_part, atol=1e-6, rtol=1e-5)
        if net.restorer.smoothing is not None:
            shallow = net.restorer.head(whole, net.closed_forms(whole, expected)[1])[1]
            logits = net.restorer.smoothing(net.restorer.deconvolution.reduce(shallow))
            positive = logits.exp()
            filters = positive - positive.mean((-2, -1), keepdim=True)
            torch.testing.assert_close(found.smoothing, filters, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["paper", "linear skip"])
def test_gates_of_a_small_image_are_its_own(name: str) -> None:
    net, whole = network(name), image(24, 31)
    with torch.no_grad():
        found = gather(net, windows_of(whole), tiled=True, window=10)
        assert found.gates is not None
        assert found.gates.shape == (1, 2, 2, 20)
        assert found.gates.std() > 1e-3
        assert 0 < found.gates.min() < found.gates.max() < 1
        frozen = net.restore(whole, found)
        torch.testing.assert_close(frozen, net(whole).sr, atol=1e-5, rtol=0)


def test_networks_without_attention_have_no_gates() -> None:
    whole = image(9, 9)
    with torch.no_grad():
        assert gather(network("light"), windows_of(whole), tiled=True).gates is None
        assert gather(network("paper"), windows_of(whole), tiled=False).gates is None


def test_frozen_statistics_make_a_tile_agree_with_the_whole_image() -> None:
    net, whole = network("paper"), image(120, 150)
    tile = (..., slice(10, 110), slice(20, 130))
    middle = (..., slice(80, 120), slice(90, 130))  # 40 pixels from the tile's borders, doubled
    with torch.no_grad():
        expected = net(whole).sr[..., 20:220, 40:260][middle]
        frozen = gather(net, windows_of(whole), tiled=True, window=50)
        local = frozen._replace(smoothing=None, gates=None)
        error = [
            (net.restore(whole[tile], blur)[middle] - expected).abs().max()
            for blur in (frozen, local)
        ]
    assert error[0] < 2e-5
    assert error[1] > 20 * error[0]


@pytest.mark.parametrize("size", [(600, 500), (40, 9000), (9000, 40), (100_000, 3), (2049, 2)])
def test_a_large_image_gives_a_sample_from_all_over_it(size: tuple[int, int]) -> None:
    height, width = size
    assert height * width > JOINT_PIXELS or max(size) > JOINT_SIDE_PX
    places = []

    def read(rows: slice, columns: slice) -> Tensor:
        assert 0 <= rows.start < rows.stop <= height
        assert 0 <= columns.start < columns.stop <= width
        places.append((rows.start, columns.start))
        return torch.zeros(1, 3, rows.stop - rows.start, columns.stop - columns.start)

    lr, (rows, columns) = read_joint_windows(Source(read, height, width))
    assert SAMPLE_WINDOWS // 2 < lr.shape[0] == len(set(places)) <= SAMPLE_WINDOWS
    tall, wide = lr[0, 0, rows, columns].shape
    assert (tall, wide) == (64 if height > 96 else height, 64 if width > 96 else width)
    for axis, length in enumerate(size):
        centres = [place[axis] + lr.shape[2 + axis] / 2 for place in places]
        assert sum(centres) / len(centres) == pytest.approx(length / 2, abs=1)


@pytest.mark.slow
def test_a_sample_has_nearly_the_gates_of_the_whole_image() -> None:
    net, whole = network("paper"), image(560, 500)
    height, width = whole.shape[-2:]
    assert height * width > JOINT_PIXELS
    with torch.no_grad():
        sampled = gather(net, windows_of(whole), tiled=True)
        sr = net.restore(whole, sampled)
        error = (sr - net(whole).sr).square().mean()
    assert -10 * math.log10(error) > 60


def test_energies_of_parts_add_up() -> None:
    level = torch.randn(1, 4, 8, 6, generator=torch.Generator().manual_seed(0))
    pooling = EnergyPooling(4, 3)
    halves = [pooling.means(part, 2 * part) for part in level.split(4, dim=2)]
    expected = torch.cat((level.square().mean((2, 3)), 4 * level.square().mean((2, 3))), 1)
    torch.testing.assert_close(sum(halves) / 2, expected)
