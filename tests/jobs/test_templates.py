"""Names of outputs follow the template and the content, and are file names."""

from pathlib import Path

import pytest
from PIL import Image

from dcls_cli.errors import UsageError
from dcls_cli.image.resizing import OutputSize
from dcls_cli.jobs.naming import Naming


def named(
    photo: Path,
    template: str = "{stem}_{size}",
    size: OutputSize = OutputSize(factor=4),  # noqa: B008 - it is frozen
    **options: str | None,
) -> str:
    return Naming(template=template, size=size, **options).name(photo)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.png", "PNG", "a_x4.png"),
        ("a.PNG", "PNG", "a_x4.PNG"),
        ("a.jpeg", "JPEG", "a_x4.jpeg"),
        ("a.tif", "TIFF", "a_x4.tif"),
        ("a.jpg", "PNG", "a_x4.png"),
        ("a", "JPEG", "a_x4.jpg"),
        ("a.b.webp", "WEBP", "a.b_x4.webp"),
        ("a.gif", "GIF", "a_x4.png"),
        ("a.bmp", "BMP", "a_x4.png"),
        ("a.avif", "AVIF", "a_x4.avif"),
    ],
)
def test_the_content_decides_on_the_suffix(
    tmp_path: Path, name: str, content: str, expected: str
) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / name, content)
    assert named(tmp_path / name) == expected


def test_fields_and_formats() -> None:
    photo = Path("folder/a.jpg")
    assert named(photo, format="png") == "a_x4.png"
    assert named(photo, "{stem}.{ext}.{model}", format="tiff", model="m") == "a.tif.m"
    assert named(photo, "{stem}-{scale}", format="png") == "a-4.png"
    assert named(photo, "{{{stem}}}", format="jpg") == "{a}.jpg"
    assert named(photo, "large") == "large.png"
    assert named(Path("{scale}.png"), format="png") == "{scale}_x4.png"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"factor": 1.5}, "a_x1.5.jpg"),
        ({"width": 1920}, "a_w1920.jpg"),
        ({"height": 1080}, "a_h1080.jpg"),
        ({"width": 1920, "height": 1080}, "a_1920x1080.jpg"),
        ({"longest_side": 3840}, "a_max3840.jpg"),
    ],
)
def test_the_default_name_states_the_size(size: dict[str, float], expected: str) -> None:
    wanted = OutputSize(**size)
    assert named(Path("a.jpg"), size=wanted, format="jpg") == expected
    if wanted.in_pixels:
        with pytest.raises(UsageError, match="the size is given in pixels; use {size}"):
            named(Path("a.jpg"), "{stem}_{scale}", size=wanted, format="jpg")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{name}", "unknown field {name}; expected {stem}, {size}, {scale}, {model}, {ext}"),
        ("{}", "unknown field {}"),
        ("{stem.__class__}", "unknown field {stem.__class__}"),
        ("{stem[0]}", "unknown field"),
        ("{stem!r}", "fields have no format"),
        ("{scale:04}", "fields have no format"),
        ("{stem", "expected '}'"),
        ("{model}", "needs a model by -m or -w"),
        ("../{stem}", "'../a.png' is no file name"),
        ("{stem}/{ext}", "'a/png' is no file name"),
    ],
)
def test_templates_that_make_no_names(template: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        named(Path("a.png"), template)
    assert expected in str(caught.value)
