"""How good is a method: benchmarks, metrics, rivals, published figures."""

from dcls_cli.evaluation.gaussian8 import (
    Gaussian8Set,
    bicubic_restore,
    gaussian8,
    gaussian8_sample,
)
from dcls_cli.evaluation.images import SUFFIXES, find_hr, read_hr
from dcls_cli.evaluation.rows import Row, mean_row, rows_by_case, rows_by_image, rows_by_sigma
from dcls_cli.evaluation.samples import Progress, Restore, Sample

__all__ = [
    "SUFFIXES",
    "Gaussian8Set",
    "Progress",
    "Restore",
    "Row",
    "Sample",
    "bicubic_restore",
    "find_hr",
    "gaussian8",
    "gaussian8_sample",
    "mean_row",
    "read_hr",
    "rows_by_case",
    "rows_by_image",
    "rows_by_sigma",
]
