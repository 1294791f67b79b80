"""Which LR image belongs to which original: never one of several, never one twice."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.errors import ImageError
from dcls_cli.evaluation.benchmarks import find_items
from dcls_cli.evaluation.samples import distinct_names


def folders(root: Path, hr: str, lr: str) -> tuple[Path, Path]:
    """Two folders of files of these names, with nothing in them."""
    for folder, names in (("hr", hr), ("lr", lr)):
        (root / folder).mkdir(parents=True)
        for name in names.split():
            (root / folder / name).touch()
    return root / "hr", root / "lr"


@pytest.mark.parametrize(
    ("hr", "lr", "expected"),
    [
        ("a.png", "a.jpg a.png a.webp", "a.png"),  # the very name, wherever it stands in the order
        ("a.webp", "a.jpg a.png a.webp ax4.webp", "a.webp"),
        ("a.png", "a.jpg b.png", "a.jpg"),
        ("a.png", "ax4.png b.png", "ax4.png"),
        ("a_HR.png", "a_LR.png", "a_LR.png"),
        ("a.png a.jpg", "a.jpg a.png", "a.jpg a.png"),
        ("a.png a.jpg", "a.jpgx4.png a.pngx4.png", "a.jpgx4.png a.pngx4.png"),
        ("a.png", "a.png ._a.png .DS_Store .a.jpg", "a.png"),
    ],
)
def test_the_very_name_first_then_the_only_one_named_after_it(
    tmp_path: Path, hr: str, lr: str, expected: str
) -> None:
    items = find_items("pairs", 4, *folders(tmp_path, hr, lr))
    assert [item.lr.name for item in items if item.lr] == expected.split()
    assert [item.hr.name for item in items] == sorted(hr.split())


@pytest.mark.parametrize(
    ("hr", "lr", "message"),
    [
        ("a.png", "a.jpg a.webp", r"several LR images for a\.png: a\.jpg, a\.webp; leave one"),
        ("a.png", "a.jpg ax4.png", r"several LR images for a\.png: a\.jpg, ax4\.png"),
        ("a.jpg a.png", "a.png", r"a\.png: fits two originals, a\.jpg and a\.png"),
        ("a.png ax4.png", "ax4.png ax4x4.png", r"ax4\.png: fits two originals, a\.png and ax4\.p"),
        ("a.png", "b.png", r"no LR image for a\.png; looked for a, ax4, a\.pngx4, a_LR"),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(
    tmp_path: Path, hr: str, lr: str, message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        find_items("pairs", 4, *folders(tmp_path, hr, lr))


def test_the_command_says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hr, lr = folders(tmp_path, "a.png", "a.jpg a.webp")
    assert run(["eval", "--benchmark", "pairs", "--hr", str(hr), "--lr", str(lr)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert "a.jpg, a.webp" in line


@pytest.mark.parametrize(
    ("folder", "name", "message"),
    [
        ("gt", "img_1_copy.png", r"img_1_gt\.png: has the number of img_1_copy\.png"),
        ("lr_x2", "im_01.png", r"im_1\.png: has the number of im_01\.png"),
        ("gt_k_x2", "kernel_01.mat", r"kernel_1\.mat: has the number of kernel_01\.mat"),
        ("gt", "picture.png", r"picture\.png: the name has no number"),
    ],
)
def test_two_files_of_one_number_are_refused(
    tmp_path: Path, folder: str, name: str, message: str
) -> None:
    for path in ("gt/img_1_gt.png", "lr_x2/im_1.png", "gt_k_x2/kernel_1.mat", f"{folder}/{name}"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    with pytest.raises(ImageError, match=message):
        find_items("div2krk", 2, None, None, tmp_path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.png", "b.jpg"], ["a", "b"]),
        (["a.png", "a.jpg", "b.png"], ["a.png", "a.jpg", "b.png"]),
        (["a.png", "a.jpg", "a.png.webp"], ["a.png", "a.jpg", "a.png.webp"]),
    ],
)
def test_files_named_after_images_never_share_a_name(names: list[str], expected: list[str]) -> None:
    assert distinct_names(names) == expected


def test_images_of_one_stem_leave_a_file_each(tmp_path: Path) -> None:
    """LR images that `--out` writes of `a.png` and `a.jpg`, which `pairs` finds again."""
    hr = tmp_path / "hr"
    hr.mkdir()
    for seed, name in enumerate(("a.png", "a.bmp")):
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(hr / name)
    out = tmp_path / "out"
    options = ["--hr", str(hr), "-s", "2", "-m", "dcls-light-x2", "-d", "cpu", "-j", "1"]
    assert run(["eval", "--benchmark", "div2krk-like", "--out", str(out), *options]) == 0
    assert sorted(path.name for path in (out / "lr").iterdir()) == ["a.bmpx2.png", "a.pngx2.png"]
    items = find_items("pairs", 2, hr, out / "lr")
    assert [item.lr.name for item in items if item.lr] == ["a.bmpx2.png", "a.pngx2.png"]
