"""Kernel files: what is written is read again, what is no kernel is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from dcls_cli.errors import KernelError
from dcls_cli.kernels.user_kernel import PIXELS_PER_TAP, encode_kernel, read_kernel
from tests import oracle

TAPS = np.outer(oracle.gauss1d(21, 2.0), oracle.gauss1d(21, 1.2)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_taps_are_kept_as_they_are() -> None:
    Path("k.npy").write_bytes(encode_kernel(TAPS, "hr", ".npy"))
    np.testing.assert_array_equal(np.load("k.npy"), TAPS)
    own = read_kernel(Path("k.npy"))
    np.testing.assert_allclose(own.taps, TAPS, rtol=1e-6)
    assert (own.space, own.notes) == ("hr", ())
    assert read_kernel(Path("k.npy"), "lr").space == "lr"


def test_our_own_picture_is_read_tap_by_tap_and_knows_its_space() -> None:
    """One tap is a square of pixels there: read as it is, the blur would be 8 times as wide."""
    Path("k.png").write_bytes(encode_kernel(TAPS, "lr", ".png"))
    with Image.open("k.png") as image:
        assert image.size == (21 * PIXELS_PER_TAP, 21 * PIXELS_PER_TAP)
    own = read_kernel(Path("k.png"))
    assert own.taps.shape == (21, 21)
    assert np.abs(own.taps - TAPS).sum() < 0.02
    assert (own.space, own.notes) == ("lr", ())
    with pytest.raises(KernelError, match=r"k\.png: it says that its taps are lr pixels, not hr"):
        read_kernel(Path("k.png"), "hr")


def test_grey_pictures_of_other_programs_are_linear_samples() -> None:
    counts = np.rint(TAPS / TAPS.max() * 60000).astype(np.uint16)
    tifffile.imwrite("sixteen.tif", counts)
    tifffile.imwrite("float.tif", TAPS)
    Image.fromarray(counts).save("sixteen.png")
    for name in ("sixteen.tif", "float.tif", "sixteen.png"):
        assert np.abs(read_kernel(Path(name)).taps - TAPS / TAPS.sum()).sum() < 1e-3
    assert "its sum was" in read_kernel(Path("sixteen.png")).notes[0]
    assert read_kernel(Path("float.tif")).notes == ()


def refused(name: str, said: str) -> None:
    with pytest.raises(KernelError, match=said) as caught:
        read_kernel(Path(name))
    text = str(caught.value)
    assert text.startswith(f"{name}: ")
    assert "\n" not in text


def test_what_is_no_kernel_is_refused_in_one_line() -> None:
    refused("none.npy", "no such file")
    Path("folder").mkdir()
    refused("folder", "cannot be read")
    Path("empty.npy").touch()
    refused("empty.npy", "1 byte")
    Path("text.npy").write_text("0 1 0")
    refused("text.npy", "neither")
    np.save("objects.npy", np.array([print]), allow_pickle=True)
    refused("objects.npy", "objects")
    np.save("whole.npy", TAPS)
    Path("cut.npy").write_bytes(Path("whole.npy").read_bytes()[:500])
    refused("cut.npy", "damaged")
    np.save("stack.npy", np.ones((2, 3, 3)))
    refused("stack.npy", "rows, columns")
    Image.new("RGB", (5, 5), "white").save("colour.png")
    refused("colour.png", "expected a grey picture without transparency, got RGB")
    Image.new("L", (2000, 3), 255).save("photo.png")
    refused("photo.png", "at most 1023 taps a side, got 2000x3")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)).save("a.png")
    Path("cut.png").write_bytes(Path("a.png").read_bytes()[:2000])
    refused("cut.png", "damaged picture")
