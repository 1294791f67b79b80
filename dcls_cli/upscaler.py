"""The Python interface: a picture goes in, a sharper one and the evidence come out."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
from PIL import Image

from dcls_cli.backends import Backend
from dcls_cli.backends.loading import load_backend
from dcls_cli.config import KernelSpace
from dcls_cli.hub import find, is_hub_name
from dcls_cli.image import Photo, from_array, from_pil, to_array, to_pil
from dcls_cli.kernels import UserKernel, fit_kernel
from dcls_cli.kernels.user_kernel import read_kernel
from dcls_cli.releases import RELEASES
from dcls_cli.upscaling import Progress, Upscaled, upscale

Picture = TypeVar("Picture", Image.Image, np.ndarray[Any, Any])


@dataclass(frozen=True, eq=False)
class Result(Generic[Picture]):
    """A restored picture with the evidence for it.

    Attributes:
        image: of the type of the input, scale times as wide and high.
        kernel: the blur that was found or given, (k, k) float32, sum 1.
        kernel_space: `hr` or `lr`: whose pixels the kernel's taps are.
        kernel_width_px: width (for a Gaussian: sigma) of the kernel in those pixels.
        kernel_confidence: share of the estimate in the kernel, 0 to 1: below 1 where the picture
            does not show enough of its blur; None where the kernel was given.
    """

    image: Picture
    kernel: np.ndarray
    kernel_space: KernelSpace
    kernel_width_px: float
    kernel_confidence: float | None


class Upscaler:
    """Restores pictures with one network.

    Example:
        >>> from PIL import Image
        >>> from dcls_cli import Upscaler
        >>> upscaler = Upscaler.from_pretrained("dcls-light-x4")  # doctest: +SKIP
        >>> result = upscaler.up(Image.open("photo.jpg"))  # doctest: +SKIP
        >>> result.image.save("photo_x4.png")  # doctest: +SKIP
        >>> print(f"blur: {result.kernel_width_px:.2f} px")  # doctest: +SKIP
    """

    def __init__(self, backend: Backend) -> None:
        """Use a network that is loaded already."""
        self.backend = backend

    @classmethod
    def from_pretrained(
        cls, model: str | Path = "dcls-light-x4", *, device: str = "auto", precision: str = "auto"
    ) -> Self:
        """Load weights by name or by path; only what is not on this machine is downloaded.

        Args:
            model: a name of the registry, `hf:owner/repo[@revision][/file]`, or a safetensors
                file of dcls.
            device: auto, cpu, cuda or cuda:N.
            precision: auto, fp32, bf16, fp16 or int8.

        Raises:
            UsageError: neither a known name nor a file.
            WeightsError: the file is missing, damaged, of another network or not to be had from
                the Hub.
            BackendError: the device or the precision is not usable here.
        """
        path = Path(model)
        is_name = is_hub_name(str(model)) or any(model == item.name for item in RELEASES)
        is_file = isinstance(model, Path) or path.suffix == ".safetensors" or path.exists()
        weights = path if is_file and not is_name else find(str(model))
        return cls(load_backend(weights, device, precision))

    @property
    def scale(self) -> int:
        """Up-scaling factor."""
        return self.backend.config.scale

    def up(
        self,
        image: Picture,
        *,
        kernel: np.ndarray | Path | None = None,
        kernel_space: KernelSpace | None = None,
        tile: int | None = None,
        progress: Progress | None = None,
    ) -> Result[Picture]:
        """Restore a picture.

        Args:
            image: a Pillow image, upright or with its EXIF orientation, which is applied; or an
                array (H, W) or (H, W, C) with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and
                alpha, of uint8, uint16, or floats in [0, 1], gamma-encoded as in image files.
            kernel: a blur that is known, the picture of a point: (h, w) taps of any odd or even
                size, or a file (.npy, grey PNG or TIFF). It takes the place of the estimate; what
                is changed in it, its sum, its centre, its size, is reported as a warning.
            kernel_space: whether its taps are `hr` (output) or `lr` (input) pixels; `hr` where
                neither this nor the file says so.
            tile: see `upscale`.
            progress: see `upscale`.

        Returns:
            An array of the same type and channels, or a Pillow image of mode L, LA, RGB, RGBA or
            I;16.

        Raises:
            ImageError: the picture is of a kind that is not supported.
            KernelError: the kernel is none, or too wide for the network.
            DclsError: see `upscale`.
        """
        known = None if kernel is None else self._known(kernel, kernel_space)

        def upscaled(photo: Photo) -> Upscaled:
            return upscale(
                photo, self.backend, tile=tile, kernel=known, progress=progress, warn=_to_python
            )

        if isinstance(image, Image.Image):
            done = upscaled(from_pil(image))
            return _result(to_pil(done), done)
        done = upscaled(from_array(image))
        restored = to_array(done, image)
        return _result(restored, done)

    def _known(self, kernel: np.ndarray | Path, space: KernelSpace | None) -> np.ndarray:
        """A user's kernel as the network takes it, (k, k)."""
        if isinstance(kernel, Path):
            own = read_kernel(kernel, space)
        else:
            own = UserKernel.of(kernel, space or "hr")
        fitted = fit_kernel(own, self.backend.config)
        for note in fitted.notes:
            warnings.warn(f"the kernel: {note}", stacklevel=3)
        return fitted.kernel


def _result(image: Picture, done: Upscaled) -> Result[Picture]:
    return Result(
        image, done.kernel, done.kernel_space, done.kernel_width_px, done.kernel_confidence
    )


def _to_python(text: str) -> None:
    """Tell what went otherwise than planned as Python does."""
    warnings.warn(text, stacklevel=2)
