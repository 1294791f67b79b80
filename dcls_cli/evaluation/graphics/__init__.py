"""The `graphics` benchmark: pictures that no camera took, and the harm that a network does them."""

from dcls_cli.evaluation.graphics.catalogue import VERSION, draw, kind_of, names
from dcls_cli.evaluation.graphics.damage import graphics_sample

__all__ = ["VERSION", "draw", "graphics_sample", "kind_of", "names"]
