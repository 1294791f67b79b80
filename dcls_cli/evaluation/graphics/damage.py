"""The pictures made smaller and saved, as they are met on the web."""

import math
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcls_cli.evaluation.graphics.catalogue import draw, random_for
from dcls_cli.evaluation.samples import Sample, fitting

REDUCTIONS = {
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}

#: How the small pictures are saved: None is PNG, a number is the quality of JPEG with 4:2:0.
CODINGS: dict[str, int | None] = {"PNG": None, "JPEG 90": 90, "JPEG 75": 75}


def graphics_sample(name: str, scale: int) -> Sample:
    """Draw a picture, reduce it by the way that its name has drawn, save it in each way.

    Raises:
        KeyError: there is no such picture.
    """
    hr = fitting(name, draw(name), scale)
    small = reduced(hr, reduction_of(name), scale)
    files = tuple(encoded(small, quality) for quality in CODINGS.values())
    return Sample(
        image=name,
        scale=scale,
        hr=hr,
        lr=np.stack([decoded(file) for file in files]),
        sigmas=(math.nan,) * len(files),
        cases=tuple(CODINGS),
        kernels=(None,) * len(files),
        files=files,
        has_ssim=False,
    )


def reduction_of(name: str) -> str:
    """A third of all pictures each; the same at every scale."""
    # Not the stream that draws the picture: that one may be changed by itself.
    choices = list(REDUCTIONS)
    return choices[random_for(f"{name} reduction").randint(len(choices))]


def reduced(hr: NDArray[np.uint8], reduction: str, scale: int) -> NDArray[np.uint8]:
    """Pillow's reduction of 8-bit pictures: (3, H, W) -> (3, H / scale, W / scale)."""
    size = (hr.shape[2] // scale, hr.shape[1] // scale)
    small = _picture(hr).resize(size, REDUCTIONS[reduction])
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def encoded(levels: NDArray[np.uint8], quality: int | None) -> bytes:
    """A file of (3, h, w): PNG, or JPEG of a quality."""
    file = BytesIO()
    if quality is None:
        _picture(levels).save(file, "PNG")
    else:
        _picture(levels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def decoded(file: bytes) -> NDArray[np.uint8]:
    """(3, h, w) of a file."""
    with Image.open(BytesIO(file)) as picture:
        return np.ascontiguousarray(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))


def _picture(levels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
