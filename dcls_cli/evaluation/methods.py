"""The methods that are compared: as the user names them, and as worker processes load them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dcls_cli import __version__
from dcls_cli.backends.devices import select_device, select_precision
from dcls_cli.backends.loading import INT8, load_backend
from dcls_cli.backends.split_graphs import restorer_beside
from dcls_cli.errors import UsageError, WeightsError
from dcls_cli.evaluation.harm import BICUBIC
from dcls_cli.evaluation.restorers import (
    Bicubic,
    Method,
    Network,
    SpandrelNetwork,
    UpscaleCommand,
)
from dcls_cli.graphs import SUFFIX, graph_info, main_part_paths
from dcls_cli.models.hub import is_hub_name
from dcls_cli.models.releases import RELEASES, photo_release, release
from dcls_cli.models.weights import examine, read_metadata
from dcls_cli.upscaling.fidelity import DEFAULT_FIDELITY, check_fidelity

#: The name of the rule that chooses a network by the picture.
AUTO = "auto"
SPANDREL = "spandrel:"

#: Changes where the same weights give other pictures, so that stored figures are not taken again.
_RESTORATION = "restoration/2"

#: `upscale` is a network, or several to choose from, with all that `dcls upscale` does.
Kind = Literal["bicubic", "dcls", "spandrel", "upscale"]


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
        fidelity: of networks of ours, as of `upscale`.
        tta: of networks of ours, as of `upscale`.
    """

    name: str
    kind: Kind
    path: Path | None = None
    device: str = "cpu"
    precision: str = "fp32"
    others: tuple[Path, ...] = ()
    fidelity: float = DEFAULT_FIDELITY
    tta: bool = False

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
        if self.fidelity:  # figures that were kept before there was this are those of 0
            made_by += f" fidelity {self.fidelity:g}"
        if self.tta:
            made_by += " tta"
        return f"{self.kind}{digests} {self.device} {self.precision} {made_by}"

    def parameters_m(self) -> float | None:
        """Millions of parameters in its weight files, all of them for `auto`.

        None for bicubic and for files whose contents are not known without loading them: graphs
        and other projects' weights.

        Raises:
            WeightsError: a file cannot be read.
        """
        paths = () if self.path is None else (self.path, *self.others)
        if not paths or self.kind == "spandrel" or any(path.suffix == SUFFIX for path in paths):
            return None
        return sum(examine(path)[2] for path in paths) / 1e6

    def load(self, scale: int) -> Method:
        """Make it ready.

        Raises:
            WeightsError: the weights are missing, damaged or of another network.
            BackendError: the device or the precision is not usable here.
            UsageError: it is made for another scale, or a package is missing.
        """
        if self.kind == "bicubic" or self.path is None:
            return Bicubic(scale)
        if self.kind == "spandrel":
            return SpandrelNetwork.load(self.path, scale, self.device)
        backend = load_backend(self.path, self.device, self.precision)
        if backend.config.scale != scale:
            raise UsageError(
                f"{self.path} is made for scale {backend.config.scale}, not {scale}; "
                f"add -s {backend.config.scale}"
            )
        if self.kind == "dcls":
            return Network(backend, self.fidelity, tta=self.tta)
        # A network of a larger scale may stand in, whose results are reduced.
        others = [load_backend(path, self.device, self.precision) for path in self.others]
        names = [path.stem for path in (self.path, *self.others)]
        return UpscaleCommand([backend, *others], names, self.fidelity, tta=self.tta)


def chosen_methods(
    *,
    model: str | None,
    weights: Path | None,
    against: str | None,
    scale: int,
    device: str,
    precision: str,
    find_model: Callable[[str | int], Path],
    harmful: bool = False,
    fidelity: float = DEFAULT_FIDELITY,
    tta: bool = False,
) -> list[MethodSpec]:
    """The network, then what it is compared with, in the order of the command line.

    Where harm is measured, networks do all that `dcls upscale` does, the first one is `auto` unless
    another is asked for, and bicubic is among the methods.

    Args:
        model: name of the network; None: the usual one of the scale.
        weights: weight file in place of a model.
        against: further methods, separated by commas.
        scale: up-scaling factor.
        device: auto, cpu or cuda[:N].
        precision: of the networks.
        find_model: the weight file of a name or scale, as `hub.find`, which may download it.
        harmful: whether harm is measured.
        fidelity: of all networks of ours.
        tta: of all networks of ours.

    Raises:
        UsageError: options that contradict each other, an unknown method, or two of one name.
        WeightsError: weights are missing or damaged.
        BackendError: the device or the precision is not usable here.
    """
    if model is not None and weights is not None:
        raise UsageError("--model and --weights exclude each other; give one of them")
    if harmful and model is None:
        model = AUTO
    check_fidelity(fidelity)
    chosen = select_device(device)
    resolver = _Resolver(
        scale=scale,
        device=str(chosen),
        precision=precision if precision == INT8 else select_precision(precision, chosen),
        kind="upscale" if harmful else "dcls",
        fidelity=fidelity,
        tta=tta,
        find_model=find_model,
    )
    if weights is not None:
        methods = [resolver.network(weights.stem, weights)]
    else:
        methods = [resolver.model(model if model is not None else scale)]
    for name in filter(None, (item.strip() for item in (against or "").split(","))):
        methods.append(resolver.rival(name))
    names = [method.name for method in methods]
    if harmful and BICUBIC not in names:
        methods.append(MethodSpec(BICUBIC, "bicubic"))
    for name in names:
        files = {str(method.path or BICUBIC) for method in methods if method.name == name}
        if len(files) > 1:
            listed = ", ".join(sorted(files))
            raise UsageError(f"{name}: the name of two methods ({listed}); rename one of the files")
        if names.count(name) > 1:
            raise UsageError(f"{name}: would be compared with itself; name it once")
    return methods


@dataclass(frozen=True, kw_only=True)
class _Resolver:
    """Turns names into specifications; see `chosen_methods`."""

    scale: int
    device: str
    precision: str
    kind: Kind
    fidelity: float
    tta: bool
    find_model: Callable[[str | int], Path]

    def rival(self, name: str) -> MethodSpec:
        """One of `--against`."""
        if name == BICUBIC:
            return MethodSpec(BICUBIC, "bicubic")
        if name.startswith(SPANDREL):
            path = Path(name.removeprefix(SPANDREL))
            return MethodSpec(path.stem, "spandrel", path, self.device, "fp32")
        if name == AUTO or is_hub_name(name) or any(name == item.name for item in RELEASES):
            return self.model(name)
        if Path(name).suffix in (".safetensors", SUFFIX):
            return self.network(Path(name).stem, Path(name))
        raise UsageError(
            f"--against {name}: expected bicubic, a model (see dcls models list), a "
            ".safetensors or .onnx file of dcls, or spandrel:FILE"
        )

    def model(self, model: str | int) -> MethodSpec:
        """A model by its name, by a scale, or `auto`."""
        if model == AUTO:
            first = self.network(AUTO, self.find_model(self.scale))
            photo = photo_release(self.scale)
            others = () if photo is None else (self.find_model(photo.name),)
            return replace(first, kind="upscale", others=others)
        named = isinstance(model, str) and is_hub_name(model)
        name = str(model) if named else release(model).name
        return self.network(name, self.find_model(model))

    def network(self, name: str, path: Path) -> MethodSpec:
        """A weight or graph file."""
        is_graph = path.suffix == SUFFIX
        config = graph_info(path).config if is_graph else read_metadata(path)[0]
        if self.precision == INT8 and not is_graph:
            restorer_beside(path, INT8)
        if config.scale != self.scale:
            raise UsageError(
                f"{path} is made for scale {config.scale}, not {self.scale}; add -s {config.scale}"
            )
        precision = "auto" if is_graph else self.precision  # a graph has one precision
        return MethodSpec(
            name,
            self.kind,
            path,
            self.device,
            precision,
            fidelity=self.fidelity,
            tta=self.tta,
        )


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
