"""The mean over the eight symmetries of a square: `--tta`.

A network is not quite the same for a photo and for its mirror image, so that the mean of the
results, turned back, has less of the errors of each. Blur, smoothing filters and noise are those
of the turned photo.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dcls_cli.backends import Backend, Blur, PassedOn, Raster
from dcls_cli.errors import UsageError


@dataclass(frozen=True)
class Symmetry:
    """Reversing rows, columns or both, then perhaps exchanging them."""

    upside_down: bool
    mirrored: bool
    transposed: bool

    def of(self, image: np.ndarray) -> np.ndarray:
        """Apply to the last two axes, which change places where it transposes."""
        turned = image[..., :: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        return np.ascontiguousarray(turned.swapaxes(-2, -1) if self.transposed else turned)

    def back(self, image: np.ndarray) -> np.ndarray:
        """The inverse of `of`."""
        straight = image.swapaxes(-2, -1) if self.transposed else image
        return straight[..., :: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]


def symmetries() -> Iterator[Symmetry]:
    """All eight, the identity first."""
    for bits in range(8):
        yield Symmetry(bool(bits & 1), bool(bits & 2), bool(bits & 4))


class Turned:
    """A `Raster` seen through a symmetry."""

    def __init__(self, photo: Raster, symmetry: Symmetry) -> None:
        """Read windows of a photo when they are asked for."""
        self._photo = photo
        self._symmetry = symmetry

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, H, W) as turned."""
        channels, height, width = self._photo.shape
        return (channels, width, height) if self._symmetry.transposed else self._photo.shape

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        """See `Raster`."""
        channels, *sides = index
        if self._symmetry.transposed:
            sides.reverse()
        _, height, width = self._photo.shape
        rows = _from_end(sides[0], height, reverse=self._symmetry.upside_down)
        columns = _from_end(sides[1], width, reverse=self._symmetry.mirrored)
        return self._symmetry.of(self._photo[channels, rows, columns])


def _from_end(part: slice, length: int, *, reverse: bool) -> slice:
    start, stop, _ = part.indices(length)
    return slice(length - stop, length - start) if reverse else slice(start, stop)


class Averaged(PassedOn):
    """A `Backend` that restores the colours of one photo eight times."""

    def __init__(self, backend: Backend, photo: Raster, blur: Blur, *, certain: bool) -> None:
        """Estimate what the turned photos need.

        Args:
            backend: the network.
            photo: the colours.
            blur: of the photo. Others, as of its alpha channel, are restored once.
            certain: whether `blur` is the photo's own, not one that stands in for it.

        Raises:
            DclsError: an estimate is not finite.
        """
        super().__init__(backend)
        self._kernel = blur.kernel
        self._blurs = {}
        for symmetry in symmetries():
            kernel = symmetry.of(blur.kernel)
            # The filters of a blur that stands in do not come from the photo.
            self._blurs[symmetry] = (
                backend.estimate(Turned(photo, symmetry), tiled=True, kernel=kernel)
                if certain
                else replace(blur, kernel=kernel)
            )

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """See `Backend.restore`."""
        if blur.kernel is not self._kernel:
            return super().restore(lr, blur)
        results = (
            symmetry.back(super(Averaged, self).restore(symmetry.of(lr), turned))
            for symmetry, turned in self._blurs.items()
        )
        return np.asarray(sum(results) / len(self._blurs), np.float32)


def check_symmetries(*, local: bool) -> None:
    """Refuse what has no one blur to turn.

    Raises:
        UsageError: the photo has a blur for each tile.
    """
    if local:
        raise UsageError("--tta turns one blur of the whole photo; leave out --kernel-mode tile")
