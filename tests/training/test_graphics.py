"""Drawn training images: reproducible, of all kinds, sharp, and usable as training images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.errors import TrainingError
from dcls_cli.training.graphics import KINDS, draw_graphic, draw_graphics, palette
from dcls_cli.training.images import ImageStore

SIDE = 160


def drawn(index: int, seed: int = 0) -> np.ndarray:
    return np.asarray(draw_graphic(index, seed, SIDE))


def test_a_picture_depends_on_its_number_and_the_seed_alone(tmp_path: Path) -> None:
    few = draw_graphics(tmp_path / "few", count=2, seed=3, side=SIDE)
    many = draw_graphics(tmp_path / "many", count=4, seed=3, side=SIDE)
    assert [path.name for path in few] == ["0000-page.png", "0001-flags.png"]
    for one, other in zip(few, many, strict=False):
        assert one.read_bytes() == other.read_bytes()
    assert not np.array_equal(drawn(0), drawn(0, seed=1))
    assert not np.array_equal(drawn(0), drawn(len(KINDS)))


@pytest.mark.parametrize("index", range(len(KINDS)))
def test_each_kind_is_sharp_and_fills_its_picture(index: int) -> None:
    image = drawn(index).astype(float)
    assert image.shape == (SIDE, SIDE, 3)
    # Edges: neighbours that differ by more than 40 levels in a channel.
    steps = max(np.abs(np.diff(image, axis=axis)).max() for axis in (0, 1))
    assert steps > 40
    quarters = [half for rows in np.split(image, 2) for half in np.split(rows, 2, 1)]
    assert sum(quarter.std() > 2 for quarter in quarters) >= 3


def test_colours_are_equally_bright_where_they_should_be() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        first, second = palette.equally_bright(random)
        assert abs(palette.luma(first) - palette.luma(second)) < 2
        assert np.abs(np.subtract(first, second)).max() > 20


def test_ink_is_told_from_paper() -> None:
    random = np.random.default_rng(6)
    for _ in range(200):
        paper, ink = palette.pair(random)
        assert abs(palette.luma(paper) - palette.luma(ink)) > 60


def test_a_run_can_train_on_them(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    draw_graphics(tmp_path, 3, 1, SIDE, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    store, skipped = ImageStore.load([tmp_path], SIDE, torch.device("cpu"))
    assert store.files == 3 and not skipped
    with Image.open(next(iter(sorted(tmp_path.iterdir())))) as first:
        assert np.array_equal(np.asarray(first).reshape(-1, 3), store.pixels[: SIDE**2].numpy())


def test_refuses_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="at least 128 pixels a side, got 60"):
        draw_graphics(tmp_path, 1, side=60)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TrainingError, match="cannot be written"):
        draw_graphics(tmp_path / "file", 1, side=SIDE)
