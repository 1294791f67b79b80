"""A batch of many photos needs no more memory than a short one; disks that fill up anywhere."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faults.programs import Nursery, small_disk
from tests.jobs.files import picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and mounts small disks"),
]

PHOTOS = 500


def resident_kb(pid: int) -> int:
    page_kb = os.sysconf("SC_PAGE_SIZE") // 1024
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page_kb


def test_memory_does_not_grow(tmp_path: Path, x2: Path, nursery: Nursery) -> None:
    for number in range(PHOTOS):
        picture(tmp_path / "in" / f"{number:03}.jpg", (160, 120), seed=number)
    options = ["-o", "out", "-w", x2, "-d", "cpu", "--json"]
    process = nursery.start("batch", "in", *options, cwd=tmp_path)
    samples: list[tuple[int, int]] = []
    while (done := len(list((tmp_path / "out").glob("*.jpg"))) if samples else 0) < PHOTOS - 5:
        process.wait_for("done")
        samples.append((done, resident_kb(process.pid)))
    assert process.wait() == 0
    numbers, sizes = np.array(samples).T
    late = numbers > PHOTOS // 5
    slope, _ = np.polyfit(numbers[late], sizes[late], 1)
    print(f"{slope:.2f} kB a photo, {sizes[late].min()} to {sizes[late].max()} kB")  # noqa: T201
    assert slope < 12  # kB a photo: 6 MB in 500
    assert sizes[late].max() - sizes[late].min() < 40_000


def test_a_disk_that_fills_up_anywhere(tmp_path: Path, x2: Path, nursery: Nursery) -> None:
    rng = np.random.default_rng(0)
    photo = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 256, (360, 360, 3), np.uint8)).save(photo)
    options = ["-w", x2, "-d", "cpu", "-f", "tiff"]
    assert nursery.start("upscale", photo, *options, cwd=tmp_path).wait() == 0
    whole = (tmp_path / "photo_x2.tif").read_bytes()
    full = 0
    with small_disk(tmp_path / "disk", "2m") as disk:
        kept, old, new = disk / "kept.tif", disk / "old.tif", disk / "new.tif"
        for kilobytes in range(0, 2048, 64):
            for path in disk.iterdir():
                path.unlink()
            kept.write_bytes(b"precious")
            old.write_bytes(b"older")
            (disk / "filler").write_bytes(bytes(kilobytes << 10))
            for path, more in ((new, []), (old, ["--overwrite"])):
                run = nursery.start("upscale", photo, "-o", path, *options, *more, cwd=tmp_path)
                code = run.wait()
                content = path.read_bytes() if path.exists() else None
                if code == 0:
                    assert content == whole
                else:
                    full += 1
                    assert code == 1
                    assert "no space left on the disk" in run.err.read_text()
                    assert content == (b"older" if path == old else None)
                new.unlink(missing_ok=True)
            assert kept.read_bytes() == b"precious"
            assert {path.name for path in disk.iterdir()} == {"kept.tif", "old.tif", "filler"}
    print(f"{full} of 64 writes met a full disk")  # noqa: T201
    assert 10 < full < 60
