"""Whether a network keeps its result in half precision, tested on the example photo.

Not every network does. Where the paper's deconvolution has nothing but a small P in its denominator
(`cls_epsilon` 0), it takes the rounding of the features that go into it up a thousand times, and
where nothing is added to what many blocks make of a picture, their rounding adds up.
"""

import numpy as np
import torch
from torch import Tensor

from dcls_cli import example
from dcls_cli.backends.devices import DTYPES
from dcls_cli.network.dcls import DCLS

#: PSNR between half precision and fp32 under which fp32 is used, dB.
LEAST_DB = 60.0

_SIDE_PX = 48

#: Standard deviations of the blurs that are tried beside the one that is estimated, in pixels of
#: the kernel.
_SIGMAS_PX = (1.2, 2.0)


def half_precision_db(network: DCLS, precision: str, device: torch.device) -> float:
    """The lowest PSNR of half precision against fp32, over some blurs.

    Args:
        network: on the device, in evaluation mode.
        precision: bf16 or fp16.
        device: that computes.

    Raises:
        ImageError: the installation is damaged.
    """
    picture = torch.from_numpy(example.pixels(_SIDE_PX, _SIDE_PX))[None].to(device)
    lr = picture.contiguous(memory_format=torch.channels_last)
    worst = np.inf
    with torch.inference_mode():
        found = network.estimate(lr)
        known = [_gaussian(found.kernel, sigma) for sigma in _SIGMAS_PX]
        for kernel in (found.kernel, *known):
            blur = found._replace(kernel=kernel)
            exact = network.restore(lr, blur).clamp(0, 1)
            with torch.autocast(device.type, DTYPES[precision]):
                half = network.restore(lr, blur).float().clamp(0, 1)
            error = float((half - exact).square().mean())
            worst = min(worst, -10 * np.log10(error) if error > 0 else np.inf)
            worst = -np.inf if np.isnan(error) else worst
    return float(worst)


def _gaussian(like: Tensor, sigma_px: float) -> Tensor:
    """An isotropic Gaussian of the shape of a kernel (1, 1, k, k), of sum 1."""
    taps = torch.arange(like.shape[-1], device=like.device) - like.shape[-1] // 2
    profile = torch.exp(-0.5 * (taps / sigma_px).square())
    kernel = torch.outer(profile, profile)
    return (kernel / kernel.sum())[None, None]
