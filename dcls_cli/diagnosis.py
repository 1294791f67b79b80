"""What `dcls doctor` reports about an installation and its machine."""

import platform
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np

from dcls_cli import __version__, example
from dcls_cli.backends import wheels
from dcls_cli.backends.loading import load_backend
from dcls_cli.backends.sessions import available_providers, cache_folder
from dcls_cli.backends.split_graphs import has_int8_instructions
from dcls_cli.errors import BackendError, DclsError
from dcls_cli.installation import has_torch, install_command
from dcls_cli.machine import free_memory_bytes, usable_processors
from dcls_cli.models.hub.transfer import StalledError, within
from dcls_cli.models.releases import RELEASES, location

#: Side of the tile that every engine restores, LR pixels.
TILE_PX = 64

#: Of something that is there, is not, or may be.
_FOUND = {True: "found", False: "not found", None: "unknown"}

#: Seconds that the Hub is waited for.
PATIENCE_S = 5.0

#: Of an engine that nobody needs for the ×4 models.
NO_TORCH = f"not installed (optional): {install_command('torch')}"

PACKAGES = ("torch", *wheels.WHEELS, "onnx", "numpy", "pillow", "safetensors", "huggingface_hub")


@dataclass(frozen=True)
class Trial:
    """One tile on one engine.

    Attributes:
        engine: torch or onnx.
        device: what it ran on; None where it did not.
        precision: of the convolutions.
        seconds: for the tile, after a first one.
        difference: largest, from the first engine that ran; of samples in [0, 1].
        problem: why it did not run.
        note: what `auto` could not use, where it ran on something else.
    """

    engine: str
    device: str | None = None
    precision: str | None = None
    seconds: float | None = None
    difference: float | None = None
    problem: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All findings, in words and numbers.

    Attributes:
        versions: of dcls, Python and the packages; None for what is not installed.
        devices: processors, memory and GPUs.
        providers: of ONNX Runtime.
        clash: what is wrong with the installed wheels.
        caches: folders with their sizes in bytes; None where there is none.
        hub: `reachable`, `off` (HF_HUB_OFFLINE), or why not, in words.
        trials: of the engines.
    """

    versions: dict[str, str | None]
    devices: dict[str, str]
    providers: list[str]
    clash: str | None
    caches: dict[str, int | None]
    hub: str
    trials: list[Trial] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether an engine ran and no package hides another one."""
        return self.clash is None and any(trial.problem is None for trial in self.trials)


def diagnose() -> Diagnosis:
    """Look at everything; takes some seconds."""
    return Diagnosis(
        versions=_versions(),
        devices=_devices(),
        providers=_providers(),
        clash=wheels.clash(),
        caches=_caches(),
        hub=_hub(),
        trials=_trials(),
    )


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"dcls": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name not in wheels.WHEELS or not wheels.installed_wheels():
                found[name] = None
    return found


def _devices() -> dict[str, str]:
    found = {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(usable_processors()),
        "free memory": f"{free_memory_bytes() / 2**30:.1f} GiB",
        "8-bit dot products": _FOUND[has_int8_instructions()],
        "nvidia driver": _driver(),
    }
    if has_torch():
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        for index in range(count):
            found[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    return found


def _driver() -> str:
    """What is there of NVIDIA's: without a GPU `auto` takes the CPU and says nothing."""
    if not wheels.has_nvidia_driver():
        return "not found"
    return "found" if wheels.has_nvidia_gpu() else "found, but it sees no GPU"


def _providers() -> list[str]:
    """Those of ONNX Runtime; none where it cannot be loaded, which `clash` explains."""
    try:
        return available_providers()
    except BackendError:
        return []


def _caches() -> dict[str, int | None]:
    from huggingface_hub import constants

    folders = [Path(constants.HF_HUB_CACHE), cache_folder()]
    return {str(folder): _size(folder) for folder in folders}


def _size(folder: Path) -> int | None:
    if not folder.is_dir():
        return None
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _hub() -> str:
    """Ask the Hub for its first page, which a proxy or a captive portal would not have."""
    import httpx2
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "off"
    try:
        answer = within(PATIENCE_S, lambda: httpx2.head(constants.ENDPOINT, timeout=PATIENCE_S))
    except (StalledError, httpx2.HTTPError, OSError, ValueError) as error:
        return f"not reachable: {str(error) or type(error).__name__}"
    if answer.is_success:
        return "reachable"
    return f"not reachable: {constants.ENDPOINT} answers with HTTP {answer.status_code}"


def _trials() -> list[Trial]:
    lr = example.pixels(TILE_PX, TILE_PX)
    first: np.ndarray | None = None
    trials = []
    for engine in ("torch", "onnx"):
        trial, restored = _trial(engine, lr, first)
        first = restored if first is None else first
        trials.append(trial)
    return trials


def _trial(
    engine: str, lr: np.ndarray, first: np.ndarray | None
) -> tuple[Trial, np.ndarray | None]:
    """One tile with the default network, in fp32."""
    if engine == "torch" and not has_torch():
        return Trial(engine, problem=NO_TORCH), None
    try:
        backend = load_backend(location(RELEASES[0]), "auto", "fp32", engine)
        blur = backend.estimate(lr)
        backend.restore(lr[None], blur)
        started = time.perf_counter()
        restored = backend.restore(lr[None], blur)
        seconds = time.perf_counter() - started
    except DclsError as error:
        return Trial(engine, problem=str(error)), None
    difference = None if first is None else float(np.abs(restored - first).max())
    note = "; ".join(backend.take_notes()) or None
    trial = Trial(engine, backend.device, backend.precision, seconds, difference, note=note)
    return trial, restored
