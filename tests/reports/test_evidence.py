"""The page: whole, offline, honest about names, and of the pixels that it was given."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dcls_cli.reports.evidence import Evidence, evidence_page
from dcls_cli.reports.pictures import encode, slider
from tests import oracle, scenes

KERNEL = np.outer(oracle.gauss1d(21, 2.0), oracle.gauss1d(21, 1.0)).astype(np.float32)

#: Elements without an end tag.
VOID = {"meta", "img", "input", "br", "link"}


class Reader(HTMLParser):
    """Collects elements and text, and checks that each element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def images(self) -> list[np.ndarray]:
        found = []
        for tag, attributes in self.elements:
            if tag == "img":
                kind, _, content = (attributes["src"] or "").partition(";base64,")
                assert kind in ("data:image/png", "data:image/jpeg")
                image = np.asarray(Image.open(BytesIO(base64.b64decode(content))))
                shown = (attributes["height"], attributes["width"])
                assert shown == tuple(map(str, image.shape[:2]))
                assert attributes["alt"]
                found.append(image)
        return found


def evidence(height: int = 60, width: int = 50, **changes: object) -> Evidence:
    hr = scenes.natural(4 * height, 4 * width)
    lr = oracle.q8(oracle.imresize(hr, 1 / 4))
    fields: dict[str, object] = {
        "source": "photo.jpg",
        "output": "photo_x4.jpg",
        "model": "some-network",
        "lr": lr.transpose(2, 0, 1),
        "sr": hr.transpose(2, 0, 1),
        "scale": 4,
        "kernel": KERNEL,
        "space": "hr",
    }
    return Evidence(**(fields | changes))  # type: ignore[arg-type]


def test_a_small_picture_is_in_the_page_pixel_by_pixel() -> None:
    made = evidence()
    reader = Reader(evidence_page(made))
    small, before, after, kernel, spectrum, residual = reader.images()
    np.testing.assert_array_equal(small, np.rint(made.lr * 255).transpose(1, 2, 0))
    np.testing.assert_array_equal(after, np.rint(made.sr * 255).transpose(1, 2, 0))
    assert before.shape == after.shape
    assert np.abs(before.astype(float) - after).mean() < 30
    taps = kernel[6::12, 6::12] / 255
    np.testing.assert_allclose(taps, KERNEL / KERNEL.max(), atol=1 / 255)
    assert spectrum.shape == (256, 256, 3)
    assert residual.shape == (60 * 8, 50 * 8)


def test_the_page_loads_nothing_and_says_what_it_shows() -> None:
    text = evidence_page(evidence(noise=1e-3))
    reader = Reader(text)
    for tag, attributes in reader.elements:
        assert not {"href", "srcset", "data", "action"} & set(attributes), tag
        assert tag not in ("link", "iframe", "object")
        if tag == "script":
            assert "src" not in attributes
    without_pictures = re.sub('data:image[^"]+', "", text)
    for outside in ("://", "url(", "@import"):
        assert outside not in without_pictures
    (language,) = (attributes["lang"] for tag, attributes in reader.elements if tag == "html")
    assert language == "en"
    for said in (
        "photo.jpg, 50 x 60 pixels",
        "photo_x4.jpg, 200 x 240 pixels, x4",
        "some-network",
        "estimated from the photo",
        "2.00 px and 1.00 px",
        "90 degrees",
        "-30.0 dB of the photo's power",
    ):
        assert said in reader.text


def test_the_network_alone_is_named_where_fidelity_changed_its_result() -> None:
    told = Reader(evidence_page(evidence(fidelity=0.25, before_db=31.24))).text
    assert "0.25 (0 is the network alone)" in told
    assert "dB (the network alone: 31.2 dB; bicubic enlargement: " in told
    told = Reader(evidence_page(evidence(before_db=31.24))).text
    assert "dB (bicubic enlargement: " in told


def test_names_are_text_and_never_markup() -> None:
    name = "<script>alert(1)</script>&\"'$title.png"
    text = evidence_page(evidence(source=name, output=name, model=name))
    reader = Reader(text)
    assert [tag for tag, _ in reader.elements].count("script") == 1
    assert "alert(1)</script>" not in text
    assert f"Evidence: {name}" in reader.text


def test_a_large_picture_becomes_a_preview_and_squares_and_stays_small() -> None:
    made = evidence(170, 300)
    text = evidence_page(made)
    assert len(text) < 5e6
    _, before, after, *squares, _, _, _ = Reader(text).images()
    assert max(after.shape) <= 1024
    assert before.shape == after.shape
    pairs = list(zip(squares[::2], squares[1::2], strict=True))
    assert len(pairs) == 3
    whole = np.rint(made.sr * 255).transpose(1, 2, 0).astype(np.uint8)
    enlarged = np.asarray(
        Image.fromarray(np.rint(made.lr * 255).astype(np.uint8).transpose(1, 2, 0)).resize(
            (1200, 680), Image.Resampling.BICUBIC
        )
    )
    for shown, restored in pairs:
        assert shown.shape == restored.shape == (320, 320, 3)
        corners = [
            (top, left)
            for top in range(0, 680 - 319, 320)
            for left in range(0, 1200 - 319, 320)
            if np.array_equal(whole[top : top + 320, left : left + 320], restored)
        ]
        ((top, left),) = corners
        np.testing.assert_array_equal(enlarged[top : top + 320, left : left + 320], shown)


def test_a_given_kernel_in_input_pixels_is_called_that() -> None:
    text = Reader(evidence_page(evidence(space="lr", known=True))).text
    assert "given by the user" in text
    assert "each one input pixel" in text
    assert "orange square" not in text
    assert "made 4 times smaller (antialiased bicubic) and blurred" in text


def test_a_result_that_explains_less_than_enlargement_is_doubted() -> None:
    """Sharp pictures again, but one of them is not of this input."""
    blurred = evidence()
    small = oracle.imresize(oracle.blur(scenes.natural(240, 200), 1.5), 1 / 4).transpose(2, 0, 1)
    kernel = oracle.gauss_iso(21, 1.5)
    assert "less well" not in Reader(evidence_page(evidence(lr=small, kernel=kernel))).text
    other = scenes.natural(240, 200, seed=1).transpose(2, 0, 1)
    assert "less well" in Reader(evidence_page(evidence(lr=blurred.lr, sr=other))).text


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (3, 2)])
def test_pictures_of_any_shape_have_a_page(size: tuple[int, int]) -> None:
    lr = np.random.default_rng(0).random((3, *size))
    made = evidence(lr=lr, sr=lr.repeat(4, 1).repeat(4, 2))
    assert len(Reader(evidence_page(made)).images()) >= 6


def test_a_slider_is_two_figures_in_order_with_their_names() -> None:
    black, white = (encode(np.full((4, 6), level, np.uint8)) for level in (0, 255))
    reader = Reader(slider(black, white, ("a < b", "c")))
    assert [image.max() for image in reader.images()] == [0, 255]
    assert [attributes["alt"] for tag, attributes in reader.elements if tag == "img"] == [
        "a < b",
        "c",
    ]
    assert "a < b" in reader.text
