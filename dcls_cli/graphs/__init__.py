"""Graph files: a network as ONNX, for any runtime."""

from dcls_cli.graphs.contract import (
    estimates_of,
    estimator_reach,
    parts_of,
    pool_margin,
    pool_width,
    statistics_of,
    told_to,
)
from dcls_cli.graphs.files import (
    DIGEST_KEY,
    NEWEST_OPSET,
    Fft,
    GraphInfo,
    Kind,
    graph_info,
    read,
    stamp,
)
from dcls_cli.graphs.names import SUFFIX, exact, halves, named, part

__all__ = [
    "DIGEST_KEY",
    "NEWEST_OPSET",
    "SUFFIX",
    "Fft",
    "GraphInfo",
    "Kind",
    "estimates_of",
    "estimator_reach",
    "exact",
    "graph_info",
    "halves",
    "named",
    "part",
    "parts_of",
    "pool_margin",
    "pool_width",
    "read",
    "stamp",
    "statistics_of",
    "told_to",
]
