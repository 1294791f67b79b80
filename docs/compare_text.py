"""Reads the pages of the text benchmark after other programs enlarged them.

The pages, the damage, Tesseract and the counting are those of `dcls eval --benchmark text`. The
programs run in the environment that `docs/ncnn_enlarge.py` describes:

    python docs/compare_text.py --python ncnn-venv/bin/python --folder pages

`--folder` keeps the pages and what the programs made of them, so that a run goes on where it was
interrupted.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dcls_cli import upscale_file
from dcls_cli.evaluation.gaussian8 import bicubic_restore
from dcls_cli.evaluation.samples import Sample, as_input
from dcls_cli.evaluation.text import names, text_sample

SCALE = 4
PROGRAMS = ("waifu2x", "span", "realesrgan")

PICTURE = Path(__file__).with_name("pictures") / "text-programs.png"
GAP_PX = 8

#: Left, top, right, bottom of two lines of the first page, enlarged.
LINES = (20, 34, 740, 112)

Enlarge = Callable[[Path], Image.Image]

#: Words read and letters invented, both of 1, of each page and kind of damage.
Figures = dict[tuple[str, str], tuple[float, float]]


def main() -> None:
    """Enlarge the pages by every method; print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="of the environment of ncnn_enlarge.py")
    parser.add_argument("--folder", type=Path, required=True, help="for the pages")
    parser.add_argument("--programs", nargs="*", choices=PROGRAMS, default=PROGRAMS)
    options = parser.parse_args()
    samples = [text_sample(name, SCALE) for name in names()]
    pages = options.folder / "pages"
    written = write_pages(samples, pages)
    for program in options.programs:
        enlarge_with(program, options.python, written, options.folder / program)
    enlarge_with_dcls(written, options.folder / "dcls")
    methods: dict[str, Enlarge] = {"bicubic": bicubic}
    for method in (*options.programs, "dcls"):
        methods[method] = partial(enlarged, options.folder / method)
    draw(page_path(pages, samples[0], 1), methods)
    print_table({name: measured(samples, pages, enlarge) for name, enlarge in methods.items()})


def write_pages(samples: Sequence[Sample], folder: Path) -> list[Path]:
    """Write the damaged pages as the benchmark makes them: PNG or JPEG files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for sample in samples:
        for index, data in enumerate(sample.files):
            path = page_path(folder, sample, index)
            path.write_bytes(data)
            paths.append(path)
    return paths


def page_path(folder: Path, sample: Sample, index: int) -> Path:
    """The file of a damaged page."""
    suffix = "jpg" if "JPEG" in sample.cases[index] else "png"
    return folder / f"{sample.image}-{index}.{suffix}"


def enlarge_with(program: str, python: str, pages: Sequence[Path], output: Path) -> None:
    """Run another program over all pages; it leaves out those that are there already."""
    script = Path(__file__).with_name("ncnn_enlarge.py")
    command = [python, script, program, *pages, "-o", output]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def enlarge_with_dcls(pages: Sequence[Path], output: Path) -> None:
    """Enlarge all pages as `dcls upscale` does by default, in fp32 on the CPU."""
    output.mkdir(exist_ok=True)
    for page in pages:
        target = output / f"{page.stem}.png"
        if not target.exists():
            upscale_file(page, target, device="cpu", precision="fp32")


def enlarged(folder: Path, page: Path) -> Image.Image:
    """What a program made of a page."""
    return Image.open(folder / f"{page.stem}.png")


def bicubic(page: Path) -> Image.Image:
    """The bicubic enlargement of the benchmark, MATLAB's."""
    with Image.open(page) as picture:
        lr = as_input(np.asarray(picture.convert("RGB"))).transpose(2, 0, 1)
    levels = np.rint(255 * np.clip(bicubic_restore(SCALE)(lr), 0, 1)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))


def draw(page: Path, methods: dict[str, Enlarge]) -> None:
    """Write docs/pictures/text-programs.png: two lines of a page by each method."""
    width, height = LINES[2] - LINES[0], LINES[3] - LINES[1]
    sheet = Image.new("L", (width, len(methods) * (height + GAP_PX) - GAP_PX), "white")
    for place, enlarge in enumerate(methods.values()):
        sheet.paste(enlarge(page).convert("L").crop(LINES), (0, place * (height + GAP_PX)))
    sheet.save(PICTURE, optimize=True)


def measured(samples: Sequence[Sample], pages: Path, enlarge: Enlarge) -> Figures:
    """Read every page as a method enlarged it."""
    figures = {}
    for sample in samples:
        for index, case in enumerate(sample.cases):
            page = np.asarray(enlarge(page_path(pages, sample, index)).convert("RGB"))
            row = sample.row(index, as_input(page).transpose(2, 0, 1), with_ssim=False)
            assert row.words_read is not None and row.letters_invented is not None
            figures[sample.image, case] = row.words_read, row.letters_invented
    return figures


def print_table(methods: dict[str, Figures]) -> None:
    """Words read / wrong letters, in per cent: means for each kind of damage, and over all."""
    cases = list(dict.fromkeys(case for _, case in next(iter(methods.values()))))
    sys.stdout.write(f"| program | {' | '.join([*cases, 'all'])} |\n")
    for name, figures in methods.items():
        cells = [
            np.mean([pair for (_, kind), pair in figures.items() if case in (kind, "all")], axis=0)
            for case in [*cases, "all"]
        ]
        shown = (f"{100 * words:.1f} / {100 * letters:.1f}" for words, letters in cells)
        sys.stdout.write(f"| {name} | {' | '.join(shown)} |\n")


if __name__ == "__main__":
    main()
