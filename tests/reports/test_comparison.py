"""The page of an evaluation, its montage and its curves, looked into."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dcls_cli.reports.comparison import Comparison, FigureTable, comparison_page
from dcls_cli.reports.figures import draw_curves
from dcls_cli.reports.pictures import GAP_PX, TITLE_PX, Panel, encode, montage, with_inset

VOID = {"meta", "img", "br", "link", "input"}


class Reader(HTMLParser):
    """Checks that tags are closed in order, and collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.rows: list[tuple[str | None, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [value for key, value in attrs if key in ("src", "href") and value]
        if tag == "tr":
            self.rows.append((values.get("class"), []))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][1].append(data)


def page(name: str = "dcls-light-x4") -> str:
    random = np.random.default_rng(0)
    before, after = (encode(random.integers(0, 256, (32, 40, 3), np.uint8)) for _ in range(2))
    kernel = encode(random.integers(0, 256, (21, 21), np.uint8))
    table = FigureTable(
        "Means.",
        ("method", "PSNR Y"),
        ((name, "30.955"), ("DCLS (paper)", "32.12")),
        frozenset({1}),
    )
    view = Comparison(before, after, ("bicubic", name), "photo <1>", ((kernel, "true"),))
    return comparison_page("dcls eval: <Set5>", ["One.", "Two."], [table], [view], after)


def test_the_page_is_whole_and_loads_nothing() -> None:
    text = page()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert reader.sources
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    assert "$" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)


def test_the_pictures_of_the_page_are_what_was_given() -> None:
    random = np.random.default_rng(0)
    expected = random.integers(0, 256, (32, 40, 3), np.uint8)
    reader = Reader()
    reader.feed(page())
    found = [
        np.asarray(Image.open(BytesIO(base64.b64decode(source.partition(",")[2]))))
        for source in reader.sources
    ]
    assert any(np.array_equal(picture, expected) for picture in found)


def test_published_lines_are_marked_and_names_are_escaped() -> None:
    reader = Reader()
    reader.feed(page("<b>x</b>"))
    classes = {cells[0]: kind for kind, cells in reader.rows[1:]}
    assert classes == {"<b>x</b>": None, "DCLS (paper)": "published"}
    assert "<b>x</b>" not in page("<b>x</b>")


def test_groups_of_columns_and_the_starts_of_blocks_are_marked() -> None:
    table = FigureTable(
        "All.",
        ("sigma", "PSNR", "SSIM", "PSNR", "SSIM"),
        (("1.8", "1", "2", "3", "4"), ("mean", "5", "6", "7", "8")),
        groups=(("<ours>", 2), ("theirs", 2)),
        first=frozenset({1}),
    )
    picture = encode(np.zeros((8, 8, 3), np.uint8))
    view = Comparison(picture, picture, ("a", "b"), "c")
    text = comparison_page("t", [], [table], [view], None)
    assert '<th scope="colgroup" colspan="2">&lt;ours&gt;</th>' in text
    reader = Reader()
    reader.feed(text)
    assert [(kind, len(cells)) for kind, cells in reader.rows] == [
        (None, 2),  # and an empty cell
        (None, 5),
        (None, 5),
        ("first", 5),
    ]


def test_the_montage_has_every_panel_pixel_by_pixel() -> None:
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 256, (50, 60, 3), np.uint8) for _ in range(5)]
    panels = [Panel(f"p {index}\nline", picture) for index, picture in enumerate(pictures)]
    sheet = montage([panels[:3], panels[3:]])
    assert sheet.shape == (2 * (50 + TITLE_PX) + GAP_PX, 3 * 60 + 2 * GAP_PX, 3)
    for index, picture in enumerate(pictures):
        top = TITLE_PX + (index // 3) * (50 + TITLE_PX + GAP_PX)
        left = (index % 3) * (60 + GAP_PX)
        assert np.array_equal(sheet[top : top + 50, left : left + 60], picture)
        title = sheet[top - TITLE_PX : top, left : left + 60]
        assert title.min() < 100  # ink
        assert title.max() == 255


def test_an_inset_shows_the_kernel_and_leaves_the_rest() -> None:
    levels = np.full((100, 120, 3), 77, np.uint8)
    kernel = np.zeros((5, 5))
    kernel[2, 2], kernel[0, 4] = 0.8, 0.4
    framed = with_inset(levels, kernel)
    assert framed[15, 15].tolist() == [255, 255, 255]  # taps are six pixels wide
    assert framed[3, 27].tolist() == [128, 128, 128]
    assert framed[3, 3].tolist() == [0, 0, 0]
    assert framed[30, 0].tolist() == [255, 255, 255]  # the frame
    assert (framed[31:] == 77).all()
    assert (levels == 77).all()
    assert with_inset(levels, None) is levels


@pytest.mark.parametrize("levels", [None, {"DCLS (paper)": 32.12}])
def test_curves_are_drawn_in_colours_of_their_own(levels: dict[str, float] | None) -> None:
    curves = {"a": [(1.8, 31.0), (2.5, 30.5), (3.2, 30.0)], "b": [(1.8, 27.0), (3.2, 25.0)]}
    pixels = np.asarray(Image.open(BytesIO(draw_curves(curves, "Set5", levels))).convert("RGB"))
    colours = {tuple(colour) for colour in pixels.reshape(-1, 3)}
    assert {(0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77)} <= colours
    assert (0x22, 0x88, 0x33) not in colours
