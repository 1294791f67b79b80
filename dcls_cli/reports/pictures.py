"""Pictures inside a page: encoded as data URIs, side by side, under sliders; kernels and maps."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcls_cli.config import KernelSpace
from dcls_cli.kernels import log_spectrum

#: Quality of the JPEG previews, whose chroma is not subsampled.
PREVIEW_QUALITY = 92


@dataclass(frozen=True)
class Picture:
    """An encoded picture.

    Attributes:
        uri: `data:image/...;base64,...`.
        width: CSS pixels at which it is shown, one for each of its own.
        height: the same.
    """

    uri: str
    width: int
    height: int


def encode(levels: np.ndarray, *, lossy: bool = False) -> Picture:
    """Put a picture (H, W) or (H, W, 3) uint8 into a data URI: a PNG, or a JPEG for previews."""
    if not lossy:
        return picture_of_png(encode_png(levels))
    content = BytesIO()
    Image.fromarray(levels).save(content, "JPEG", quality=PREVIEW_QUALITY, subsampling=0)
    uri = _uri("jpeg", content.getvalue())
    return Picture(uri, levels.shape[1], levels.shape[0])


def encode_png(levels: np.ndarray) -> bytes:
    """A PNG file of (H, W) or (H, W, 3) uint8."""
    content = BytesIO()
    Image.fromarray(levels).save(content, "PNG", optimize=True)
    return content.getvalue()


def picture_of_png(content: bytes) -> Picture:
    """Put a PNG file into a data URI."""
    with Image.open(BytesIO(content), formats=("PNG",)) as image:
        return Picture(_uri("png", content), image.width, image.height)


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def to_levels(image: np.ndarray) -> np.ndarray:
    """Values in [0, 1], of any shape, as uint8; ties to even."""
    levels: np.ndarray = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return levels


def enlarge(levels: np.ndarray, factor: int) -> np.ndarray:
    """Repeat each pixel: (H, W, ...) -> (factor H, factor W, ...)."""
    return levels.repeat(factor, axis=0).repeat(factor, axis=1)


def bicubic(levels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize a uint8 picture (H, W, 3) with Pillow's bicubic, antialiased when making smaller."""
    resized = Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


#: Pictures are enlarged by a whole number to about this side.
SIDE_PX = 256

#: What is black in a spectrum.
DARKEST_DB = -60.0

_FREQUENCIES = 128

_MARK = np.array([255, 140, 0], np.uint8)


def kernel_picture(kernel: np.ndarray) -> Picture:
    """Taps from black, zero or less, to white, the largest: (k, k)."""
    levels = to_levels(kernel / max(float(kernel.max()), 1e-12))
    return encode(enlarge(levels, max(SIDE_PX // len(kernel), 1)))


def spectrum_picture(kernel: np.ndarray, space: KernelSpace, scale: int) -> Picture:
    """Log magnitude of a kernel's transfer function, `DARKEST_DB` to 0 dB, zero in the middle.

    For a kernel in HR pixels a square marks the frequencies that LR pixels can carry.
    """
    decibels = log_spectrum(kernel, _FREQUENCIES)
    factor = SIDE_PX // _FREQUENCIES
    levels = enlarge(to_levels(1 - decibels / DARKEST_DB), factor)
    colours = np.repeat(levels[..., None], 3, axis=2)
    if space == "hr":
        half = round(SIDE_PX / scale / 2)
        first, last = SIDE_PX // 2 - half, SIDE_PX // 2 + half - 1
        for edge in (first, last):
            colours[edge, first : last + 1] = _MARK
            colours[first : last + 1, edge] = _MARK
    return encode(colours)


def white_of(residual: np.ndarray) -> float:
    """Difference that is white in a map (H, W): all but one in 200 pixels are below it.

    At least one 8-bit level, so that rounding does not look like something.
    """
    return max(float(np.quantile(residual, 0.995)), 1 / 255)


def residual_picture(residual: np.ndarray) -> Picture:
    """Differences from black, none, to white, `white_of` and above: (H, W)."""
    levels = to_levels(residual / white_of(residual))
    return encode(enlarge(levels, max(2 * SIDE_PX // max(levels.shape), 1)))


GAP_PX = 6
TITLE_PX = 34
FONT_PX = 13
#: Side of an inset kernel over the side of its panel.
INSET = 0.3
_INK = (28, 28, 28)
_FRAME = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Panel:
    """One detail.

    Attributes:
        title: up to two lines.
        levels: (H, W, 3) uint8; all panels of a montage have one size.
        kernel: (k, k), inset at the top left, or None.
    """

    title: str
    levels: np.ndarray
    kernel: np.ndarray | None = None


def montage(rows: Sequence[Sequence[Panel]]) -> np.ndarray:
    """Put rows of panels onto one sheet, pixel by pixel: (H, W, 3) uint8."""
    height, width = rows[0][0].levels.shape[:2]
    columns = max(map(len, rows))
    across, down = width + GAP_PX, height + TITLE_PX + GAP_PX
    sheet = Image.new("RGB", (columns * across - GAP_PX, len(rows) * down - GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_PX)
    for top, row in enumerate(rows):
        for left, panel in enumerate(row):
            place = (left * across, top * down)
            draw.multiline_text((place[0] + 2, place[1] + 1), panel.title, _INK, font, spacing=2)
            picture = Image.fromarray(with_inset(panel.levels, panel.kernel))
            sheet.paste(picture, (place[0], place[1] + TITLE_PX))
    return np.asarray(sheet)


def with_inset(levels: np.ndarray, kernel: np.ndarray | None) -> np.ndarray:
    """A picture with a kernel, white its largest tap, framed in its top left corner."""
    if kernel is None:
        return levels
    grey = to_levels(kernel / max(float(kernel.max()), 1e-12))
    factor = max(1, round(INSET * min(levels.shape[:2]) / len(kernel)))
    grey = enlarge(grey, factor)[: levels.shape[0] - 1, : levels.shape[1] - 1]
    framed = levels.copy()
    height, width = grey.shape
    framed[: height + 1, : width + 1] = _FRAME
    framed[:height, :width] = grey[..., None]
    return framed


def slider(before: Picture, after: Picture, labels: tuple[str, str]) -> str:
    """HTML of one slider: before and after in one place, parted by a line that the reader moves.

    Without JavaScript the two pictures stand beside each other, each under its name. With it, the
    page must carry `slider.css` in a style sheet and `slider.js` in a script at its end, once each.
    """
    figures = "\n".join(
        f'  <figure class="slider-{side}"><img src="{picture.uri}" width="{picture.width}" '
        f'height="{picture.height}" alt="{escape(label)}">'
        f"<figcaption>{escape(label)}</figcaption></figure>"
        for side, picture, label in (("before", before, labels[0]), ("after", after, labels[1]))
    )
    return f'<div class="slider" style="--width: {before.width}px">\n{figures}\n</div>'


def page_resource(name: str) -> str:
    """Text of a file of this package, such as a template of a page or a style sheet."""
    return resources.files("dcls_cli.reports").joinpath(name).read_text(encoding="utf-8")
