"""Which methods `dcls eval` compares: its options turned into specifications."""

from dataclasses import replace
from pathlib import Path

from dcls_cli.backends.devices import select_device, select_precision
from dcls_cli.backends.loading import INT8
from dcls_cli.backends.split_graphs import restorer_beside
from dcls_cli.cli.console import visible
from dcls_cli.cli.downloads import find_model
from dcls_cli.cli.evaluation_harm import BICUBIC
from dcls_cli.cli.networks import AUTO
from dcls_cli.errors import UsageError
from dcls_cli.evaluation.methods import Kind, MethodSpec
from dcls_cli.graphs import SUFFIX, graph_info
from dcls_cli.hub import is_hub_name
from dcls_cli.releases import RELEASES, photo_release, release
from dcls_cli.weights import read_metadata

SPANDREL = "spandrel:"


def chosen_methods(
    *,
    model: str | None,
    weights: Path | None,
    against: str | None,
    scale: int,
    device: str,
    precision: str,
    harmful: bool = False,
) -> list[MethodSpec]:
    """The network, then what it is compared with, in the order of the command line.

    Where harm is measured, networks do all that `dcls upscale` does, the first one is `auto` unless
    another is asked for, and bicubic is among the methods.

    Raises:
        UsageError: options that contradict each other, an unknown method, or two of one name.
        WeightsError: weights are missing or damaged.
        BackendError: the device or the precision is not usable here.
    """
    if model is not None and weights is not None:
        raise UsageError("--model and --weights exclude each other; give one of them")
    kind: Kind = "upscale" if harmful else "dcls"
    if harmful and model is None:
        model = AUTO
    chosen = select_device(device)
    arithmetic = (
        str(chosen),
        precision if precision == INT8 else select_precision(precision, chosen),
    )
    if weights is not None:
        first = _network(weights.stem, weights, scale, arithmetic, kind)
    else:
        first = _model(model if model is not None else scale, scale, arithmetic, kind)
    methods = [first]
    for name in filter(None, (part.strip() for part in (against or "").split(","))):
        methods.append(_rival(name, scale, arithmetic, kind))
    names = [method.name for method in methods]
    if harmful and BICUBIC not in names:
        methods.append(MethodSpec(BICUBIC, "bicubic"))
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{visible(name)}: would be compared with itself; name it once")
    return methods


def _rival(name: str, scale: int, arithmetic: tuple[str, str], kind: Kind) -> MethodSpec:
    if name == BICUBIC:
        return MethodSpec(BICUBIC, "bicubic")
    if name.startswith(SPANDREL):
        path = Path(name.removeprefix(SPANDREL))
        return MethodSpec(path.stem, "spandrel", path, arithmetic[0], "fp32")
    if name == AUTO or is_hub_name(name) or any(name == item.name for item in RELEASES):
        return _model(name, scale, arithmetic, kind)
    if Path(name).suffix in (".safetensors", SUFFIX):
        return _network(Path(name).stem, Path(name), scale, arithmetic, kind)
    raise UsageError(
        f"--against {visible(name)}: expected bicubic, a model (see dcls models list), a "
        ".safetensors or .onnx file of dcls, or spandrel:FILE"
    )


def _model(model: str | int, scale: int, arithmetic: tuple[str, str], kind: Kind) -> MethodSpec:
    if model == AUTO:
        first = _network(AUTO, find_model(scale), scale, arithmetic, "upscale")
        photo = photo_release(scale)
        others = () if photo is None else (find_model(photo.name),)
        return replace(first, others=others)
    named = isinstance(model, str) and is_hub_name(model)
    name = str(model) if named else release(model).name
    return _network(name, find_model(model), scale, arithmetic, kind)


def _network(
    name: str, path: Path, scale: int, arithmetic: tuple[str, str], kind: Kind
) -> MethodSpec:
    is_graph = path.suffix == SUFFIX
    config = graph_info(path).config if is_graph else read_metadata(path)[0]
    if is_graph:  # a graph has one precision
        arithmetic = arithmetic[0], "auto"
    elif arithmetic[1] == INT8:
        restorer_beside(path, INT8)
    if config.scale != scale:
        raise UsageError(
            f"{visible(path)} is made for scale {config.scale}, not {scale}; add -s {config.scale}"
        )
    return MethodSpec(name, kind, path, *arithmetic)
