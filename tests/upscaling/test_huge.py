"""100 megapixels become 1.6 gigapixels in bounded memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dcls_cli.machine import free_memory_bytes

SIDE = 10_000

#: Reads a photo, restores it with a stub of a network, and writes it, all through the real path.
CHILD = """
import json, resource, sys
from pathlib import Path
import numpy as np
from dcls_cli.backends import Blur, Memory
from dcls_cli.config import ModelConfig
from dcls_cli.image import read, write
from dcls_cli.upscaling import upscale

class Stub:
    config, device, precision, lanes, batch_px = ModelConfig.light(4), "none", "fp32", 1, 0
    def take_notes(self):
        return []
    def memory(self):
        return Memory(2**33, 2000)
    def estimate(self, lr, **options):
        for top in range(0, lr.shape[1], 512):
            lr[:, top : top + 512, 0 : lr.shape[2]]
        return Blur(np.ones((1, 1), np.float32))
    def restore(self, lr, blur):
        return lr.repeat(4, axis=2).repeat(4, axis=3)

photo = read(Path(sys.argv[1]))
write(upscale(photo, Stub()), Path(sys.argv[2]), overwrite=False)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"peak": peak * 1024}))
"""


@pytest.mark.slow
@pytest.mark.skipif(free_memory_bytes() < 6e9, reason="needs 6 GB of free memory")
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_hundred_megapixels_take_less_than_4_gb(suffix: str, tmp_path: Path) -> None:
    # Flat stripes, so that the test takes minutes of compression less than a photo.
    row = np.arange(SIDE, dtype=np.uint32)
    stripes = ((row[:, None] // 100 + row[None] // 50) % 251).astype(np.uint8)
    source, output = tmp_path / "photo.ppm.png", tmp_path / f"out{suffix}"
    from dcls_cli.image import Photo, write

    write(Photo.from_samples(np.stack([stripes] * 3, axis=2), 255, 8), source, overwrite=False)
    command = [sys.executable, "-c", CHILD, str(source), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout)
    print(suffix, memory, output.stat().st_size)  # noqa: T201 - for the record
    assert memory["peak"] < 4e9  # with the program, the photo and its result: 40 bytes a pixel
    _check_samples(output, stripes)


def _check_samples(output: Path, stripes: np.ndarray) -> None:
    """A row of the TIFF where strips meet, or all of the PNG's stream, is as it should be."""
    import tifffile

    if output.suffix == ".tif":
        with tifffile.TiffFile(output) as file:
            page = file.pages[0]
            assert file.is_bigtiff
            assert page.shape == (4 * SIDE, 4 * SIDE, 3)
            strip = page.dataoffsets[-1], page.databytecounts[-1]
            with output.open("rb") as raw:
                raw.seek(strip[0])
                rows, _, _ = page.decode(raw.read(strip[1]), len(page.dataoffsets) - 1)
            assert np.array_equal(rows[0, -1, ::4, 0], stripes[-1])
        return
    import zlib

    from PIL import Image, PngImagePlugin

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(output) as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.size == (4 * SIDE, 4 * SIDE)
    inflate, size = zlib.decompressobj(), 0
    with output.open("rb") as file:  # the checksum at the end is over all samples
        file.seek(8)
        while header := file.read(8):
            data = file.read(int.from_bytes(header[:4], "big"))
            file.seek(4, 1)
            if header[4:] == b"IDAT":
                size += len(inflate.decompress(data))
    assert inflate.eof
    assert size == 4 * SIDE * (4 * SIDE * 3 + 1)
