"""Names of outputs follow the template and the content, and are file names."""

from pathlib import Path

import pytest
from PIL import Image

from dcls_cli.cli.naming import Naming
from dcls_cli.errors import UsageError


def named(photo: Path, template: str = "{stem}_x{scale}", **options: str | None) -> str:
    return Naming(template=template, scale=4, **options).name(photo)


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
    assert named(photo, "{{{stem}}}", format="jpg") == "{a}.jpg"
    assert named(photo, "large") == "large.png"
    assert named(Path("{scale}.png"), format="png") == "{scale}_x4.png"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{name}", "unknown field {name}; expected {stem}, {scale}, {model}, {ext}"),
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
