"""Load a network, load a kernel, and enlarge pictures: one blur for each picture, in any tiles.

The names of the attributes and of `INPUT_TYPES` are those that ComfyUI looks for. An IMAGE is a
tensor (B, H, W, C) in [0, 1].
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from dcls_cli import Upscaler
from dcls_cli.kernels.user_kernel import UserKernel, read_kernel
from dcls_cli.models.releases import RELEASES

CATEGORY = "image/upscaling"

Inputs = dict[str, dict[str, tuple[Any, ...]]]


class LoadNetwork:
    """Finds a network; `auto` chooses by each picture."""

    CATEGORY = CATEGORY
    FUNCTION = "load"
    RETURN_TYPES = ("DCLS_NETWORK",)
    RETURN_NAMES = ("network",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802 - ComfyUI's name
        """A name of `dcls models list`, and how many times larger a picture becomes."""
        names = ["auto", *(item.name for item in RELEASES)]
        scale = {"default": 4.0, "min": 1.0, "max": 4.0, "step": 0.1}
        devices = ["auto", "cpu", "cuda", "mps"]
        return {"required": {"model": (names,), "scale": ("FLOAT", scale), "device": (devices,)}}

    def load(self, model: str, scale: float, device: str) -> tuple[Upscaler]:
        """Load the weights.

        Raises:
            DclsError: the network does not reach this scale, or the device cannot be used.
        """
        return (Upscaler.from_pretrained(model, scale=scale, device=device),)


class LoadKernel:
    """Reads a blur kernel that was measured, or saved with `dcls upscale --save-kernel`."""

    CATEGORY = CATEGORY
    FUNCTION = "load"
    RETURN_TYPES = ("DCLS_KERNEL",)
    RETURN_NAMES = ("kernel",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802
        """The path of a .npy, or of a grey PNG or TIFF."""
        path = {"default": "", "tooltip": "a .npy, or a grey PNG or TIFF"}
        spaces = ["as in the file", "hr", "lr"]
        return {"required": {"path": ("STRING", path), "space": (spaces,)}}

    def load(self, path: str, space: str) -> tuple[UserKernel]:
        """Read it.

        Raises:
            KernelError: the file is missing or is no kernel.
        """
        known = {"hr": "hr", "lr": "lr"}.get(space)
        return (read_kernel(Path(path), known),)  # type: ignore[arg-type]


class Upscale:
    """Enlarges each picture of a batch, with the blur that it has as a whole, or a known one."""

    CATEGORY = CATEGORY
    FUNCTION = "upscale"
    RETURN_TYPES = ("IMAGE", "IMAGE", "STRING")
    RETURN_NAMES = ("image", "kernel", "report")
    #: What ComfyUI shows when the mouse is over an output.
    OUTPUT_TOOLTIPS: ClassVar = ("enlarged", "the blur, brightest tap white", "a line per picture")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802
        """The pictures, how much of them a result has to explain, and a known blur."""
        fidelity = {"default": 0.0, "min": 0.0, "max": 1.0, "step": 0.05}
        return {
            "required": {
                "network": ("DCLS_NETWORK",),
                "image": ("IMAGE",),
                "fidelity": ("FLOAT", fidelity),
            },
            "optional": {"kernel": ("DCLS_KERNEL",)},
        }

    def upscale(
        self,
        network: Upscaler,
        image: Tensor,
        fidelity: float,
        kernel: UserKernel | None = None,
    ) -> tuple[Tensor, Tensor, str]:
        """Enlarge (B, H, W, C).

        Raises:
            DclsError: a picture of this kind is not supported, or memory runs out.
        """
        taps = None if kernel is None else kernel.taps
        space = None if kernel is None else kernel.space
        results = [
            network.up(
                np.ascontiguousarray(picture.cpu().float().clamp(0, 1).numpy()),
                kernel=taps,
                kernel_space=space,
                fidelity=fidelity,
            )
            for picture in image
        ]
        images = torch.stack([torch.from_numpy(result.image) for result in results])
        kernels = torch.stack([torch.from_numpy(result.kernel) for result in results])
        kernels = (kernels / kernels.amax((1, 2), keepdim=True)).clamp(0, 1)
        report = "\n".join(map(repr, results))
        return images, kernels[..., None].expand(-1, -1, -1, 3).contiguous(), report


NODE_CLASS_MAPPINGS = {
    "DclsLoadNetwork": LoadNetwork,
    "DclsLoadKernel": LoadKernel,
    "DclsUpscale": Upscale,
}

NODE_DISPLAY_NAME_MAPPINGS = {
    "DclsLoadNetwork": "Load DCLS Network",
    "DclsLoadKernel": "Load Blur Kernel",
    "DclsUpscale": "Upscale with DCLS",
}
