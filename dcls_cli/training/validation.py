"""The averaged network as a function of arrays, for validations."""

import numpy as np
import torch

from dcls_cli.training.state import TrainState


class AveragedRestorer:
    """Restores arrays with the averaged weights, on the training device and in its precision.

    Attributes:
        sr: what the last call returned, (3, s h, s w) float32, not clamped.
        kernel: the kernel that the last call estimated, (k, k) float32.
    """

    sr: np.ndarray
    kernel: np.ndarray

    def __init__(self, state: TrainState) -> None:
        """Use the state's weights as they are at each call."""
        self._network, self._bf16 = state.ema, state.config.precision == "bf16"
        self._device = next(state.ema.parameters()).device

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        """LR (3, h, w) float32 in [0, 1] -> SR (3, s h, s w) float32."""
        image = torch.from_numpy(lr)[None].to(self._device)
        image = image.contiguous(memory_format=torch.channels_last)
        autocast = torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16)
        with torch.no_grad(), autocast:
            restoration = self._network(image)
        self.sr = restoration.sr[0].float().contiguous().cpu().numpy()
        self.kernel = restoration.kernel[0, 0].float().cpu().numpy()
        return self.sr
