"""Published figures are found by benchmark, scale and set, and by no other."""

from pathlib import Path

import pytest

from dcls_cli.evaluation.published import data_set_of, published


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Set5/x4/HR", "Set5"),
        ("data/set14", "Set14"),
        ("B100/HR", "BSD100"),
        ("Set5/copies/Urban100", "Urban100"),
        ("photos", None),
        ("Set55", None),
    ],
)
def test_sets_are_known_by_the_name_of_their_folder(folder: str, name: str | None) -> None:
    assert data_set_of(Path(folder)) == name


def test_the_paper_s_row() -> None:
    rows = {row.method: row for row in published("gaussian8", 4, "Set5")}
    assert rows["DCLS (paper)"].psnr_y == 32.12
    assert rows["DCLS (paper)"].parameters_m == 13.63
    assert {row.method: row.psnr_y for row in published("gaussian8", 4, "Manga109")}["IKC"] == 28.91
    assert [row.psnr_y for row in published("gaussian8", 2, "Set14")] == [33.46]
    assert [row.psnr_y for row in published("gaussian8", 3, "Urban100")] == [28.03]
    assert [row.psnr_y for row in published("gaussian8-noise30", 4, "Set5")] == [25.49]


def test_rows_ascend() -> None:
    figures = [row.psnr_y for row in published("gaussian8", 4, "Urban100")]
    assert figures == sorted(figures)
    assert len(figures) == 8


def test_div2krk_has_figures_of_its_own_and_its_substitute_none() -> None:
    assert {row.ssim_y for row in published("div2krk", 4, None)} == {0.7946}
    assert published("div2krk-like", 4, "Set5") == ()


def test_what_nobody_has_published() -> None:
    assert published("gaussian8", 4, None) == ()
    assert published("photo", 4, "Set5") == ()
    assert published("gaussian8-noise15", 4, "Set14") == ()
    assert published("gaussian8-noise15", 2, "Set5") == ()
