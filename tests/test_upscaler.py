"""The Python interface gives back what it was given, larger."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dcls_cli
from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.errors import BackendError, DclsError, ImageError, UsageError, WeightsError
from dcls_cli.jobs.events import Event
from dcls_cli.jobs.pool import threads_are_left
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.upscaler import Upscaler, upscale_file, upscale_files

CONFIG = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    weights.write(DCLS(CONFIG), path)
    return path


@pytest.fixture(scope="module")
def upscaler(file: Path) -> Upscaler:
    return Upscaler.from_pretrained(file, device="cpu", precision="fp32")


def samples(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (
        rng.random((shape[0] // 4 + 1, shape[1] // 4 + 1, *shape[2:]))
        .repeat(4, 0)
        .repeat(4, 1)[: shape[0], : shape[1]]
    )


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((12, 9), "uint16"),
        ((12, 9, 1), "float16"),
        ((12, 9, 2), "float64"),
        ((12, 9, 3), "uint8"),
        ((12, 9, 4), "float32"),
    ],
)
def test_arrays_keep_dtype_and_layout(
    upscaler: Upscaler, shape: tuple[int, ...], dtype: str
) -> None:
    white = np.iinfo(dtype).max if dtype.startswith("u") else 1
    exact = samples(shape)
    result = upscaler.up((exact * white).astype(dtype))
    assert result.image.dtype == dtype
    assert result.image.shape == (24, 18, *shape[2:])
    as_float = upscaler.up(exact).image
    np.testing.assert_allclose(result.image / white, as_float, atol=0.02)


def test_eight_bit_arrays_are_rounded_and_not_truncated(upscaler: Upscaler) -> None:
    array = (samples((12, 9, 3)) * 255).astype(np.uint8)
    exact = upscaler.up(array / 255).image
    got = upscaler.up(array).image
    assert np.abs(got - exact * 255).max() <= 0.51


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pillow_images_keep_their_mode(upscaler: Upscaler, mode: str) -> None:
    channels = len(mode)
    array = (samples((12, 9, channels)) * 255).astype(np.uint8)
    image = Image.fromarray(array[..., 0] if channels == 1 else array)
    assert image.mode == mode
    image.info["icc_profile"] = b""
    result = upscaler.up(image)
    assert (result.image.mode, result.image.size) == (mode, (18, 24))
    np.testing.assert_array_equal(
        np.asarray(result.image).reshape(24, 18, channels), upscaler.up(array).image
    )


def test_sixteen_bit_grey_stays_sixteen_bit(upscaler: Upscaler) -> None:
    array = (samples((12, 9)) * 65535).astype(np.uint16)
    result = upscaler.up(Image.fromarray(array))
    assert result.image.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(result.image), upscaler.up(array).image)


def test_the_kernel_is_in_the_result(upscaler: Upscaler) -> None:
    result = upscaler.up(samples((12, 9, 3)).astype(np.float32))
    assert result.kernel.shape == (21, 21)
    assert result.kernel.sum() == pytest.approx(1, abs=1e-4)
    assert result.kernel_width_px >= 0
    assert result.kernel_space == "hr"
    assert upscaler.scale == 2


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        np.full((4, 4, 3), 2.0),
        np.full((4, 4, 3), np.nan),
    ],
)
def test_what_is_no_picture_is_refused(upscaler: Upscaler, array: np.ndarray) -> None:
    with pytest.raises(ImageError):
        upscaler.up(array)


def test_names_and_files_are_told_apart(file: Path, tmp_path: Path) -> None:
    assert Upscaler.from_pretrained(str(file), device="cpu").scale == 2
    with pytest.raises(UsageError, match="choose from"):
        Upscaler.from_pretrained("dcls-none")
    with pytest.raises(WeightsError, match="no such weight file"):
        Upscaler.from_pretrained(str(tmp_path / "none.safetensors"))
    assert dcls_cli.Upscaler is Upscaler


@pytest.mark.parametrize("given", [None, [], [[1, 2]], 3, "a", b"png"])
def test_what_is_no_picture_at_all_is_refused(
    upscaler: Upscaler, given: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DclsError, match="no such file" if given == "a" else "expected a path"):
        upscaler.up(given)


@pytest.mark.parametrize("dtype", [complex, object, bool, "int32", "datetime64[s]"])
def test_arrays_of_other_numbers_are_refused(upscaler: Upscaler, dtype: object) -> None:
    with pytest.raises(ImageError, match="expected an array of uint8, uint16 or floats"):
        upscaler.up(np.zeros((4, 4, 3), dtype))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
def test_tensors_keep_type_and_layout(upscaler: Upscaler, dtype: torch.dtype) -> None:
    white = 255 if dtype == torch.uint8 else 1
    exact = torch.from_numpy(samples((12, 9, 3))).permute(2, 0, 1)
    given = (exact * white).round().to(dtype) if white > 1 else exact.to(dtype)
    result = upscaler.up(given)
    assert (result.image.dtype, result.image.shape) == (dtype, (3, 24, 18))
    array = upscaler.up(given.permute(1, 2, 0).float().numpy() / white).image
    got = result.image.permute(1, 2, 0).float().numpy() / white
    np.testing.assert_allclose(got, array, atol=0.005)


def test_a_batch_of_tensors_is_restored_picture_by_picture(upscaler: Upscaler) -> None:
    pictures = torch.from_numpy(np.stack([samples((12, 9, 3)), samples((12, 9, 3))[::-1]]))
    pictures = pictures.permute(0, 3, 1, 2).float()
    result = upscaler.up(pictures)
    assert result.image.shape == (2, 3, 24, 18)
    assert result.kernel.shape == (2, 21, 21)
    for picture, single, image in zip(pictures, result.each, result.image, strict=True):
        alone = upscaler.up(picture)
        torch.testing.assert_close(image, alone.image)
        np.testing.assert_array_equal(single.kernel, alone.kernel)
    for wrong in (pictures[:, :2], pictures[0, 0], pictures.to(torch.int32)):
        with pytest.raises(ImageError, match="expected a tensor"):
            upscaler.up(wrong)


def test_a_path_becomes_a_pillow_image(upscaler: Upscaler, tmp_path: Path) -> None:
    image = Image.fromarray((samples((12, 9, 3)) * 255).astype(np.uint8))
    image.save(tmp_path / "a.png")
    expected = np.asarray(upscaler.up(image).image)
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_array_equal(np.asarray(upscaler.up(path).image), expected)


def test_results_say_what_made_them_in_one_line(upscaler: Upscaler) -> None:
    result = upscaler.up(samples((12, 9, 3)))
    assert (result.model, result.reason) == ("w", None)
    assert (result.device, result.precision, result.noise) == ("cpu", "fp32", None)
    assert 0 < result.seconds < 60
    assert re.fullmatch(
        r"Result\(ndarray 24x18x3, w, cpu fp32, \d+\.\d s, blur \d+\.\d\d hr px\)", repr(result)
    )


def test_a_scale_below_that_of_the_weights_is_reduced(file: Path, upscaler: Upscaler) -> None:
    array = samples((12, 9, 3))
    reduced = Upscaler.from_pretrained(file, scale=1.5, device="cpu", precision="fp32")
    assert (reduced.scale, upscaler.scale) == (1.5, 2)
    assert reduced.up(array).image.shape == (18, 14, 3)
    with pytest.raises(UsageError, match="up-scales x2"):
        Upscaler.from_pretrained(file, scale=3)
    with pytest.raises(BackendError):
        Upscaler.from_pretrained(file, device="cuda:7")
    with pytest.raises(UsageError, match="scale 9"):
        Upscaler.from_pretrained(scale=9)


def test_by_default_the_picture_decides_on_the_network() -> None:
    upscaler = Upscaler.from_pretrained(device="cpu", precision="fp32")
    drawing = np.full((48, 48, 3), 255, np.uint8)
    drawing[12:36, 12:36] = (200, 30, 30)
    clean = upscaler.up(drawing)
    assert (clean.model, clean.image.shape) == ("dcls-light-x4", (192, 192, 3))
    rng = np.random.default_rng(3)
    noisy = (drawing + rng.normal(0, 12, drawing.shape)).clip(0, 255).astype(np.uint8)
    result = upscaler.up(noisy)
    assert result.model == "dcls-photo-x4"
    assert result.reason is not None
    assert "noise" in result.reason
    assert result.noise is not None


def test_a_file_becomes_what_the_command_makes(tmp_path: Path, file: Path) -> None:
    photo = tmp_path / "photo.jpg"
    image = Image.fromarray((samples((24, 32, 3)) * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x010E] = "a caption"
    image.save(photo, exif=exif, quality=90)
    events: list[object] = []
    outcome = upscale_file(photo, device="cpu", weights=file, on_event=events.append)
    assert outcome.output == tmp_path / "photo_x2.jpg"
    assert (outcome.width, outcome.height, outcome.model) == (64, 48, "w")
    assert outcome.taps.shape == (21, 21)
    assert run(["upscale", str(photo), "-w", str(file), "-d", "cpu", "-o", f"{tmp_path}/b/"]) == 0
    assert outcome.output.read_bytes() == (tmp_path / "b" / "photo_x2.jpg").read_bytes()
    assert Image.open(outcome.output).getexif()[0x010E] == "a caption"
    kinds = [type(event).__name__ for event in events]
    assert (kinds[0], kinds[-1]) == ("Started", "Finished")
    assert "Stepped" in kinds
    with pytest.raises(ImageError, match="exists already"):
        upscale_file(photo, device="cpu", weights=file)
    with pytest.raises(ImageError, match="no such file"):
        upscale_file(tmp_path / "none.jpg", weights=file)
    with pytest.raises(UsageError, match="scale 5 is not available"):
        upscale_file(photo, scale=5)


def test_files_are_restored_as_by_the_command_and_resumed(tmp_path: Path, file: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    image = Image.fromarray((samples((12, 9, 3)) * 255).astype(np.uint8))
    for name in ("a.png", "sub/b.png", "c.png"):
        image.save(tmp_path / "in" / name)
    (tmp_path / "in" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    options: dict[str, Any] = {"weights": file, "devices": ("cpu",)}
    made: list[Path] = []
    with pytest.raises(ImageError, match=r"c\.png"):
        for outcome in upscale_files(tmp_path / "in", **options):
            made.append(outcome.output.relative_to(tmp_path))  # noqa: PERF401 - it raises
    assert sorted(made) == [Path("in_x2/a_x2.png"), Path("in_x2/sub/b_x2.png")]
    events: list[Event] = []
    again = upscale_files(tmp_path / "in", raise_errors=False, on_event=events.append, **options)
    assert list(again) == []
    assert sorted(type(event).__name__ for event in events) == ["Failed", "Skipped", "Skipped"]
    with pytest.raises(UsageError, match="no such file or folder"):
        upscale_files(tmp_path / "none", tmp_path / "out", **options)
    with pytest.raises(UsageError, match="no inputs"):
        upscale_files([], tmp_path / "out", **options)


def test_an_iterator_that_is_closed_ends_its_threads(tmp_path: Path, file: Path) -> None:
    image = Image.fromarray((samples((40, 40, 3)) * 255).astype(np.uint8))
    for number in range(12):
        image.save(tmp_path / f"{number}.png")
    outcomes = upscale_files([tmp_path], tmp_path / "out", weights=file, devices=("cpu",))
    first = next(outcomes)
    assert first.output.exists()
    outcomes.close()  # type: ignore[attr-defined]
    assert not threads_are_left()
    assert not list((tmp_path / "out").glob(".*.dcls-tmp"))


def test_the_examples_of_the_guide_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[1] / "docs" / "guide-engineer.md"
    (example,) = re.findall(
        r"```python\n(.*?upscale_files.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "photos").mkdir()
    image = Image.fromarray((samples((24, 20, 3)) * 255).astype(np.uint8))
    for name in ("photo.jpg", "photos/a.png"):
        image.save(tmp_path / name)
    exec(example, {})  # noqa: S102 - our own page
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("photo_x2.jpg dcls-")
    assert out[1] == "large/a_x4.png"
    assert out[2].startswith("Result(Image 80x96, dcls-light-x4, ")
    assert Image.open("photo_x2.jpg").size == (40, 48)
    assert Image.open("photo_large.png").size == (80, 96)
