"""Thousands of damaged files: a photo or an ImageError, never anything else, and never for long."""

import io
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.image.reading import decode

MUTATIONS = 10_000

ALARM_S = 60


def picture() -> np.ndarray:
    row, column = np.mgrid[:40, :52]
    noise = np.random.default_rng(1).integers(0, 30, (40, 52, 3))
    return (np.stack([row * 5, column * 4, row + column], axis=2) + noise).astype(np.uint8)


def encoded(form: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8769] = {0x920A: 35.0}
    image = Image.fromarray(picture()).convert(mode)
    if "compression" not in options:  # Pillow writes no EXIF data into a compressed TIFF
        options["exif"] = exif.tobytes()
    image.save(file, form, **options)
    return file.getvalue()


def tiff(samples: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def seeds() -> list[bytes]:
    """One valid file of each kind that is read."""
    deep = picture().astype(np.uint16) * 257
    frames = [Image.fromarray(np.roll(picture(), step, axis=0)) for step in range(3)]
    animations = []
    for form in ("GIF", "WEBP", "PNG"):
        file = io.BytesIO()
        frames[0].save(file, form, save_all=True, append_images=frames[1:])
        animations.append(file.getvalue())
    made = [
        encoded("JPEG"),
        encoded("JPEG", progressive=True),
        encoded("JPEG", "CMYK"),
        encoded("PNG"),
        encoded("PNG", "P"),
        encoded("PNG", "LA"),
        encoded("WEBP"),
        encoded("WEBP", "RGBA", lossless=True),
        encoded("AVIF"),
        encoded("TIFF"),
        encoded("TIFF", "1"),
        encoded("TIFF", "P", compression="tiff_lzw"),
        encoded("TIFF", "CMYK", compression="tiff_adobe_deflate"),
        encoded("TIFF", compression="jpeg"),
        encoded("BMP"),
        encoded("BMP", "P"),
        bytes(imagecodecs.png_encode(deep)),
        tiff(deep, photometric="rgb", compression="lzw", predictor=True),
        tiff(deep, photometric="rgb", bigtiff=True, tile=(16, 16)),
        tiff(picture().astype(np.float32) / 255, photometric="rgb", planarconfig="contig"),
        *animations,
    ]
    try:
        import pillow_heif
    except ImportError:
        return made
    file = io.BytesIO()
    pillow_heif.from_pillow(frames[0]).save(file)
    return [*made, file.getvalue()]


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """Flip 1 to 32 bits, half of the time in the head; or cut, drop, double or blank a part."""
    data = bytearray(content)
    kind = random.integers(0, 8)
    if kind == 0:
        return bytes(data[: random.integers(0, len(data))])
    if kind in (1, 2, 3):
        start = int(random.integers(0, len(data)))
        length = int(random.integers(1, 200))
        part = {1: b"", 2: bytes(data[start : start + length]) * 2, 3: random.bytes(length)}[kind]
        data[start : start + length] = part
        return bytes(data)
    reach = len(data) if random.random() < 0.5 else min(len(data), 400)
    for _ in range(random.integers(1, 33)):
        data[random.integers(0, reach)] ^= 1 << int(random.integers(0, 8))
    return bytes(data)


@contextmanager
def alarm() -> Iterator[None]:
    """End what takes too long by an exception that no reader catches."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(ALARM_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class TooSlowError(BaseException):
    """A file keeps the reader busy."""


def outcomes(mutations: int, seed: int) -> dict[str, int]:
    """Read damaged files and count what comes of it."""
    valid = seeds()
    random = np.random.default_rng(seed)
    counts = {"photo": 0, "refused": 0}
    for number in range(mutations):
        content = mutated(valid[number % len(valid)], random)
        try:
            with alarm():
                photo = decode(io.BytesIO(content), max_pixels=20_000_000)
        except ImageError as error:
            assert len(str(error).splitlines()) == 1
            counts["refused"] += 1
        else:
            assert photo.samples.size > 0
            counts["photo"] += 1
    return counts


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "mutations", [240, pytest.param(MUTATIONS, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_damaged_files_give_a_photo_or_one_line(
    mutations: int, capfd: pytest.CaptureFixture[str]
) -> None:
    counts = outcomes(mutations, seed=mutations)
    assert capfd.readouterr() == ("", "")
    assert min(counts.values()) > mutations // 10
