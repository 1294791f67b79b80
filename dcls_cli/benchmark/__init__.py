"""How fast inference is: against a plain implementation, against the machine, in batches."""

from dcls_cli.benchmark.comparing import Comparison, compare, plain_least_squares
from dcls_cli.benchmark.tiles import TileSpeed, measure_tiles

__all__ = ["Comparison", "TileSpeed", "compare", "measure_tiles", "plain_least_squares"]
