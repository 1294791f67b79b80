"""Networks of others, through the spandrel package, which knows some fifty architectures."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from dcls_cli.backends.devices import select_device
from dcls_cli.errors import UsageError, WeightsError
from dcls_cli.evaluation.methods import Restored
from dcls_cli.installation import install_command


class SpandrelNetwork:
    """Any single-image super-resolver that spandrel loads, in fp32."""

    def __init__(self, model: Any, device: torch.device) -> None:  # noqa: ANN401 - spandrel's own
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
        with torch.inference_mode():
            image = torch.from_numpy(np.ascontiguousarray(lr, np.float32))[None]
            sr = self._model(image.to(self._device))
        return Restored(sr[0].float().cpu().numpy(), None)


def _loaded(path: Path) -> Any:  # noqa: ANN401 - spandrel's own
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
