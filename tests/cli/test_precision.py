"""Only tiles that overflow in half precision are restored in fp32, and that is reported."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.image import read
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
LARGEST = {"bf16": torch.finfo(torch.float32).max, "fp16": 1e5}


def overflowing(precision: str) -> DCLS:
    """A network with a channel that nothing reads, and that only fp32 holds where it is white.

    Zero times that channel is zero in fp32 and NaN where it became infinite. In bf16, of the range
    of fp32, only what is rounded up to infinity does.
    """
    torch.manual_seed(0)
    network = DCLS(
        ModelConfig.light(
            2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
        )
    )
    restorer = network.restorer
    with torch.no_grad():
        restorer.conv_first.weight[0] = 0
        restorer.conv_first.weight[0, :, 1, 1] = LARGEST[precision] * (1 - 2**-12) / 3
        restorer.conv_first.bias[0] = 0
        restorer.conv_linear.weight[0] = 0
        restorer.conv_linear.bias[0] = 0
        readers = [block.conv1 for block in restorer.features]
        readers += [restorer.side_head, restorer.deconvolution.reduce, restorer.upsampler[0]]
        for reader in readers:
            reader.weight[:, 0] = 0
        restorer.upsampler[0].weight *= 20  # so that rounding to half precision shows
    return network


@pytest.mark.parametrize(
    ("device", "precision"), [("cpu", "bf16"), pytest.param("cuda", "fp16", marks=NO_GPU)]
)
def test_only_tiles_that_are_not_finite_are_restored_in_fp32(
    device: str,
    precision: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    weights.write(overflowing(precision), Path("w.safetensors"))
    samples = np.random.default_rng(0).integers(0, 200, (64, 260, 3), np.uint8)
    Image.fromarray(samples).save("dark.png")
    samples[10:20, 240:250] = 255
    Image.fromarray(samples).save("white.png")

    def restored(source: str, kind: str) -> np.ndarray:
        """As 16-bit samples, and whether it was told."""
        output = f"{kind}-{source}"
        options = ["-w", "w.safetensors", "--tile", "64", "--bit-depth", "16", "--device"]
        assert run(["upscale", source, "-o", output, "--precision", kind, *options, device]) == 0
        told = capsys.readouterr().err
        notes = told.count(f"{source}: some values are not finite in {kind}; such tiles are")
        assert notes == (source == "white.png" and kind == precision)
        return read(Path(output)).samples.astype(int)

    exact, got = restored("white.png", "fp32"), restored("white.png", precision)
    # The last tile reads the white spot; where no other fades into it, it is that of fp32.
    # Rounding differs, as it went with other tiles.
    np.testing.assert_allclose(got[:, -64:], exact[:, -64:], rtol=0, atol=1)
    # The others are in half precision: near fp32, but not the same.
    first = slice(0, 2 * 128)
    assert 10 < np.abs(got[:, first] - exact[:, first]).max() < 0.02 * 65535
    dark = restored("dark.png", precision) - restored("dark.png", "fp32")
    assert np.abs(dark[:, -64:]).max() > 10
