"""A kernel in the terminal: its taps as shades, its measures beside them."""

from itertools import zip_longest

import numpy as np

from dcls_cli.config import KernelSpace
from dcls_cli.kernels import KernelShape

#: From nothing to the largest tap; the second for terminals without UTF-8.
SHADES = " ░▒▓█"
ASCII_SHADES = " .:-=+*#%@"

#: Rounder kernels have no direction to speak of.
ROUND = 0.05

#: Whose pixels the taps are, in words.
PIXELS: dict[KernelSpace, str] = {"hr": "output", "lr": "input"}


def drawing(kernel: np.ndarray, *, ascii_only: bool) -> list[str]:
    """Draw the taps, two columns each, so that they look square.

    The shade grows with the root of the tap, so that the tails show.

    Args:
        kernel: (k, k).
        ascii_only: for terminals without UTF-8.

    Returns:
        k lines of 2 k characters.
    """
    shades = ASCII_SHADES if ascii_only else SHADES
    relative = np.sqrt(kernel.clip(0) / max(float(kernel.max()), 1e-12))
    levels = np.rint(relative * (len(shades) - 1)).astype(int)
    return ["".join(2 * shades[level] for level in row) for row in levels]


def measures(
    kernel: np.ndarray, space: KernelSpace, shape: KernelShape, noise: float | None
) -> list[str]:
    """The numbers, a line each.

    Args:
        kernel: (k, k).
        space: whose pixels the taps are.
        shape: its measures.
        noise: power of noise over power of the photo; None where the network estimates none.
    """
    direction = "round" if shape.anisotropy < ROUND else f"widest at {shape.angle_deg:.0f} degrees"
    lines = [
        f"taps        {kernel.shape[1]}x{kernel.shape[0]} {PIXELS[space]} pixels",
        f"width       {shape.width_px:.2f} px",
        f"ellipse     {shape.major_px:.2f} x {shape.minor_px:.2f} px, {direction}",
        f"anisotropy  {shape.anisotropy:.2f}",
    ]
    if noise is not None:
        lines.append(f"noise       {decibels(noise):.1f} dB of the photo's power")
    return lines


def beside(left: list[str], right: list[str]) -> list[str]:
    """Join two columns; the right one is in the middle of the left one's height."""
    above = [""] * max((len(left) - len(right)) // 2, 0)
    width = max(map(len, left), default=0)
    rows = zip_longest(left, above + right, fillvalue="")
    return [f"{shown:<{width}}  {text}".rstrip() for shown, text in rows]


def decibels(ratio: float) -> float:
    """Of a ratio of powers above zero."""
    return float(10 * np.log10(ratio))
