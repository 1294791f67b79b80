"""Fonts, words, and pages, signs and screens made of them."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcls_cli.training.graphics.palette import Colour, dark, pair, pale, vivid

_NAMES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "STIXGeneral",
    "STIXGeneralItalic",
)
# fmt: off
_WORDS = (
    "the", "of", "and", "to", "in", "is", "was", "for", "that", "on", "with", "as", "light", "over",
    "every", "window", "river", "stone", "paper", "number", "quick", "brown", "fox", "jumps",
    "lazy", "dog", "sphinx", "black", "quartz", "judge", "vow", "Grüße", "naïve", "façade", "año",
    "œuvre", "Straße", "Ørsted", "Łódź", "Αθήνα", "Москва", "Київ", "index", "value", "total",
    "mean", "0.25", "1984", "3.14159", "€12.50", "42%", "A&B", "#7", "file.png", "key=value", "x²",
    "+", "y²", "=", "r²", "α", "β", "γ", "λ", "σ", "→", "≤", "≠", "Exit", "Menu", "Open", "Save",
    "Cancel", "North",
)
# fmt: on


def bundled_fonts() -> tuple[Path, ...]:
    """Free fonts that come with matplotlib, the same on every machine."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return tuple(folder / f"{name}.ttf" for name in _NAMES)


def page(random: np.random.Generator, side: int, fonts: Sequence[Path]) -> Image.Image:
    """Paragraphs in one font, with headings, from 7 to 30 pixels high."""
    paper, ink = pair(random)
    picture = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(picture)
    name = _pick(random, fonts)
    y, size = int(random.integers(0, 20)), int(random.integers(7, 31))
    left = int(random.integers(2, 30))
    while y < side:
        heading = random.random() < 0.1
        font = ImageFont.truetype(str(name), round(size * (1.8 if heading else 1)))
        colour = vivid(random) if heading and random.random() < 0.3 else ink
        draw.text((left, y), _line(random, font, side - left), fill=colour, font=font)
        y += round(font.size * 1.35)
        if random.random() < 0.12:  # another paragraph
            y, size = y + size, int(random.integers(7, 31))
    return picture


def sign(random: np.random.Generator, side: int, fonts: Sequence[Path]) -> Image.Image:
    """Few large letters, some of them turned, some with a rim."""
    paper, _ = pair(random)
    picture = Image.new("RGB", (side, side), paper)
    for _ in range(int(random.integers(8, 20))):
        size = int(random.integers(24, side // 4))
        font = ImageFont.truetype(str(_pick(random, fonts)), size)
        word = str(random.choice(_WORDS))
        rim = int(random.integers(0, 4)) if random.random() < 0.3 else 0
        box = font.getbbox(word, stroke_width=rim)
        room = (round(box[2] - box[0]) + 8, round(box[3] - box[1]) + 8)
        mask, core = Image.new("L", room), Image.new("L", room)
        place = (4 - box[0], 4 - box[1])
        ImageDraw.Draw(mask).text(place, word, fill=255, font=font, stroke_width=rim)
        ImageDraw.Draw(core).text(place, word, fill=255, font=font)
        if random.random() < 0.4:
            angle = random.uniform(-45, 45)
            mask, core = (
                part.rotate(angle, Image.Resampling.BICUBIC, expand=True) for part in (mask, core)
            )
        corner = (int(random.integers(-40, side - 40)), int(random.integers(0, side - 40)))
        picture.paste(dark(random), corner, mask)
        picture.paste(vivid(random), corner, core)
    return picture


def screen(random: np.random.Generator, side: int, fonts: Sequence[Path]) -> Image.Image:
    """Windows of a desktop: bars, buttons, lists, fields, a table, one pixel wide lines."""
    picture = Image.new("RGB", (side, side), vivid(random))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(4, 7))):
        left, top = (int(random.integers(-20, side // 2)) for _ in range(2))
        width, height = (int(random.integers(side // 3, side)) for _ in range(2))
        _window(random, draw, (left, top, left + width, top + height), fonts)
    return picture


def _window(
    random: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    fonts: Sequence[Path],
) -> None:
    left, top, right, bottom = box
    paper, ink = (pale(random), dark(random)) if random.random() < 0.6 else pair(random)
    accent = vivid(random)
    size = int(random.integers(9, 17))
    font = ImageFont.truetype(str(_pick(random, fonts)), size)
    bar = size + 12
    radius = int(random.choice([0, 0, 4, 8]))
    draw.rounded_rectangle(box, radius, fill=paper, outline=ink)
    draw.rounded_rectangle((left, top, right, top + bar), radius, fill=accent)
    draw.text((left + 8, top + 5), _line(random, font, (right - left) // 2), fill=paper, font=font)
    for index in range(3):
        x = right - (index + 1) * bar
        draw.ellipse((x + 6, top + 6, x + bar - 6, top + bar - 6), fill=vivid(random))
    y = top + bar + 6
    while y + bar < bottom:
        kind = random.integers(4)
        if kind == 0:
            for x in range(left + 8, right - 80, 90):
                draw.rounded_rectangle((x, y, x + 76, y + bar - 4), radius, fill=accent)
                draw.text((x + 8, y + 3), _line(random, font, 60), fill=paper, font=font)
        elif kind == 1:
            _table(draw, (left + 8, y, right - 8, y + bar), ink)
            draw.text((left + 12, y + 4), _line(random, font, 70), fill=ink, font=font)
        elif kind == 2:
            draw.rectangle((left + 8, y + 2, left + 8 + size, y + 2 + size), outline=ink)
            text = _line(random, font, right - left - 60)
            draw.text((left + 16 + size, y + 2), text, fill=ink, font=font)
        else:
            draw.text((left + 8, y), _line(random, font, right - left - 20), fill=ink, font=font)
        y += bar + 2


def _table(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], ink: Colour) -> None:
    """A row of cells."""
    left, top, right, bottom = box
    draw.rectangle(box, outline=ink)
    for x in range(left, right, 80):
        draw.line((x, top, x, bottom), fill=ink)


def _line(random: np.random.Generator, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Words until the width is full, one at least."""
    text = str(random.choice(_WORDS))
    while True:
        longer = f"{text} {random.choice(_WORDS)}"
        if font.getlength(longer) > width:
            return text
        text = longer


def _pick(random: np.random.Generator, fonts: Sequence[Path]) -> Path:
    return fonts[int(random.integers(len(fonts)))]
