"""What goes to a device and comes back is the same, whatever its layout."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from dcls_cli.backends import gpu
from dcls_cli.backends.gpu import Transfers

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("limit", [0, gpu.PINNED_BYTES])
def test_a_picture_comes_back(device: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "PINNED_BYTES", limit)
    image = np.random.default_rng(0).random((2, 3, 5, 7), np.float32)[..., ::-1]
    copies = Transfers(torch.device(device))
    there = copies.upload(image)
    assert there.device.type == device
    assert there.is_contiguous(memory_format=torch.channels_last)
    back = copies.download(there)
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, image)
    np.testing.assert_array_equal(copies.download(there.double()), image)


@pytest.mark.parametrize("device", DEVICES)
def test_threads_get_their_own_results(device: str) -> None:
    copies = Transfers(torch.device(device))
    images = np.random.default_rng(0).random((64, 1, 3, 96, 80), np.float32)

    def doubled(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return copies.download(copies.upload(image) * 2)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(doubled, images))
    for got, image in zip(results, images, strict=True):
        np.testing.assert_array_equal(got, image * 2)
