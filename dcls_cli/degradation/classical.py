"""The classical degradation: blur, bicubic reduction, rounding to 8 bits.

Everything is batched, runs on the device and in the dtype of its input, and is differentiable
except `quantise`. Autocast is switched off inside. On CUDA, whoever allows TF32 for matrix products
gives up 1e-3 of accuracy here too; figures to be published are computed in float64.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dcls_cli.errors import UsageError

#: Lowest and highest sigma of the Gaussian8 protocol for each scale, HR pixels.
GAUSSIAN8_RANGES = {2: (0.80, 1.60), 3: (1.35, 2.40), 4: (1.80, 3.20)}

#: Width of the Gaussian8 kernels, HR pixels.
GAUSSIAN8_KERNEL_SIZE = 21


def gaussian8_sigmas(scale: int) -> tuple[float, ...]:
    """The eight blur widths of the Gaussian8 protocol in HR pixels, ascending.

    Raises:
        UsageError: the protocol does not define this scale.
    """
    if scale not in GAUSSIAN8_RANGES:
        raise UsageError(f"Gaussian8 is defined for scales 2, 3 and 4, got {scale}")
    return tuple(float(sigma) for sigma in np.linspace(*GAUSSIAN8_RANGES[scale], 8))


def gaussian_taps(sigma: Tensor, size: int) -> Tensor:
    """Centred Gaussians of sum 1: (B,) standard deviations in pixels, > 0 -> (B, size).

    The centre of an even size lies between two taps.
    """
    offset = torch.arange(size, dtype=sigma.dtype, device=sigma.device) - (size - 1) / 2
    taps = torch.exp(-0.5 * (offset / sigma[:, None]) ** 2)
    return taps / taps.sum(dim=1, keepdim=True)


def gaussian_kernel(sigma: Tensor, size: int) -> Tensor:
    """Isotropic Gaussian kernels: (B,) standard deviations in pixels -> (B, 1, size, size)."""
    taps = gaussian_taps(sigma, size)
    return (taps[:, :, None] * taps[:, None, :])[:, None]


def anisotropic_gaussian_kernel(
    sigma_x: Tensor, sigma_y: Tensor, angle: Tensor, size: int
) -> Tensor:
    """Rotated Gaussian kernels of sum 1, k(p) ~ exp(-p' C^-1 p / 2), C = R diag(sx², sy²) R'.

    Args:
        sigma_x: (B,) standard deviations in pixels along the first axis of the ellipse, > 0.
        sigma_y: (B,) standard deviations along its second axis, > 0.
        angle: (B,) radians from the columns' axis (rightwards) to the first axis, towards the
            rows' axis (downwards).
        size: width of the kernels in pixels.

    Returns:
        (B, 1, size, size).
    """
    offset = torch.arange(size, dtype=sigma_x.dtype, device=sigma_x.device) - (size - 1) / 2
    row, column = offset[None, :, None], offset[None, None, :]
    cosine, sine = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    along = (cosine * column + sine * row) / sigma_x[:, None, None]
    across = (cosine * row - sine * column) / sigma_y[:, None, None]
    kernel = torch.exp(-0.5 * (along**2 + across**2))
    return (kernel / kernel.sum(dim=(1, 2), keepdim=True))[:, None]


@lru_cache(maxsize=64)
def reflect_index(length: int, before: int, after: int, device: torch.device) -> Tensor:
    """Source index of each padded sample, mirrored about the edge samples: ... 2 1 | 0 1 2 ...

    The signal may be shorter than its padding. Cached because a copy to a GPU waits for it.
    Returns (before + length + after,) int64 in [0, length).
    """
    period = max(2 * length - 2, 1)
    position = np.arange(-before, length + after) % period
    return torch.from_numpy(np.minimum(position, period - position)).to(device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device, without waiting for the device: from pinned memory to a GPU."""
    if device.type == "cuda" and tensor.device.type == "cpu":  # GPU only
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def blur(image: Tensor, kernel: Tensor) -> Tensor:
    """Correlate (B, C, H, W) with its own kernels (B or 1, 1, k, k), 'reflect' padding."""
    batch, channels, height, width = image.shape
    rows, columns = kernel.shape[-2:]
    top, left = (rows - 1) // 2, (columns - 1) // 2
    row_index = reflect_index(height, top, rows - 1 - top, image.device)
    column_index = reflect_index(width, left, columns - 1 - left, image.device)
    padded = image.index_select(2, row_index).index_select(3, column_index)
    kernel = kernel.to(image.dtype).expand(batch, 1, rows, columns)
    with torch.autocast(image.device.type, enabled=False):
        # Channels take the place of the batch, so that each sample is one group: at 21 taps
        # twice as fast as the FFT on one CPU thread.
        blurred = functional.conv2d(padded.transpose(0, 1), kernel, groups=batch)
    return blurred.transpose(0, 1).reshape(batch, channels, height, width)


def cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5."""
    a, x = -0.5, np.abs(distance)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@lru_cache(maxsize=32)
def _bicubic_matrix(
    length: int, factor: float, antialias: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """What `bicubic_matrix` returns."""
    out_length = math.ceil(length * factor - 1e-9)
    stretch = min(factor, 1.0) if antialias else 1.0
    half_width = 2.0 / stretch
    # Pixel i covers [i, i + 1): the centres of both grids share their middle.
    centre = (np.arange(out_length) + 0.5) / factor - 0.5
    first = np.floor(centre - half_width).astype(int)
    index = first[:, None] + np.arange(math.ceil(2 * half_width) + 2)
    weight = cubic(stretch * (centre[:, None] - index))
    weight /= weight.sum(axis=1, keepdims=True)
    index %= 2 * length
    index = np.minimum(index, 2 * length - 1 - index)
    matrix = np.zeros((out_length, length))
    np.add.at(matrix, (np.arange(out_length)[:, None], index), weight)
    return torch.from_numpy(matrix).to(device=device, dtype=dtype)


def bicubic_matrix(
    length: int,
    factor: float,
    *,
    antialias: bool = True,
    dtype: torch.dtype = torch.float64,
    device: torch.device | None = None,
) -> Tensor:
    """MATLAB's `imresize` in one dimension as a matrix: a = -0.5, symmetric edges (2 1 | 1 2).

    (ceil(length * factor), length), rows of sum 1, computed in float64. Cached: do not write to it.
    """
    return _bicubic_matrix(length, factor, antialias, dtype, device or torch.device("cpu"))


def bicubic(image: Tensor, factor: float) -> Tensor:
    """Resize as MATLAB's `imresize` does: antialiased when making smaller, not clamped.

    (B, C, H, W) -> (B, C, ceil(H * factor), ceil(W * factor)).
    """
    height, width = image.shape[-2:]
    rows = bicubic_matrix(height, factor, dtype=image.dtype, device=image.device)
    columns = bicubic_matrix(width, factor, dtype=image.dtype, device=image.device)
    with torch.autocast(image.device.type, enabled=False):
        return rows @ image @ columns.T


def blurred_bicubic_matrix(taps: Tensor, length: int, scale: int) -> Tensor:
    """Bicubic times reflect-padded correlation: (B, k) taps -> (B, ceil(length / scale), length).

    Each row of the bicubic matrix is spread by the taps over the padded signal, then the weights
    in the padding are folded back onto the samples that the padding mirrors.
    """
    size = taps.shape[1]
    before, after = (size - 1) // 2, size // 2
    down = bicubic_matrix(length, 1 / scale, dtype=taps.dtype, device=taps.device)
    windows = functional.pad(down, (size - 1, size - 1)).unfold(1, size, 1)
    spread = windows @ taps.flip(1).T  # (out, before + length + after, B)
    source = reflect_index(length, before, after, taps.device)
    folded = spread[:, before : before + length].contiguous()
    folded = folded.index_add(1, source[:before], spread[:, :before])
    folded = folded.index_add(1, source[before + length :], spread[:, before + length :])
    return folded.permute(2, 0, 1)


def degrade_isotropic(
    image: Tensor, sigma: Tensor, scale: int, kernel_size: int = GAUSSIAN8_KERNEL_SIZE
) -> Tensor:
    """Gaussian blur and antialiased bicubic in one: two small matrix products per image.

    (B, C, H, W), (B,) standard deviations in its pixels -> (B, C, ceil(H / scale), ceil(W /
    scale)). Equals `bicubic(blur(image, gaussian_kernel(sigma, kernel_size)), 1 / scale)`: the
    Gaussian is separable, so that blur and bicubic of an axis are one matrix. Neither clamped nor
    rounded.
    """
    height, width = image.shape[-2:]
    with torch.autocast(image.device.type, enabled=False):
        taps = gaussian_taps(sigma.to(image.dtype), kernel_size)
        rows = blurred_bicubic_matrix(taps, height, scale)
        columns = rows if width == height else blurred_bicubic_matrix(taps, width, scale)
        return rows[:, None] @ image @ columns[:, None].transpose(-1, -2)


def quantise(image: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to 8 bit, halves to even; the gradient is zero."""
    return torch.round(image.clamp(0, 1) * 255) / 255


#: Separable parts below this share of the strongest one are left out; 8 bits round by 200 times
#: as much.
SMALLEST_PART = 1e-5


def degrade(image: Tensor, kernel: Tensor, scale: int) -> Tensor:
    """Blur (B, C, H, W) with its own kernels (B, 1, k, k) and make it smaller by the bicubic.

    Equals `bicubic(blur(image, kernel), 1 / scale)` to about `SMALLEST_PART`. For a GPU the kernels
    had better be on the CPU, where they are decomposed: to fetch them is to wait for the GPU.
    """
    height, width = image.shape[-2:]
    with torch.autocast(image.device.type, enabled=False):
        along_rows, along_columns = (
            sent(part, image.device) for part in separable_parts(kernel[:, 0].to(image.dtype))
        )
        batch, parts, taps = along_rows.shape
        rows = blurred_bicubic_matrix(along_rows.reshape(-1, taps), height, scale)
        columns = blurred_bicubic_matrix(along_columns.reshape(-1, taps), width, scale)
        # All parts stacked below each other, then beside each other, so that the second product
        # adds them up.
        low = rows.shape[1]
        reduced = rows.reshape(batch, 1, parts * low, height) @ image
        reduced = reduced.view(batch, -1, parts, low, width).transpose(2, 3).flatten(3)
        columns = columns.view(batch, 1, parts, -1, width).transpose(2, 3).flatten(3)
        return reduced @ columns.mT


def separable_parts(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Kernels as sums of outer products: (B, k, k) -> taps down and taps across, (B, R, k) each.

    R is what the least separable kernel of the batch needs; the others are padded by parts that
    are next to nothing.
    """
    # On the CPU, which decides how many parts there are: a GPU would have to be waited for.
    down, strength, across = torch.linalg.svd(kernel.double().cpu())
    needed = int((strength > SMALLEST_PART * strength[:, :1]).sum(1).max())
    root = strength[:, :needed, None].sqrt()
    parts = down.mT[:, :needed] * root, across[:, :needed] * root
    first, second = (part.to(kernel) for part in parts)
    return first, second


def blur_by_fft(image: Tensor, kernel: Tensor) -> Tensor:
    """Correlate (B, C, H, W) with its own kernels (B, 1, k, k), k odd, 'reflect' padding.

    The same as `gaussian.blur`, whose k² products a pixel cost more from about 15 taps on.
    """
    height, width = image.shape[-2:]
    radius = kernel.shape[-1] // 2
    rows, columns = (
        reflect_index(side, radius, fast_length(side + 2 * radius) - side - radius, image.device)
        for side in (height, width)
    )
    with torch.autocast(image.device.type, enabled=False):
        padded = image.index_select(2, rows).index_select(3, columns)
        grid = padded.shape[-2:]
        spectrum = torch.fft.rfft2(padded)
        gain = torch.fft.rfft2(kernel.to(image.dtype), s=grid).conj()  # correlation
        blurred: Tensor = torch.fft.irfft2(spectrum * gain, s=grid)
    return blurred[..., :height, :width]


def fast_length(least: int) -> int:
    """The smallest even number of at least `least` without prime factors above 5."""
    length = least + least % 2
    while _without_small_factors(length) > 1:
        length += 2
    return length


def _without_small_factors(number: int) -> int:
    """What is left of a number without its factors 2, 3 and 5."""
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number


def draw_kernels(
    count: int,
    size: int,
    sigma: tuple[float, float],
    disturbance: float,
    random: torch.Generator,
) -> Tensor:
    """Draw kernels (count, 1, size, size) of sum 1, on the CPU, so that any device gets the same.

    Both standard deviations are drawn on their own, uniformly as the angle over the whole circle;
    then each tap is multiplied by 1 + u, u uniform in [0, disturbance], as in the authors' code.
    """
    low, high = sigma
    widths = low + (high - low) * torch.rand(2, count, generator=random)
    angle = math.pi * (2 * torch.rand(count, generator=random) - 1)
    kernel = anisotropic_gaussian_kernel(widths[0], widths[1], angle, size)
    if disturbance > 0:
        kernel = kernel * (1 + disturbance * torch.rand(kernel.shape, generator=random))
        kernel = kernel / kernel.sum((-2, -1), keepdim=True)
    return kernel


def degrade_anisotropic(image: Tensor, kernel: Tensor, scale: int) -> Tensor:
    """Blur every image with its own kernel (B, 1, k, k), k odd, and reduce it by the bicubic.

    (B, C, H, W) -> (B, C, ceil(H / scale), ceil(W / scale)), neither clamped nor rounded. A
    disturbed kernel is far from separable, so that the blur is done in the frequency domain.
    """
    return bicubic(blur_by_fft(image, kernel), 1 / scale)
