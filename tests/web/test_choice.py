"""The page chooses a network by what Python chooses it by; needs Node only."""

import base64
import io
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcls_cli.evaluation.graphics import draw
from dcls_cli.image import Photo, decode
from dcls_cli.image.traces import Traces, measure_traces
from dcls_cli.models.auto import choose
from tests.web import pictures
from tests.web.nodes import SOURCE, call
from tests.web.test_page import example

#: Quantisation tables whose quality lies in the middle between two numbers: 87.5 and 62.5.
HALVES = [[15] * 26 + [14] * 38, [44] * 14 + [43] * 50]


def file(picture: np.ndarray | Image.Image, form: str = "PNG", **options: object) -> bytes:
    """A picture as a file of one of Pillow's formats."""
    content = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(content, form, **options)
    return content.getvalue()


def photo() -> Image.Image:
    """A part of a photo."""
    return example((40, 120, 240, 280))


def noisy(picture: Image.Image, sigma: float) -> np.ndarray:
    """With white noise of `sigma` levels."""
    levels = np.asarray(picture).astype(float)
    levels += np.random.default_rng(5).normal(0, sigma, levels.shape)
    return np.rint(levels.clip(0, 255)).astype(np.uint8)


def former_jpeg(quality: int) -> Image.Image:
    """Decoded from a JPEG, smooth enough to show its blocks."""
    blurred = photo().resize((50, 40)).resize((200, 160), Image.Resampling.BICUBIC)
    return Image.open(io.BytesIO(file(blurred, "JPEG", quality=quality)))


def drawing(name: str) -> np.ndarray:
    """Of the graphics benchmark, at a quarter of its size."""
    return pictures.reduced(draw(name).transpose(1, 2, 0).astype(float))


def dithered(height: int, width: int) -> np.ndarray:
    """Black and white pixels, so that many blocks have equal detail."""
    share = np.linspace(0.3, 0.7, width)[:, None]
    black = np.random.default_rng(6).random((height, width, 1)) < share
    return np.repeat(np.where(black, 0, 255).astype(np.uint8), 3, axis=2)


def ramp() -> np.ndarray:
    """Without texture, of other slopes in R, G and B."""
    down, across = np.mgrid[:90, :130]
    return np.stack([20 + across, 30 + down, (across + down) // 2 + 10], axis=2).astype(np.uint8)


def cut_out(hidden: slice) -> Image.Image:
    """Of which some columns are transparent, others half."""
    mask = pictures.ramp(160, 200, 40)
    mask[:, hidden] = 0
    return pictures.with_alpha(np.asarray(photo()), mask)


def large() -> Image.Image:
    """Is looked at in windows that do not touch."""
    return Image.fromarray(noisy(photo().resize((1301, 1103), Image.Resampling.BICUBIC), 3))


def padded(jpeg: bytes) -> bytes:
    """With bytes between its markers that mean nothing."""
    return jpeg[:2] + b"\xff\xff" + jpeg[2:]


def identity(avif: bytes) -> bytes:
    """Said to store R, G and B, which Pillow does not do."""
    matrix = avif.index(b"colrnclx") + 12
    return avif[:matrix] + b"\0\0" + avif[matrix + 2 :]


FILES: dict[str, Callable[[], bytes]] = {
    "noise": lambda: file(pictures.noise(143, 201)),
    "several windows": lambda: file(pictures.noise(300, 531)),
    "a window of one column": lambda: file(pictures.noise(40, 257)),
    "large": lambda: file(large()),
    "high": lambda: file(large().crop((0, 0, 60, 1103))),
    "flag": lambda: file(pictures.flag(135, 201)),
    "logo": lambda: file(pictures.logo(100, 120)),
    "tone": lambda: file(pictures.tone(150, 200)),
    "text": lambda: file(drawing("text-02")),
    "screen": lambda: file(drawing("screens-03")),
    "chart": lambda: file(drawing("charts-04")),
    "dithered": lambda: file(dithered(256, 256)),
    "photo": lambda: file(photo()),
    "small photo": lambda: file(photo().resize((100, 80))),
    "grey": lambda: file(photo().convert("L")),
    "noisy": lambda: file(noisy(photo(), 8)),
    "noisy ramp": lambda: file(noisy(Image.fromarray(ramp()), 4)),
    "ramp": lambda: file(ramp()),
    "one colour": lambda: file(pictures.flat(70, 90)),
    "clipped": lambda: file(np.full((40, 40, 3), 8, np.uint8)),
    "1 x 1": lambda: file(pictures.noise(1, 1)),
    "3 x 5": lambda: file(pictures.noise(3, 5)),
    "8 x 8": lambda: file(pictures.noise(8, 8)),
    "9 x 700": lambda: file(pictures.noise(9, 700)),
    "in part transparent": lambda: file(cut_out(slice(60, 103))),
    "transparent": lambda: file(cut_out(slice(None))),
    "logo in a disc": lambda: file(
        pictures.with_alpha(pictures.logo(100, 120), pictures.discs(100, 120))
    ),
    **{f"former JPEG {quality}": lambda q=quality: file(former_jpeg(q)) for quality in (50, 80)},
    "GIF": lambda: file(photo().convert("P"), "GIF"),
    "BMP": lambda: file(photo(), "BMP"),
    **{
        f"JPEG {quality}": lambda q=quality: file(photo(), "JPEG", quality=q)
        for quality in (1, 30, 60, 75, 90, 95, 98, 100)
    },
    "progressive": lambda: file(photo(), "JPEG", quality=85, progressive=True, subsampling=0),
    "grey JPEG": lambda: file(photo().convert("L"), "JPEG", quality=70),
    "JPEG with metadata": lambda: file(
        photo(), "JPEG", quality=92, icc_profile=bytes(70000), comment=b"\xff\xdb\xff\xda"
    ),
    "flag as JPEG": lambda: file(pictures.flag(135, 201), "JPEG", quality=97),
    "padded JPEG": lambda: padded(file(photo(), "JPEG", quality=85)),
    "coarse": lambda: file(photo(), "JPEG", qtables=[[300] * 64]),
    **{
        f"half {index}": lambda table=table: file(photo(), "JPEG", qtables=[table])
        for index, table in enumerate(HALVES)
    },
    "WebP": lambda: file(photo(), "WEBP", quality=80),
    "transparent WebP": lambda: file(cut_out(slice(60, 103)), "WEBP", quality=80),
    "lossless WebP": lambda: file(photo(), "WEBP", lossless=True),
    "lossless, transparent WebP": lambda: file(
        cut_out(slice(60, 103)), "WEBP", lossless=True, exif=b"Exif\0\0odd"
    ),
    **{
        f"animation, lossless: {lossless}": lambda lossless=lossless: file(
            photo(),
            "WEBP",
            save_all=True,
            append_images=[photo().rotate(180)],
            lossless=lossless,
            icc_profile=b"seven b",
        )
        for lossless in (False, True)
    },
    **{
        f"AVIF {quality}": lambda q=quality: file(photo(), "AVIF", quality=q)
        for quality in (60, 95, 100)
    },
    "full AVIF": lambda: file(photo(), "AVIF", quality=100, subsampling="4:4:4"),
    "lossless AVIF": lambda: identity(file(photo(), "AVIF", quality=100, subsampling="4:4:4")),
}

#: Pictures by name, and what the page finds of them.
Seen = dict[str, tuple[Photo, dict[str, Any]]]

_SEE = """
  const [files, rule, base] = given;
  globalThis.fetch = async () => new Response(rule);
  const { compressionOf } = await import(`${base}/compression.mjs`);
  const { traces } = await import(`${base}/traces.mjs`);
  const bytes = (text) => new Uint8ClampedArray(Buffer.from(text, "base64"));
  return Promise.all(files.map(async ({ form, file, samples, width, height }) => {
    const compression = await compressionOf(form, new Blob([bytes(file)]));
    const picture = { form, samples: bytes(samples), width, height, ...compression };
    return { ...compression, traces: traces(picture), choice: await module.choose(picture) };
  }));
"""


def given(content: bytes, seen: Photo) -> dict[str, object]:
    """A file and its picture as the page has them: RGB and alpha."""
    colours = seen.samples[..., : 1 if seen.grey else 3]
    rgba = np.full((seen.height, seen.width, 4), 255, np.uint8)
    rgba[..., :3] = colours
    if seen.has_alpha:
        rgba[..., 3] = seen.samples[..., -1]
    encoded = [base64.b64encode(part).decode() for part in (content, rgba.tobytes())]
    form = named(seen.format)
    size = {"width": seen.width, "height": seen.height}
    return {"form": form, "file": encoded[0], "samples": encoded[1], **size}


def named(text: str) -> str:
    """The page writes WebP as its makers do, Python as Pillow does."""
    return text.replace("WEBP", "WebP")


@pytest.fixture(scope="module")
def seen() -> Seen:
    """All pictures, which one process looks at."""
    contents = {name: make() for name, make in FILES.items()}
    photos = {name: decode(io.BytesIO(content)) for name, content in contents.items()}
    rule = (resources.files("dcls_cli.models") / "auto.json").read_text()
    files = [given(contents[name], photos[name]) for name in FILES]
    found = call("choice.mjs", _SEE, files, rule, SOURCE.as_uri())
    return {name: (photos[name], ours) for name, ours in zip(FILES, found, strict=True)}


@pytest.mark.parametrize("name", FILES)
def test_traces_are_those_of_python(seen: Seen, name: str) -> None:
    picture, ours = seen[name]
    theirs = asdict(measure_traces(picture.colour, picture.transparency))
    assert len(ours["traces"]) == len(Traces.__dataclass_fields__)
    renamed = {"plain_noise": "plainNoise", "nearly_flat": "nearlyFlat"}
    for feature, value in theirs.items():
        found = ours["traces"][renamed.get(feature, feature)]
        assert found == pytest.approx(value, rel=1e-9, abs=1e-12), feature


@pytest.mark.parametrize("name", FILES)
def test_compression_is_that_of_python(seen: Seen, name: str) -> None:
    picture, ours = seen[name]
    assert (ours["lossless"], ours["quality"]) == (picture.lossless, picture.quality)


@pytest.mark.parametrize("name", FILES)
def test_choice_and_reason_are_those_of_python(seen: Seen, name: str) -> None:
    picture, ours = seen[name]
    choice = choose(picture, 4)
    assert ours["choice"] == {"model": choice.model, "reason": named(choice.reason)}


def test_the_pictures_show_every_reason(seen: Seen) -> None:
    reasons = {ours["choice"]["reason"].split(" of ")[0] for _, ours in seen.values()}
    assert reasons >= {
        "JPEG compresses with loss",
        "it shows traces",
        "it shows noise",
        "it looks like a photograph that is not quite clean",
        "what JPEG has lost does not show",
        "it has the flat colours",
        "it shows no noise and no compression",
    }


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff", b"RIFF????WEBP", b"\xff\xd8\xff\xdb\xff"]
)
@pytest.mark.parametrize("form", ["JPEG", "WebP", "AVIF", "HEIF"])
def test_a_file_that_is_cut_off_counts_as_lossy(form: str, content: bytes) -> None:
    code = "return module.compressionOf(given[0], new Blob([Buffer.from(given[1], 'base64')]));"
    ours = call("compression.mjs", code, form, base64.b64encode(content).decode())
    assert not ours["lossless"]


@pytest.mark.parametrize("answer", ["404", "damaged", "failed"])
def test_without_a_rule_the_page_must_be_built_anew(answer: str) -> None:
    code = """
      globalThis.fetch = {
        404: async () => new Response("{}", { status: 404 }),
        damaged: async () => new Response('{"start": 0.09'),
        failed: async () => { throw new TypeError("offline") },
      }[given[0]];
      const picture = { width: 1, height: 1, samples: new Uint8ClampedArray(4) };
      return module.choose({ ...picture, form: "PNG", lossless: true, quality: null }).catch(
        (error) => [error.kind, error.message]);
    """
    said = ["files", "choice.json is missing or damaged: build the page anew."]
    assert call("choice.mjs", code, answer) == said
