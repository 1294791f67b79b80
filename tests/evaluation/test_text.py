"""Pages of text: drawn alike everywhere, damaged, read, and compared letter by letter."""

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from dcls_cli.cli.app import run
from dcls_cli.errors import UsageError
from dcls_cli.evaluation import text
from dcls_cli.evaluation.benchmarks import find_items
from dcls_cli.evaluation.gaussian8 import bicubic_restore
from dcls_cli.evaluation.reading import (
    Reader,
    Text,
    edit_distance,
    invented,
    reading_figures,
    word_accuracy,
    words_of,
)
from dcls_cli.evaluation.rows import mean_row

#: SHA-256 of all pages at x4 and their words; a change of it needs a new version.
PUBLISHED = "28660bc28405b99d516fd98597469e5ca0a043761cde2218e44eb8ffeda84fbe"


@pytest.fixture
def fonts() -> None:
    """Skip where the fonts of the pages are missing, or others of the same names."""
    try:
        found = text._font_digests()
    except UsageError as error:
        pytest.skip(str(error))
    if found != {name: font.sha256 for name, font in text.FONTS.items()}:
        pytest.skip("fonts of another version draw other pages")


@pytest.fixture
def reader() -> None:
    """Skip where nothing reads."""
    try:
        Reader.found(tuple(text.LANGUAGES.values()))
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def nothing_known() -> Iterator[None]:
    """Forget which programs and fonts were found, before and after."""

    def forget() -> None:
        for function in (Reader.found, text._font, text._font_digests):
            function.cache_clear()

    forget()
    yield
    forget()


def shortest(found: str, true: str) -> tuple[int, int]:
    """Edit distance and invented letters by trying every alignment."""

    @functools.cache
    def rest(i: int, j: int) -> tuple[int, int]:
        if i == len(found) or j == len(true):
            return len(found) - i + len(true) - j, len(found) - i
        ways = []
        for step, price, made_up in (
            ((1, 1), int(found[i] != true[j]), int(found[i] != true[j])),
            ((1, 0), 1, 1),
            ((0, 1), 1, 0),
        ):
            distance, letters = rest(i + step[0], j + step[1])
            ways.append((distance + price, letters + made_up))
        return min(ways)

    return rest(0, 0)


def test_distances_are_those_of_all_alignments() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        one, two = ("".join(random.choice(list("abc"), random.integers(0, 9))) for _ in range(2))
        assert (edit_distance(one, two), invented(one, two)) == shortest(one, two), (one, two)


def test_letters_that_are_missed_are_not_invented() -> None:
    truth = Text(("Rhine", "1806."), "eng", 300)
    missed = reading_figures("Rhne 1806", truth)
    assert (missed.words_read, missed.letters_invented) == (0.5, 0.0)
    other = reading_figures("Rhine 1306,\n", truth)
    assert other.words_read == 0.5 and other.letters_invented == pytest.approx(1 / 9)
    assert reading_figures("Rhine. 1806", truth) == reading_figures("Rhine 1806", truth)
    assert reading_figures("", truth).words_read == 0
    assert word_accuracy(["a"] * 9, ["b"]) == 0  # never below
    assert words_of("caf\u0065\u0301 -- \u201eZug\u201c") == ["caf\u00e9", "Zug"]


def test_pages_are_the_published_ones(fonts: None) -> None:
    digest = hashlib.sha256()
    for name in text.names():
        page, words = text.draw_page(name, 4)
        assert len(words) == text.WORDS and page.shape[2] == 800
        digest.update(page.tobytes() + " ".join(words).encode())
    assert digest.hexdigest() == PUBLISHED


def test_letters_are_as_large_when_reduced_at_every_scale(fonts: None) -> None:
    heights = {text.draw_page("english-sans", scale)[0].shape[1] / scale for scale in (2, 3, 4)}
    assert len(heights) == 1
    assert text.draw_page("english-sans", 2)[1] == text.draw_page("english-sans", 4)[1]


def test_blur_costs_words_and_originals_are_read(fonts: None, reader: None) -> None:
    sample = text.text_sample("english-sans", 4)
    original = sample.row(0, sample.hr / 255)
    assert (original.words_read, original.letters_invented) == (1, 0)
    blurred = list(sample.rows(bicubic_restore(4)))
    assert [row.case for row in blurred] == ["blur 1.8", "blur 2.8", "blur 1.8, noise, JPEG 80"]
    assert min(row.words_read or 0 for row in blurred) < 1
    shares = [row.words_read or 0 for row in blurred]
    assert mean_row(blurred).words_read == pytest.approx(sum(shares) / 3)


def test_a_missing_program_is_one_line(
    fonts: None,
    nothing_known: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", "")
    assert run(["eval", "--benchmark", "text"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "dcls: tesseract: not found; it reads the pages (Debian: apt install tesseract-ocr)\n"
    )


def test_a_missing_language_is_one_line(
    nothing_known: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "tesseract"
    program.write_text(
        "#!/bin/sh\necho 'List of available languages in \"/none\" (2):'\necho eng\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(UsageError, match="no data for ell; apt install tesseract-ocr-ell"):
        Reader.found(("eng", "ell"))


def test_a_missing_font_is_one_line(nothing_known: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise OSError("cannot open resource")

    monkeypatch.setattr(ImageFont, "truetype", missing)
    with pytest.raises(UsageError, match=r"\.ttf: font not found; .* fonts-(dejavu|liberation)"):
        text.draw_page("english-sans", 4)


def test_pages_need_no_folder(tmp_path: Path) -> None:
    assert [item.hr.name for item in find_items("text", 4, None)] == list(text.names())
    with pytest.raises(UsageError, match="--benchmark text takes no folder"):
        find_items("text", 4, tmp_path)
