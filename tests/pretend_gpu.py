"""Runs the network and training steps on a GPU that there is not, and reports what waits for it.

Tensors on the pretended device have a shape and a type, but no content: PyTorch's fake tensors.
Operators on mixed devices fail as on a real one. Copies between the devices are written down with
the line of this project that asks for them, unless they are asynchronous. A program of its own, as
a pretended device stays in a process for good:

    python -m tests.pretend_gpu

prints a JSON object: for each case its error or null, and what is waited for in its second round,
when all that is kept has been computed.
"""

import json
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import dcls_cli
from dcls_cli.config import ModelConfig
from dcls_cli.network import statistics
from dcls_cli.network.dcls import DCLS, repeated
from dcls_cli.network.reformulation import ReformulatedKernel
from dcls_cli.training import images
from dcls_cli.training.batches import PatchSampler
from dcls_cli.training.images import ImageStore
from dcls_cli.training.optimization import Objective
from dcls_cli.training.presets import PRESETS
from dcls_cli.training.state import TrainState

PACKAGE = Path(dcls_cli.__file__).parent

#: Runs once, and again with everything kept.
Case = Callable[[], object]


class Waits(TorchDispatchMode):
    """Writes down where the program would wait for the device.

    Attributes:
        found: what and where, `LINE: operator`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(  # noqa: D105 - PyTorch's
        self,
        function: Any,  # noqa: ANN401
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        given = dict(kwargs or {})
        name = function._schema.name.removeprefix("aten::")
        if name in (
            "_local_scalar_dense",
            "nonzero",
            "equal",
        ):  # by the content, which is made up here
            if args[0].device.type != "cpu":
                self._note(name)
            if name == "nonzero":
                return torch.zeros(1, args[0].ndim, dtype=torch.int64, device=args[0].device)
            if name == "equal":
                return False
            return True if args[0].dtype == torch.bool else 1
        made = function(*args, **given)
        if name == "_to_copy" and made.device != args[0].device and not given.get("non_blocking"):
            self._note(f"copy from {args[0].device.type} to {made.device.type}")
        if name == "copy_" and args[0].device != args[1].device:
            self._note(f"copy from {args[1].device.type} to {args[0].device.type}")
        # Decompositions look at what they have found; norms do not.
        if "linalg" in name and not name.endswith("norm") and args[0].device.type != "cpu":
            self._note(name)
        return made

    def _note(self, what: str) -> None:
        stack = traceback.extract_stack()
        ours = [frame for frame in stack if Path(frame.filename).is_relative_to(PACKAGE)]
        where = f"{Path(ours[-1].filename).relative_to(PACKAGE)}: {ours[-1].line}" if ours else "?"
        self.found.add(f"{where}: {what}")


def pretended(name: str) -> torch.device:
    """Make the device, and have autocast accept it, in which nothing is computed anyway."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(name)
    real, tensor = torch.autocast, torch.tensor

    def autocast(
        device_type: str, dtype: torch.dtype | None = None, enabled: bool = True
    ) -> AbstractContextManager[object]:
        return nullcontext() if device_type == name else real(device_type, dtype, enabled)

    def made(
        data: object, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """As `torch.tensor`, whose copy to a device no mode sees."""
        on_cpu = tensor(data, dtype=dtype)
        return on_cpu if device is None else on_cpu.to(device)

    torch.autocast = autocast  # type: ignore[misc,assignment]
    torch.tensor = made  # type: ignore[assignment]
    return torch.device(name, 0)


def moved(module: nn.Module, device: torch.device) -> Any:  # noqa: ANN401 - its own type
    """A module whose parameters and buffers are on a device, without content."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                empty = torch.empty(value.shape, dtype=value.dtype, device=device)
                part._parameters[name] = nn.Parameter(empty, requires_grad=value.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device=device)
    return module


def estimating(config: ModelConfig, device: torch.device) -> Case:
    """Estimate the blur of a photo in windows."""
    network = moved(DCLS(config), device).eval()

    def read(rows: slice, columns: slice) -> Tensor:
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return torch.empty(1, 3, height, width, device=device)

    def run() -> object:
        with torch.no_grad():
            return statistics.gather(network, statistics.Source(read, 600, 700), tiled=True)

    return run


def restoring(config: ModelConfig, device: torch.device) -> Case:
    """Restore a batch of tiles, as it is recorded too."""
    network = moved(DCLS(config), device).eval()

    def read(rows: slice, columns: slice) -> Tensor:
        return torch.empty(1, 3, 64, 64, device=device)

    with torch.no_grad():
        blur = statistics.gather(network, statistics.Source(read, 64, 64), tiled=True)

    def run() -> object:
        with torch.no_grad():
            return network.restore(torch.empty(4, 3, 64, 64, device=device), repeated(blur, 4))

    return run


def shallow(config: ModelConfig) -> ModelConfig:
    """A network with all kinds of layers, but few of each."""
    return replace(config, groups=1, blocks=1, estimator_blocks=1)


def training(preset: str, device: torch.device) -> Case:
    """Make a batch, and train on it."""
    model = shallow(PRESETS[preset].network(4))
    config = PRESETS[preset].training(4, precision="fp32", batch=4, patch=24)
    images._fingerprint = lambda *_: "none"  # type: ignore[assignment]  # pixels have no content
    pixels = torch.empty(512 * 512, 3, dtype=torch.uint8, device=device)
    store = ImageStore(pixels, torch.zeros(1, dtype=torch.int64), torch.tensor([[512, 512]]), 1)
    needs_images = model.kernel_space == "lr" and config.kernel_target == "image"
    sampler = PatchSampler(store, config, 4, model.kernel_size, needs_images)
    reformulated = ReformulatedKernel(4, model.kernel_size, model.kernel_size)
    objective = Objective(config, model.kernel_space, moved(reformulated, device))
    state = TrainState(moved(DCLS(model), device), objective, config)

    def run() -> object:
        return state.train_step(sampler.batch(state.step, 0), 0.0)

    return run


def cases(device: torch.device) -> dict[str, Callable[[], Case]]:
    """All cases by name."""
    networks = {
        "light": ModelConfig.light(4),
        "photo": ModelConfig.photo(4),
        "paper": ModelConfig.paper(4),
        "wiener in RGB": ModelConfig.light(2, deconvolution="wiener", deconvolution_space="rgb"),
        "stretch": ModelConfig.light(2, deconvolution="stretch"),
        "interpolation": ModelConfig.light(2, skip="interpolation"),
    }
    made: dict[str, Callable[[], Case]] = {}
    for name, network in networks.items():
        config = shallow(network)
        made[f"estimate {name}"] = lambda config=config: estimating(config, device)
        made[f"restore {name}"] = lambda config=config: restoring(config, device)
    for preset in PRESETS:
        made[f"train {preset}"] = lambda preset=preset: training(preset, device)
    return made


def report() -> dict[str, dict[str, object]]:
    """Run all cases."""
    found: dict[str, dict[str, object]] = {}
    for name, case in cases(pretended("gpux")).items():
        with FakeTensorMode(allow_non_fake_inputs=True):
            error, waits = None, Waits()
            try:
                with Waits():
                    run = case()
                    run()
                with waits:
                    run()
            except Exception:
                error = traceback.format_exc()
        found[name] = {"error": error, "waits": sorted(waits.found)}
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(json.dumps(report()))  # noqa: T201 - its result
