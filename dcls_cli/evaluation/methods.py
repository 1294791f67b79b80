"""What restores images: our networks, bicubic, and the networks of others."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from dcls_cli import __version__
from dcls_cli.backends import Backend
from dcls_cli.backends.loading import INT8, load_backend
from dcls_cli.errors import UsageError, WeightsError
from dcls_cli.evaluation.gaussian8 import bicubic_restore
from dcls_cli.evaluation.kernel_metrics import Estimate
from dcls_cli.graphs import SUFFIX, main_part_paths
from dcls_cli.upscaling import find_blur
from dcls_cli.upscaling.finishing import finish_colours

#: Changes where the same weights give other pictures, so that stored figures are not taken again.
_RESTORATION = "restoration/2"

#: `upscale` is a network, or several to choose from, with all that `dcls upscale` does.
Kind = Literal["bicubic", "dcls", "spandrel", "upscale"]


class Restored(NamedTuple):
    """sr: (3, s h, s w), not clamped; estimate: the kernel that was found, where one was."""

    sr: np.ndarray
    estimate: Estimate | None


class Method(Protocol):
    """Restores one image at a time."""

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        """LR (3, h, w) float32 in [0, 1], and as a file where the benchmark makes files."""
        ...


@dataclass(frozen=True)
class MethodSpec:
    """A method that is not loaded yet, so that worker processes can load it themselves.

    Attributes:
        name: heads its columns.
        kind: what loads it.
        path: of its weights; None for bicubic.
        device: what it runs on, as of `load_backend`.
        precision: as of `load_backend`.
        others: weights that are chosen from too, by the picture, for `upscale` alone.
    """

    name: str
    kind: Kind
    path: Path | None = None
    device: str = "cpu"
    precision: str = "fp32"
    others: tuple[Path, ...] = ()

    def fingerprint(self) -> str:
        """What its figures depend on: SHA-256 of the files, arithmetic, version.

        Raises:
            WeightsError: a file cannot be read.
        """
        if self.path is None:
            return f"{self.kind} {__version__}"
        digests = ""
        for path in (self.path, *self.others):
            digests += f" {_sha256(path)}"
            if self.precision == INT8 and path.suffix != SUFFIX:
                digests += f" {_sha256(main_part_paths(path.with_suffix(SUFFIX), INT8)[1])}"
        made_by = f"{__version__} {_RESTORATION}"
        return f"{self.kind}{digests} {self.device} {self.precision} {made_by}"

    def load(self, scale: int) -> Method:
        """Make it ready.

        Raises:
            WeightsError: the weights are missing, damaged or of another network.
            BackendError: the device or the precision is not usable here.
            UsageError: it is made for another scale, or a package is missing.
        """
        if self.kind == "bicubic" or self.path is None:
            return _Bicubic(scale)
        if self.kind == "spandrel":
            from dcls_cli.evaluation.spandrel_network import SpandrelNetwork

            return SpandrelNetwork.load(self.path, scale, self.device)
        backend = self._backend(self.path, scale)
        if self.kind == "upscale":
            from dcls_cli.evaluation.command import Command

            # A network of a larger scale may stand in, whose results are reduced.
            others = [load_backend(path, self.device, self.precision) for path in self.others]
            return Command([backend, *others], [path.stem for path in (self.path, *self.others)])
        return _Network(backend)

    def _backend(self, path: Path, scale: int) -> Backend:
        backend = load_backend(path, self.device, self.precision)
        if backend.config.scale != scale:
            raise UsageError(
                f"{path} is made for scale {backend.config.scale}, not {scale}; "
                f"add -s {backend.config.scale}"
            )
        return backend


def _sha256(path: Path) -> str:
    """Of a file.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


class _Bicubic:
    """MATLAB's bicubic up-sampling, in float64."""

    def __init__(self, scale: int) -> None:
        self._restore = bicubic_restore(scale)

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        return Restored(self._restore(lr), None)


class _Network:
    """A network of ours on whole images, with the kernel that it estimates."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        found = find_blur(lr, self._backend, tiled=False)
        sr = self._backend.restore(lr[None], found.blur)
        space = self._backend.config.kernel_space
        sr = finish_colours(space, found.survey, 1 / 255)(lr[None], sr, found.blur.kernel)[0]
        return Restored(sr, Estimate(found.blur.kernel, space))
