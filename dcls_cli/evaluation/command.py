"""What `dcls upscale` makes of a picture: the choice of the network and all that follows it."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np

from dcls_cli.backends import Backend
from dcls_cli.choice import choose
from dcls_cli.evaluation.kernel_metrics import Estimate
from dcls_cli.evaluation.methods import Restored
from dcls_cli.image import Photo, decode, from_array
from dcls_cli.image.photo import Picture, collect
from dcls_cli.image.resizing import Resized
from dcls_cli.upscaling import upscale


class Command:
    """`dcls upscale` with one network, or with `-m auto` where there are several."""

    def __init__(self, backends: Sequence[Backend], names: Sequence[str]) -> None:
        """`names` are those of the releases, by which the rule chooses."""
        self._backends = dict(zip(names, backends, strict=True))
        self._first = backends[0]

    def restore(self, lr: np.ndarray, file: bytes | None = None) -> Restored:
        """Read the file, or take the pixels for a PNG, and restore them to 8 bits."""
        photo = _photo(lr) if file is None else decode(BytesIO(file))
        backend = self._first
        scale = backend.config.scale
        if len(self._backends) > 1:
            backend = self._backends[choose(photo, scale).model]
        upscaled = upscale(photo, backend)
        picture: Picture = upscaled
        if backend.config.scale != scale:
            picture = Resized(upscaled, photo.width * scale, photo.height * scale)
        levels = collect(picture, np.dtype(np.uint8))
        colours = levels[..., :1] if photo.grey else levels[..., :3]
        sr = np.broadcast_to(colours, (*levels.shape[:2], 3)).transpose(2, 0, 1) / 255
        return Restored(sr, Estimate(upscaled.kernel, upscaled.kernel_space))


def _photo(lr: np.ndarray) -> Photo:
    """(3, h, w) in [0, 1] in 8 bits."""
    levels = np.rint(np.clip(lr, 0, 1) * 255).astype(np.uint8)
    return from_array(np.ascontiguousarray(levels.transpose(1, 2, 0)))
