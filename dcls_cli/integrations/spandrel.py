"""DCLS as an architecture of spandrel, the model loader of ComfyUI, chaiNNer and others.

    from dcls_cli.integrations.spandrel import install
    install()
    model = spandrel.ModelLoader().load_from_file("dcls-light-x4.safetensors")

takes our weight files and the authors' checkpoints. spandrel shows an architecture nothing but
tensors, so the options of the network are recognised from them; `load_from_file` of this module
reads those that the file itself states.
"""

from pathlib import Path
from typing import Any

import spandrel
from torch import Tensor

from dcls_cli.config import ModelConfig
from dcls_cli.integrations.recognition import recognise
from dcls_cli.models import official, weights
from dcls_cli.network.dcls import DCLS

ID = "DCLS"

#: Tensors that only our files, and only the authors', have together.
_OURS = ("restorer.conv_first.weight", "estimator.deep_linear_kernel.decoders.0.weight")
_AUTHORS = ("Restorer.conv_first.weight", "Estimator.dec.0.weight")

StateDict = dict[str, Tensor]


class DclsArchitecture(spandrel.Architecture[DCLS]):
    """Recognises and loads DCLS networks, ours and the authors'."""

    def __init__(self) -> None:
        """Name it."""
        super().__init__(id=ID, detect=_detect)

    def load(self, state_dict: dict[str, Any]) -> "spandrel.ImageModelDescriptor[DCLS]":
        """Build the network of these tensors.

        Raises:
            WeightsError: its tensors do not show it.
        """
        if all(name in state_dict for name in _AUTHORS):
            return self.describe(official.recognise(state_dict), official.rename(state_dict))
        return self.describe(recognise(state_dict), state_dict)

    def describe(
        self, config: ModelConfig, state: StateDict
    ) -> "spandrel.ImageModelDescriptor[DCLS]":
        """A network and what a program needs to know to use it.

        Half precision is refused: spandrel would convert the complex numbers of the closed forms
        too, of which only the real parts would be left. Tiles are discouraged: each would estimate
        a blur of its own.
        """
        return spandrel.ImageModelDescriptor(
            DCLS(config),
            state,
            self,
            purpose="SR",
            tags=[
                f"{config.features}nf",
                f"{config.groups}x{config.blocks}",
                f"k{config.kernel_size}",
            ],
            supports_half=False,
            supports_bfloat16=False,
            scale=config.scale,
            input_channels=3,
            output_channels=3,
            size_requirements=spandrel.SizeRequirements(),  # any size from 1x1
            tiling=spandrel.ModelTiling.DISCOURAGED,
            call_fn=_restored,
        )


def install() -> bool:
    """Add DCLS to spandrel's main registry, which every `ModelLoader` uses.

    Returns:
        Whether it was added now; False if it was there already.
    """
    support = spandrel.ArchSupport.from_architecture(DclsArchitecture())
    return bool(spandrel.MAIN_REGISTRY.add(support, ignore_duplicates=True))


def load_from_file(path: Path) -> "spandrel.ImageModelDescriptor[DCLS]":
    """Load a weight file of dcls by its own configuration, verified.

    For networks whose options do not show in their tensors; see `recognition`.

    Raises:
        WeightsError: missing, damaged, or no weight file of dcls.
    """
    config, state = weights.read(path)
    return DclsArchitecture().describe(config, state)


def _detect(state_dict: dict[str, Any]) -> bool:
    return any(all(name in state_dict for name in names) for names in (_OURS, _AUTHORS))


def _restored(network: DCLS, image: Tensor) -> Tensor:
    """The picture of a restoration."""
    restored: Tensor = network(image).sr
    return restored
