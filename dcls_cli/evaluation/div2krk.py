"""DIV2KRK: random anisotropic blurs with uneven taps, and plain sub-sampling.

The data set of KernelGAN (Bell-Kligler et al., 2019): 100 images of DIV2K's validation set, each
with a kernel of its own. Its x4 images were made with the x2 kernel applied twice. Its layout:

    gt/img_1_gt.png      lr_x2/im_1.png  gt_k_x2/kernel_1.mat (`Kernel`, 11 x 11)
                         lr_x4/im_1.png  gt_k_x4/kernel_1.mat (`Kernel`, 31 x 31)

`substitute` makes such images from any originals.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcls_cli.errors import ImageError, UsageError
from dcls_cli.evaluation.matlab import read_matrix
from dcls_cli.evaluation.samples import Sample, TrueKernel, find_images, fitting, random_of, read_hr
from dcls_cli.files.atomic import printable

VERSION = "div2krk-like/1"

#: Taps of the x2 kernels; applied twice they reach over 3 x 11 - 2 = 31.
KERNEL_SIZE = 11
#: Range of the variances along both axes, HR pixels squared at x2.
VARIANCES = (0.6, 5.0)
#: Largest relative change of a tap.
UNEVENNESS = 0.25

SCALES = (2, 4)

_CENTRING_STEPS = 100
_NUMBER = re.compile(r"\d+")


def substitute(image: str, hr: NDArray[np.uint8], scale: int) -> Sample:
    """Blur and sub-sample an HR image, (3, H, W), with a kernel that depends on its pixels alone.

    Raises:
        ImageError: too small to be compared, or not 8-bit RGB.
        UsageError: DIV2KRK has no such scale.
    """
    check_scale(scale)
    hr = fitting(image, hr, scale)
    kernel = random_kernel(random_of(VERSION, hr), scale)
    small = sampled(hr / 255.0, kernel, scale)
    lr = np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)
    return Sample(
        image=image,
        scale=scale,
        hr=hr,
        lr=lr[None],
        sigmas=(_width(kernel),),
        cases=("random",),
        kernels=(TrueKernel(kernel, "sampled"),),
    )


def check_scale(scale: int) -> None:
    """Refuse a scale that DIV2KRK does not have.

    Raises:
        UsageError: neither 2 nor 4.
    """
    if scale not in SCALES:
        raise UsageError(f"DIV2KRK is defined for scales 2 and 4, got {scale}")


def random_kernel(random: np.random.RandomState, scale: int) -> NDArray[np.float64]:
    """Taps of the whole reduction, sum 1: (11, 11) for x2, (31, 31) for x4.

    Its centre of mass lies (scale - 1) / 2 pixels after the middle tap, where the centre of the
    LR pixel is, so that the enlarged LR image is aligned with the original.
    """
    variances = random.uniform(*VARIANCES, 2)
    angle = random.uniform(-math.pi, math.pi)
    uneven = 1 + random.uniform(-UNEVENNESS, UNEVENNESS, (KERNEL_SIZE, KERNEL_SIZE))
    kernel = _centred(variances, angle, uneven)
    return kernel if scale == 2 else applied_twice(kernel)


def _centred(
    variances: NDArray[np.float64], angle: float, uneven: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The Gaussian times `uneven` whose centre of mass is half a pixel after the middle tap.

    The unevenness moves the centre; the Gaussian is moved against it until the sum is right.
    """
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    inverse = turn @ np.diag(1 / variances) @ turn.T
    position = np.indices((KERNEL_SIZE, KERNEL_SIZE), np.float64)
    wanted = np.full(2, KERNEL_SIZE // 2 + 0.5)
    middle = wanted.copy()
    taps = uneven
    for _ in range(_CENTRING_STEPS):
        offset = position - middle[:, None, None]
        taps = uneven * np.exp(-0.5 * np.einsum("iyx,ij,jyx->yx", offset, inverse, offset))
        taps = taps / taps.sum()
        middle = middle + (wanted - np.einsum("iyx,yx->i", position, taps))
    return taps


def applied_twice(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """One kernel that does what a x2 reduction does twice: (k, k) -> (3 k - 2, 3 k - 2).

    The second one's taps are two pixels of the original apart.
    """
    size = len(kernel)
    both = np.zeros((3 * size - 2, 3 * size - 2))
    for row, column in np.ndindex(size, size):
        both[2 * row : 2 * row + size, 2 * column : 2 * column + size] += (
            kernel[row, column] * kernel
        )
    return both


def sampled(
    image: NDArray[np.float64], kernel: NDArray[np.float64], scale: int
) -> NDArray[np.float64]:
    """Correlate with a kernel and take every scale-th pixel, from the first on.

    Edges are mirrored with the edge repeated, as KernelGAN's code does.

    Args:
        image: (3, H, W), sides multiples of the scale.
        kernel: (k, k), k odd.
        scale: of the reduction.

    Returns:
        (3, H / scale, W / scale).
    """
    reach = len(kernel) // 2
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    _, height, width = image.shape
    small = np.zeros((len(image), height // scale, width // scale))
    for (row, column), tap in np.ndenumerate(kernel):
        small += tap * padded[:, row : row + height : scale, column : column + width : scale]
    return small


def originals(root: Path, scale: int) -> Iterator[tuple[Path, Path, Path | None]]:
    """Find the HR image, LR image and kernel of each original, ordered by number.

    Kernels may be missing; then the kernel figures are.

    Raises:
        ImageError: the folder is not laid out as DIV2KRK is, an LR image is missing, or a number
            is that of no file or of two.
        UsageError: the data set has no such scale.
    """
    check_scale(scale)
    if (root / "DIV2KRK").is_dir():
        root = root / "DIV2KRK"
    small = _numbered(find_images(root / f"lr_x{scale}", "LR"))
    kernels = _numbered(sorted((root / f"gt_k_x{scale}").glob("*.mat")))
    for number, hr in sorted(_numbered(find_images(root / "gt", "HR")).items()):
        if number not in small:
            raise ImageError(
                f"{root / f'lr_x{scale}'}: no image of number {number}, which {hr.name} has"
            )
        yield hr, small[number], kernels.get(number)


def original_sample(hr_path: Path, lr_path: Path, kernel_path: Path | None, scale: int) -> Sample:
    """Read one image of the original data set.

    Raises:
        ImageError: a file cannot be read, or the sizes do not fit.
    """
    name = hr_path.name
    lr = read_hr(lr_path)
    hr = read_hr(hr_path)[:, : scale * lr.shape[1], : scale * lr.shape[2]]
    if hr.shape[1:] != (scale * lr.shape[1], scale * lr.shape[2]):
        raise ImageError(f"{lr_path}: {lr.shape[2]}x{lr.shape[1]} px, x{scale} larger than {name}")
    kernel = None
    if kernel_path is not None:
        taps = read_matrix(kernel_path, "Kernel")
        kernel = TrueKernel(taps / taps.sum(), "sampled")
    return Sample(
        image=name,
        scale=scale,
        hr=fitting(name, hr, scale),
        lr=lr[None],
        sigmas=(math.nan if kernel is None else _width(kernel.taps),),
        cases=("original",),
        kernels=(kernel,),
    )


def _numbered(paths: list[Path]) -> dict[int, Path]:
    """Paths by the first number in their names.

    Raises:
        ImageError: a name has no number, or two have the same.
    """
    numbered: dict[int, Path] = {}
    for path in paths:
        number = _NUMBER.search(path.stem)
        if number is None:
            raise ImageError(
                f"{printable(path)}: the name has no number, by which files of DIV2KRK belong "
                "together; move it away"
            )
        other = numbered.setdefault(int(number[0]), path)
        if other != path:
            raise ImageError(
                f"{printable(path)}: has the number of {printable(other.name)}; move one of them "
                "away"
            )
    return numbered


def _width(kernel: NDArray[np.float64]) -> float:
    """Root of the mean central second moment per axis, HR pixels."""
    position = np.indices(kernel.shape, np.float64)
    offset = position - np.einsum("iyx,yx->i", position, kernel)[:, None, None]
    return math.sqrt(float((offset**2 * kernel).sum()) / 2)
