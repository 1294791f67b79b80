"""Inputs and outputs of the graphs of a network; see export/README.md."""

from dcls_cli.config import ModelConfig
from dcls_cli.graphs.files import Kind


def parts_of(config: ModelConfig) -> tuple[Kind, ...]:
    """The graphs of a network that is split, in the order in which they are run."""
    by_features = config.smoothing == "features" and config.deconvolution == "dcls"
    kinds: list[tuple[Kind, bool]] = [
        ("estimator", True),
        ("smoothing", by_features),
        ("gates", config.attention),
        ("restorer", True),
    ]
    return tuple(kind for kind, used in kinds if used)


def statistics_of(config: ModelConfig) -> tuple[str, ...]:
    """What a restorer takes beside image and kernel, in the order of its inputs.

    All are frozen for a photo, so that its tiles agree: see `backends.Blur`.
    """
    names = [
        ("noise", config.noise == "estimated"),
        ("smoothing", config.deconvolution == "dcls"),
        ("gates", config.attention),
    ]
    return tuple(name for name, used in names if used)


def estimates_of(config: ModelConfig) -> tuple[str, ...]:
    """What an estimator gives after `pooled` and `kernel`, in the order of its outputs."""
    by_code = config.smoothing == "code" and config.deconvolution == "dcls"
    names = [("smoothing", by_code), ("noise", config.noise == "estimated")]
    return tuple(name for name, given in names if given)


def told_to(kind: Kind, config: ModelConfig) -> tuple[str, ...]:
    """The parts of the blur that a graph takes, in the order of its inputs, after the image.

    Filters P that come from features need the blur only for the linear super-resolver's image,
    which is among these; in RGB space they come from the image itself.
    """
    statistics = statistics_of(config)
    if kind == "restorer":
        return ("kernel", *statistics)
    if kind == "gates":
        return ("kernel", *(name for name in statistics if name != "gates"))
    if kind == "smoothing" and config.skip == "linear" and config.deconvolution_space != "rgb":
        return ("kernel", *(name for name in statistics if name == "noise"))
    return ()


def pool_width(config: ModelConfig) -> int:
    """D: how many pools of an image an estimator sums."""
    return config.estimator_features * (2 if config.pooling == "energy" else 1)


def estimator_reach(config: ModelConfig) -> int:
    """Pixels on each side that a pooled feature sees: of the head, and of two layers a block."""
    return 3 + 2 * config.estimator_blocks


def pool_margin(config: ModelConfig) -> int:
    """Pixels that the estimator's layers without padding take off each axis before the pools."""
    return 0 if config.pooling == "energy" else 4
