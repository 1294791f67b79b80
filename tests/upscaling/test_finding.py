"""The blur is believed only where it is seen."""

import hashlib

import numpy as np
import pytest

from dcls_cli.image import from_array
from dcls_cli.image.photo import collect
from dcls_cli.kernels import kernel_width_px
from dcls_cli.models.releases import RELEASES
from dcls_cli.upscaling import find_blur, upscale
from dcls_cli.upscaling.narrow import narrow_blur, reference
from tests.upscaling.pictures import bicubic, dog, graphic, network, psnr_db, reduced

BYTES = np.dtype(np.uint8)

#: A result may be so much worse than bicubic enlargement; beyond that nobody sees a difference.
HARMLESS_DB = 0.3
UNSEEN_DB = 38.0

FEW_EDGES = [
    "flags-france",
    "flags-germany",
    "flags-poland",
    "flags-austria",
    "edges-greys",
    "edges-greys-level",
    "edges-line-thin",
    "edges-steps-grey",
]
EQUAL_BRIGHTNESS = ["logos-09", "logos-15", "logos-21", "flags-armenia", "edges-orange-teal"]


@pytest.mark.parametrize("name", FEW_EDGES)
def test_pictures_of_few_edges_are_not_ruined(name: str) -> None:
    sharp = graphic(name)
    photo = reduced(sharp, 4)
    result = upscale(photo, network())
    assert result.kernel_confidence is not None
    assert result.kernel_confidence < 1
    assert result.kernel_width_px < result.kernel_estimated_px
    least = min(psnr_db(bicubic(photo, 4), sharp) - HARMLESS_DB, UNSEEN_DB)
    assert psnr_db(collect(result, BYTES), sharp) > least


@pytest.mark.parametrize("name", EQUAL_BRIGHTNESS)
def test_edges_between_equally_bright_colours_are_seen(name: str) -> None:
    sharp = graphic(name)
    photo = reduced(sharp, 4)
    result = upscale(photo, network())
    assert result.kernel_width_px < 2.1
    assert psnr_db(collect(result, BYTES), sharp) > psnr_db(bicubic(photo, 4), sharp) - HARMLESS_DB


@pytest.mark.parametrize(("name", "scale"), [("dcls-light-x2", 2), ("dcls-light-x3", 3)])
@pytest.mark.parametrize("picture", ["flags-france", "logos-15"])
def test_other_scales_are_not_ruined_either(name: str, scale: int, picture: str) -> None:
    sharp = graphic(picture)
    photo = reduced(sharp, scale)
    restored = collect(upscale(photo, network(name)), BYTES)
    assert psnr_db(restored, sharp) > psnr_db(bicubic(photo, scale), sharp) - HARMLESS_DB


@pytest.mark.parametrize("sigma", [0.0, 0.8, 1.6, 2.4, 3.2])
@pytest.mark.parametrize("name", ["dcls-light-x4", "dcls-photo-x4"])
def test_the_blur_of_a_photograph_is_believed(name: str, sigma: float) -> None:
    photo = dog(sigma, 4)
    found = find_blur(photo.colour, network(name), tiled=False)
    assert found.confidence == 1
    assert found.warning is None
    estimate = network(name).estimate(photo.colour, tiled=False)
    np.testing.assert_array_equal(found.blur.kernel, estimate.kernel)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 30, 90)])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (64, 64)])
def test_a_flat_picture_has_no_blur_and_stays_flat(
    size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    photo = from_array(np.full((*size, 3), colour, np.uint8))
    result = upscale(photo, network())
    assert result.kernel_confidence == 0
    assert result.kernel_width_px < 1.1
    assert np.abs(collect(result, BYTES).astype(int) - colour).max() <= 2


def test_what_is_believed_does_not_depend_on_tiles() -> None:
    sharp = np.tile(graphic("flags-hungary"), (2, 2, 1))
    photo = reduced(sharp, 4)
    whole, tiled = upscale(photo, network(), tile=0), upscale(photo, network(), tile=64)
    np.testing.assert_array_equal(whole.kernel, tiled.kernel)
    assert whole.kernel_confidence == tiled.kernel_confidence
    assert psnr_db(collect(tiled, BYTES), collect(whole, BYTES).astype(float)) > 55


@pytest.mark.parametrize("name", ["flags-france", "logos-15", "flags-armenia"])
def test_both_engines_believe_the_same(name: str) -> None:
    photo = reduced(graphic(name), 4)
    torch, onnx = (
        find_blur(photo.colour, network(engine=engine), tiled=False) for engine in ("torch", "onnx")
    )
    assert torch.confidence == onnx.confidence
    assert torch.oscillation == pytest.approx(onnx.oscillation, rel=1e-2)
    np.testing.assert_allclose(torch.blur.kernel, onnx.blur.kernel, atol=1e-4)


def test_a_known_kernel_is_used_as_it_is_with_a_warning_where_it_makes_stripes() -> None:
    offset = np.arange(21) - 10
    gaussian = np.exp(-(offset**2) / (2 * 3.0**2))
    kernel = np.outer(gaussian, gaussian).astype(np.float32)
    kernel /= kernel.sum()
    said: list[str] = []
    flag = reduced(graphic("flags-france"), 4)
    result = upscale(flag, network(), kernel=kernel, warn=said.append)
    np.testing.assert_array_equal(result.kernel, kernel)
    assert result.kernel_confidence is None
    assert said == [
        "this kernel makes stripes in the photo; one that is narrower may suit it better"
    ]
    said.clear()
    upscale(dog(3.0, 4), network(), kernel=kernel, warn=said.append)
    assert said == []


def test_the_message_has_both_widths() -> None:
    said: list[str] = []
    result = upscale(reduced(graphic("flags-france"), 4), network(), warn=said.append)
    estimated, used = result.kernel_estimated_px, result.kernel_width_px
    assert said == [f"blur uncertain: {estimated:.1f} px estimated, {used:.1f} px used"]


def test_one_blur_for_all_tiles_where_it_is_not_seen() -> None:
    photo = reduced(np.tile(graphic("flags-france"), (2, 2, 1)), 4)
    field = upscale(photo, network(), kernel_mode="tile", tile=64)
    one = upscale(photo, network(), tile=64)
    np.testing.assert_array_equal(collect(field, BYTES), collect(one, BYTES))


@pytest.mark.parametrize("name", [item.name for item in RELEASES])
def test_every_network_knows_a_picture_without_blur(name: str) -> None:
    backend = network(name)
    width = kernel_width_px(narrow_blur(backend).kernel) / backend.config.scale
    assert width < 0.28  # of an LR pixel: nothing is inverted but the reduction


def test_the_reference_is_always_the_same() -> None:
    levels = np.rint(reference(4)[0] * 255).astype(np.uint8)
    digest = hashlib.sha256(levels.tobytes()).hexdigest()
    assert digest.startswith("8806910c79926cf7")


@pytest.mark.parametrize("column", [20, 67, 72, 80, 100, 115])
def test_a_single_blurred_edge_is_seen_wherever_it_is(column: int) -> None:
    """Not only where a window of the sample happens to have it in its middle."""
    from math import erf

    edge = np.array([erf((x - column) / 0.6 / 2**0.5) for x in range(135)]) / 2 + 0.5
    levels = np.rint(40 + 170 * np.broadcast_to(edge[None, :, None], (201, 135, 3))).astype(
        np.uint8
    )
    found = find_blur(from_array(levels).colour, network(), tiled=False)
    assert found.confidence is not None
    assert found.confidence > 0
