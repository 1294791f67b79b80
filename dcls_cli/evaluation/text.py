"""The `text` benchmark: pages of words in free fonts, blurred and reduced, to be read again.

Each page is drawn from its name: words, letter size, paper and ink come from a seed. What the
restored page says is measured by `reading`. `docs/benchmark-text.md` publishes the definition; a
change of anything in it, or of `words.txt`, needs a new `VERSION`.
"""

import functools
import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dcls_cli.errors import UsageError
from dcls_cli.evaluation.photo import REFERENCE_SCALE, Recipe, blur_kernel, damaged, decoded
from dcls_cli.evaluation.reading import Reader, Text
from dcls_cli.evaluation.samples import Sample, TrueKernel, fitting, random_of

VERSION = "text/1"

#: Words on a page, numbers included.
WORDS = 50

#: What a page measures, pixels of the reduced picture.
_WIDTH, _MARGIN = 200, 8
_LETTER_SIZES = (8, 9, 10)
_LEADING = 1.35

#: Pages are drawn so many times finer and averaged, so that letters lie between pixels.
_FINE = 4

#: Tesseract's names of the languages.
LANGUAGES: Mapping[str, str] = {
    "english": "eng",
    "german": "deu",
    "polish": "pol",
    "greek": "ell",
    "russian": "rus",
    "georgian": "kat",
}


@dataclass(frozen=True)
class Font:
    """A font that Debian packs.

    Attributes:
        package: that has it.
        sha256: of the file that published figures were measured with.
    """

    package: str
    sha256: str


FONTS: Mapping[str, Font] = {
    "DejaVuSans.ttf": Font(
        "fonts-dejavu-core", "abdc775b21b1bc470d50c97e790d276f2054b7504e56e5bd3e64f48d68582322"
    ),
    "DejaVuSerif.ttf": Font(
        "fonts-dejavu-core", "13e61509f5c81d7c3132810f4f903e3523df89c802bf6e0674621e8f659cdfe1"
    ),
    "LiberationSans-Regular.ttf": Font(
        "fonts-liberation", "f8ace1f892b2bd9dc1792ba7f097fa7588f84fed48321480e04de5390828221f"
    ),
    "LiberationSerif-Regular.ttf": Font(
        "fonts-liberation", "1c9c77c2cd0f3c2d2aeef53ea50a4d5d3d684ac73a431d7c70d7864887d194a3"
    ),
}

#: Page -> font. A page is named by its language and the kind of its letters.
_PAGES: Mapping[str, str] = {
    "english-serif": "LiberationSerif-Regular.ttf",
    "english-sans": "DejaVuSans.ttf",
    "german-serif": "DejaVuSerif.ttf",
    "german-sans": "LiberationSans-Regular.ttf",
    "polish-serif": "LiberationSerif-Regular.ttf",
    "polish-sans": "DejaVuSans.ttf",
    "greek-serif": "DejaVuSerif.ttf",
    "greek-sans": "LiberationSans-Regular.ttf",
    "russian-serif": "LiberationSerif-Regular.ttf",
    "russian-sans": "LiberationSans-Regular.ttf",
    "georgian-serif": "DejaVuSerif.ttf",  # Liberation has no Georgian letters
    "georgian-sans": "DejaVuSans.ttf",
}


def names() -> tuple[str, ...]:
    """All pages in order: language, a hyphen, serif or sans."""
    return tuple(_PAGES)


def kind_of(name: str) -> str:
    """The language of a page."""
    return name.partition("-")[0]


def draw_page(name: str, scale: int) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """One page, and the words on it in the order of reading.

    Args:
        name: one of `names()`.
        scale: by how much the page is to be reduced; letters are the larger for it, so that they
            have the same 8 to 10 pixels an em when reduced.

    Returns:
        (3, H, W) levels, sides multiples of `scale`, and `WORDS` words with their full stops.

    Raises:
        KeyError: there is no such page.
        UsageError: its font is not installed.
    """
    digest = hashlib.sha256(f"{VERSION} {name}".encode()).digest()
    random = np.random.RandomState(np.frombuffer(digest, "<u4").astype(np.uint32))
    words = tuple(_sentences(word_list(kind_of(name)), random))
    size = _LETTER_SIZES[random.randint(len(_LETTER_SIZES))]
    paper = random.randint(228, 250) + random.randint(-6, 6, 3)
    ink = random.randint(15, 50) + random.randint(-6, 6, 3)
    lines = _lines(words, _font(_PAGES[name], size * REFERENCE_SCALE * _FINE))
    width, height = _WIDTH, 2 * _MARGIN + math.ceil(size * _LEADING * len(lines))
    fine = scale * _FINE
    mask = Image.new("L", (width * fine, height * fine))
    pen, letters = ImageDraw.Draw(mask), _font(_PAGES[name], size * fine)
    for row, line in enumerate(lines):
        top = round((_MARGIN + size * _LEADING * row) * fine)
        pen.text((_MARGIN * fine, top), line, fill=255, font=letters)
    small = mask.resize((width * scale, height * scale), Image.Resampling.BOX)
    share = np.asarray(small, np.float64)[None] / 255
    page = paper[:, None, None] + share * (ink - paper)[:, None, None]
    return np.rint(page).astype(np.uint8), words


def digest_of(name: str) -> str:
    """SHA-256 of what the figures of a page depend on: its pixels, and what reads it.

    Raises:
        UsageError: the font or what reads is not installed.
    """
    pixels = draw_page(name, REFERENCE_SCALE)[0].tobytes()
    reader = Reader.found(tuple(LANGUAGES.values()))
    code = LANGUAGES[kind_of(name)]
    return hashlib.sha256(pixels + f"{reader.version} {reader.data[code]}".encode()).hexdigest()


def text_sample(name: str, scale: int) -> Sample:
    """Draw a page and damage it in each way.

    Raises:
        KeyError: there is no such page.
        UsageError: its font is not installed.
    """
    page, words = draw_page(name, scale)
    hr = fitting(name, page, scale)
    recipes = _recipes(scale)
    made = tuple(
        damaged(hr, recipe, scale, random_of(VERSION, hr, index))
        for index, recipe in enumerate(recipes)
    )
    kernels = tuple(TrueKernel(blur_kernel(recipe, scale), "bicubic") for recipe in recipes)
    return Sample(
        image=name,
        scale=scale,
        hr=hr,
        lr=np.stack([decoded(file) for file in made]),
        sigmas=tuple(recipe.sigma[0] * scale / REFERENCE_SCALE for recipe in recipes),
        cases=tuple(recipe.name for recipe in recipes),
        kernels=kernels,
        files=made,
        has_ssim=False,
        text=Text(words, LANGUAGES[kind_of(name)], 300 * scale // REFERENCE_SCALE),
    )


def check() -> str:
    """What reads, and whether the fonts are those of the published figures.

    Raises:
        UsageError: a font, the program or a language is not installed.
    """
    version = Reader.found(tuple(LANGUAGES.values())).version
    others = [name for name, found in _font_digests().items() if found != FONTS[name].sha256]
    fonts = f"fonts of another version: {', '.join(others)}" if others else "fonts as published"
    return f"read by {version}; {fonts}"


def _recipes(scale: int) -> tuple[Recipe, ...]:
    """The kinds of damage; names state the width of the blur in HR pixels at this scale."""
    little, much = (f"blur {width * scale / REFERENCE_SCALE:.3g}" for width in (1.8, 2.8))
    return (
        Recipe(name=little, sigma=(1.8, 1.8)),
        Recipe(name=much, sigma=(2.8, 2.8)),
        Recipe(
            name=f"{little}, noise, JPEG 80", sigma=(1.8, 1.8), read=0.002, shot=4e-4, quality=80
        ),
    )


@functools.cache
def word_list(language: str) -> tuple[str, ...]:
    """The words that pages of a language are made of, from `words.txt`.

    Raises:
        KeyError: there are none.
    """
    blocks: dict[str, list[str]] = {}
    text = (files("dcls_cli.evaluation") / "words.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            words = blocks.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            words += line.split()
    return tuple(blocks[language])


def _sentences(known: tuple[str, ...], random: np.random.RandomState) -> Iterator[str]:
    """`WORDS` words: sentences of four to eight with a full stop, each with a number."""
    left = WORDS
    while left:
        count = min(left, random.randint(4, 9))
        drawn = [known[random.randint(len(known))] for _ in range(count)]
        if count > 1:
            drawn[random.randint(1, count)] = str(random.randint(100, 10000))
        # Not `upper`: Georgian has capitals, but begins no sentence with them.
        yield drawn[0].capitalize() if count > 1 else f"{drawn[0].capitalize()}."
        yield from drawn[1:-1]
        if count > 1:
            yield f"{drawn[-1]}."
        left -= count


def _lines(words: tuple[str, ...], letters: ImageFont.FreeTypeFont) -> list[str]:
    """Break words into lines of the page's width; `letters` are those of the reference scale."""
    room = (_WIDTH - 2 * _MARGIN) * REFERENCE_SCALE * _FINE
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]} {word}"
        if letters.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@functools.lru_cache(maxsize=16)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of the system at a size, without the shaping that not every Pillow has.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise UsageError(
            f"{name}: font not found; install it (Debian: apt install {FONTS[name].package})"
        ) from error


@functools.cache
def _font_digests() -> dict[str, str]:
    """SHA-256 of each font's file, by name."""
    paths = {name: Path(str(_font(name, 40).path)) for name in FONTS}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}
