"""`degradation.bicubic` against the oracle, weights computed by hand and identities."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dcls_cli.degradation import bicubic, bicubic_matrix
from tests import oracle


def images(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, height, width, generator=generator, dtype=torch.float64)


def channels_last(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("height", "width"), [(61, 37), (40, 40), (23, 64)])
@pytest.mark.parametrize("factor", [2, 3, 4, 1 / 2, 1 / 3, 1 / 4, 0.7])
def test_equals_oracle(height: int, width: int, factor: float) -> None:
    image = images(1, height, width)
    got = channels_last(bicubic(image, factor)[0])
    np.testing.assert_allclose(got, oracle.imresize(channels_last(image[0]), factor), atol=1e-12)


def test_weights_by_hand() -> None:
    # x2: output 4 lies at input 1.75; Keys' weights at distances 1.75, 0.75, 0.25, 1.25.
    expected = [-0.0234375, 0.2265625, 0.8671875, -0.0703125]
    row = bicubic_matrix(6, 2)[4]
    np.testing.assert_allclose(row, [*expected, 0, 0], atol=1e-15)


def test_edges_are_symmetric() -> None:
    signal = images(1, 1, 9)[0, 0, 0]
    mirrored = torch.cat((signal.flip(0), signal, signal.flip(0)))
    for factor, length in ((3, 27), (1 / 3, 3)):
        whole = bicubic_matrix(27, factor) @ mirrored
        torch.testing.assert_close(bicubic_matrix(9, factor) @ signal, whole[length : 2 * length])


@pytest.mark.parametrize("factor", [4, 1 / 4, 1.0])
def test_constants_stay(factor: float) -> None:
    rows = bicubic_matrix(13, factor)
    assert rows.shape == (math.ceil(13 * factor), 13)
    torch.testing.assert_close(rows.sum(1), torch.ones(len(rows), dtype=torch.float64))


def test_factor_one_is_the_identity() -> None:
    torch.testing.assert_close(bicubic_matrix(7, 1.0), torch.eye(7, dtype=torch.float64))


def test_antialias_widens_the_support() -> None:
    taps = [(bicubic_matrix(64, 0.25, antialias=a)[8].abs() > 1e-9).sum() for a in (True, False)]
    assert taps == [16, 4]


def test_resizing_one_pixel() -> None:
    image = images(1, 1, 1)
    torch.testing.assert_close(bicubic(image, 4), image.expand(1, 3, 4, 4))


def test_follows_the_dtype() -> None:
    assert bicubic(images(1, 8, 8).float(), 0.5).dtype == torch.float32


def test_adjoint_is_the_gradient() -> None:
    x = images(1, 12, 9).requires_grad_()
    y = images(1, 3, 3, seed=1)
    (bicubic(x, 0.25) * y).sum().backward()
    assert x.grad is not None
    rows, columns = bicubic_matrix(12, 0.25), bicubic_matrix(9, 0.25)
    torch.testing.assert_close(x.grad, rows.T @ y @ columns)
