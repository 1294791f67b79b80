"""What restores images: bicubic, our networks, all of `dcls upscale`, other projects' networks."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch

from dcls_cli.backends import Backend
from dcls_cli.backends.devices import exact_fp32, select_device
from dcls_cli.errors import UsageError, WeightsError
from dcls_cli.evaluation.gaussian8 import bicubic_restore
from dcls_cli.evaluation.kernel_metrics import Estimate
from dcls_cli.image import Photo, decode, from_array
from dcls_cli.image.photo import Picture, collect
from dcls_cli.image.resizing import Resized
from dcls_cli.installation import install_command
from dcls_cli.models.auto import choose
from dcls_cli.upscaling import find_blur, upscale
from dcls_cli.upscaling.finishing import finish_colours
from dcls_cli.upscaling.symmetries import Averaged


class Restored(NamedTuple):
    """sr: (3, s h, s w), not clamped; estimate: the kernel, where one was estimated."""

    sr: np.ndarray
    estimate: Estimate | None


class Method(Protocol):
    """Restores one image at a time."""

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        """LR (3, h, w) float32 in [0, 1], and as a file where the benchmark makes files."""
        ...


class Bicubic:
    """MATLAB's bicubic up-sampling, in float64."""

    def __init__(self, scale: int) -> None:
        """`scale` is by how much images are enlarged."""
        self._restore = bicubic_restore(scale)

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        """LR (3, h, w) float32 in [0, 1]."""
        return Restored(self._restore(lr), None)


class Network:
    """A network of ours on whole images, with the kernel that it estimates."""

    def __init__(self, backend: Backend, fidelity: float, *, tta: bool) -> None:
        """`backend` has the network loaded; `fidelity` and `tta` are those of `dcls upscale`."""
        self._backend, self._fidelity, self._tta = backend, fidelity, tta

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        """LR (3, h, w) float32 in [0, 1]."""
        estimate = find_blur(lr, self._backend, tiled=False)
        backend = self._backend
        if self._tta:
            certain = estimate.confidence == 1
            backend = Averaged(backend, lr, estimate.blur, certain=certain)
        sr = backend.restore(lr[None], estimate.blur)
        space = self._backend.config.kernel_space
        finish = finish_colours(space, estimate.survey, 1 / 255, self._fidelity)
        sr = finish(lr[None], sr, estimate.blur.kernel)[0]
        return Restored(sr, Estimate(estimate.blur.kernel, space))


class UpscaleCommand:
    """`dcls upscale` with one network, or with `-m auto` where there are several."""

    def __init__(
        self, backends: Sequence[Backend], names: Sequence[str], fidelity: float, *, tta: bool
    ) -> None:
        """`names` are those of the releases, by which the rule chooses."""
        self._backends = dict(zip(names, backends, strict=True))
        self._first, self._fidelity, self._tta = backends[0], fidelity, tta

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        """Read the file, or take the pixels for a PNG, and restore them to 8 bits."""
        photo = _photo(lr) if file is None else decode(BytesIO(file))
        backend = self._first
        scale = backend.config.scale
        if len(self._backends) > 1:
            backend = self._backends[choose(photo, scale).model]
        upscaled = upscale(photo, backend, fidelity=self._fidelity, tta=self._tta)
        picture: Picture = upscaled
        if backend.config.scale != scale:
            picture = Resized(upscaled, photo.width * scale, photo.height * scale)
        levels = collect(picture, np.dtype(np.uint8))
        colours = levels[..., :1] if photo.grey else levels[..., :3]
        sr = np.broadcast_to(colours, (*levels.shape[:2], 3)).transpose(2, 0, 1) / 255
        return Restored(sr, Estimate(upscaled.kernel, upscaled.kernel_space))


def _photo(lr: np.ndarray) -> Photo:
    """(3, h, w) in [0, 1] in 8 bits."""
    levels = np.rint(np.clip(lr, 0, 1) * 255).astype(np.uint8)
    return from_array(np.ascontiguousarray(levels.transpose(1, 2, 0)))


class SpandrelNetwork:
    """Any single-image super-resolver that spandrel loads, in fp32."""

    def __init__(self, model: Any, device: torch.device) -> None:  # noqa: ANN401 - spandrel's
        """`model` is an `ImageModelDescriptor` of three channels in and out."""
        self._model, self._device = model.to(device).eval().float(), device

    @classmethod
    def load(cls, path: Path, scale: int, device: str = "auto") -> Self:
        """Load a weight file; spandrel refuses pickles that hold more than tensors.

        Raises:
            UsageError: spandrel is not installed, or the network is made for something else.
            WeightsError: the file cannot be read, or spandrel does not know its architecture.
        """
        chosen = select_device(device)
        model = _loaded(path)
        channels = (model.input_channels, model.output_channels)
        if model.scale != scale or channels != (3, 3) or model.purpose not in ("SR", "FaceSR"):
            raise UsageError(
                f"{path}: expected a x{scale} network from RGB to RGB; it is {model.purpose} "
                f"x{model.scale}, {channels[0]} channels in and {channels[1]} out"
            )
        return cls(model, chosen)

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        """LR (3, h, w) float32 in [0, 1]; spandrel pads what the network cannot take."""
        with exact_fp32(), torch.inference_mode():
            image = torch.from_numpy(np.ascontiguousarray(lr, np.float32))[None]
            sr = self._model(image.to(self._device))
        return Restored(sr[0].float().cpu().numpy(), None)


def _loaded(path: Path) -> Any:  # noqa: ANN401 - spandrel's
    try:
        import spandrel
    except ImportError as error:
        raise UsageError(
            f"{path}: other projects' networks need spandrel: {install_command('spandrel')}"
        ) from error
    except RuntimeError as error:  # of a torchvision that was built for another torch
        raise UsageError(
            f"{path}: spandrel cannot be imported: {' '.join(str(error).split())}; install torch "
            "and torchvision together, both for the CPU or both for CUDA"
        ) from error
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        model = spandrel.ModelLoader(device="cpu").load_from_file(path)
    except Exception as error:  # each architecture fails in its own way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{path}: spandrel cannot load it: {reason}") from error
    if not isinstance(model, spandrel.ImageModelDescriptor):
        raise UsageError(f"{path}: expected a network that takes one picture")
    return model
