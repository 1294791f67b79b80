"""Measure what reading a photo takes at its peak, for each kind of file: bytes for each pixel.

    python docs/measure_memory.py

Linux only: the peak is the kernel's high-water mark of resident memory, in a process for each file.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from dcls_cli.image import read

WIDTH, HEIGHT = 5000, 4000


def write_all(folder: Path) -> None:
    """Write a picture of 20 megapixels in every format."""
    coarse = np.random.default_rng(0).integers(0, 256, (HEIGHT // 50, WIDTH // 50, 3), np.uint8)
    levels = np.kron(coarse, np.ones((50, 50, 1), np.uint8))
    image = Image.fromarray(levels)
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(levels[..., 0]))
    deep = levels.astype(np.uint16) * 257
    image.convert("L").save(folder / "grey.png", compress_level=1)
    image.save(folder / "rgb.png", compress_level=1)
    alpha.save(folder / "rgba.png", compress_level=1)
    with_alpha = np.dstack([deep, deep[..., :1]])
    (folder / "rgba16.png").write_bytes(imagecodecs.png_encode(with_alpha, level=1))
    image.save(folder / "rgb.jpg")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.save(folder / "rgb.webp", method=0)
    alpha.save(folder / "rgba.webp", lossless=True, method=0)
    image.save(folder / "rgb.avif", speed=10)
    image.convert("P").save(folder / "palette.gif")
    image.save(folder / "rgb.bmp")
    image.save(folder / "rgb.tif")
    image.convert("CMYK").save(folder / "cmyk.tif")
    tifffile.imwrite(folder / "rgb16.tif", deep)
    tifffile.imwrite(folder / "float.tif", (levels / 255).astype(np.float32))


def status_bytes(name: str) -> int:
    """A figure of this process, from the kernel."""
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def main() -> None:
    """Measure all files, or, in a process of its own, one."""
    if len(sys.argv) > 1:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of imports
        before = status_bytes("VmRSS")
        read(Path(sys.argv[1]))
        print(f"{(status_bytes('VmHWM') - before) / (WIDTH * HEIGHT):.1f}")
        return
    with tempfile.TemporaryDirectory() as folder:
        write_all(Path(folder))
        for path in sorted(Path(folder).iterdir()):
            command = [sys.executable, __file__, str(path)]
            taken = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            print(f"{path.name:12} {taken.strip():>5}", flush=True)


if __name__ == "__main__":
    main()
