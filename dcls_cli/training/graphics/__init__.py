"""Sharp pictures that no camera took: text, screenshots, flags, logos, charts, line art."""

from dcls_cli.training.graphics.drawing import KINDS, draw_graphic, draw_graphics

__all__ = ["KINDS", "draw_graphic", "draw_graphics"]
