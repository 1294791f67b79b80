"""A photo becomes a picture that is restored while its rows are read."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dcls_cli.backends import Backend, Blur
from dcls_cli.config import KernelSpace
from dcls_cli.errors import OutOfMemoryError, UsageError
from dcls_cli.image import Photo
from dcls_cli.image.photo import Carried, Picture, collect, dtype_of, quantise
from dcls_cli.kernels import kernel_width_px
from dcls_cli.tiling import Stitcher, Tile
from dcls_cli.upscaling.fidelity import DEFAULT_FIDELITY, Misfit, check_fidelity
from dcls_cli.upscaling.finding import completed, find_blur
from dcls_cli.upscaling.finishing import Finish, finish_colours, finish_mask
from dcls_cli.upscaling.noise import KnownNoise, noise_of
from dcls_cli.upscaling.planning import KernelMode, batch_of, tiles_of
from dcls_cli.upscaling.restoring import TileRestorer, Warn
from dcls_cli.upscaling.sizes import DEFAULT_OVERLAP_PX
from dcls_cli.upscaling.symmetries import Averaged, check_symmetries
from dcls_cli.upscaling.varying_blur import blur_field

#: Called after each tile with the tiles done and the tiles in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Upscaled:
    """A photo whose blur is known, and which is restored where its `bands` are read.

    It is a `Picture`: `image.write` writes it, `image.to_pil` and `image.to_array` hold it in
    memory.

    Attributes:
        photo: what is restored.
        backend: the network.
        kernel: the blur that was found or known, (k, k) float32, sum 1.
        kernel_space: `hr` or `lr`: whose pixels the kernel's taps are.
        kernel_width_px: width of the kernel as `kernel_width_px` defines it, in those pixels.
        kernel_confidence: share of the estimate in the kernel, 0 to 1; None where it is known.
        kernel_estimated_px: width of the estimate, in those pixels.
        noise: power of noise over power of the photo, where the network estimates it.
        tiles: the pieces that the photo is restored in.
        overlap: pixels that neighbouring pieces share.
        batch: pieces that are restored at a time.
        blurs_of: the blurs of a tile's colours and alpha channel; of its parts, if the second
            argument is true.
        misfit: what the tiles that are restored so far do not explain of the photo.
        finishes: what is made of the restored tiles of the colours and the alpha channel.
        progress: called after each tile.
        warn: called with what did not go as planned, such as smaller tiles for want of memory.
    """

    photo: Photo
    backend: Backend
    kernel: np.ndarray
    kernel_space: KernelSpace
    kernel_width_px: float
    kernel_confidence: float | None
    kernel_estimated_px: float
    noise: float | None
    tiles: tuple[Tile, ...]
    overlap: int
    batch: int
    blurs_of: Callable[[Tile, bool], list[Blur]]
    misfit: Misfit
    finishes: Sequence[Finish]
    progress: Progress
    warn: Warn

    @property
    def width(self) -> int:
        """Of the result, pixels."""
        return self.photo.width * self.backend.config.scale

    @property
    def height(self) -> int:
        """Of the result, pixels."""
        return self.photo.height * self.backend.config.scale

    @property
    def channels(self) -> int:
        """As the photo has them."""
        return self.photo.channels

    @property
    def bit_depth(self) -> int:
        """As the photo has it."""
        return self.photo.bit_depth

    @property
    def carried(self) -> Carried:
        """The photo's metadata."""
        return self.photo.carried

    def bands(self, dtype: np.dtype) -> Generator[np.ndarray, None, None]:
        """Restore the photo, row of tiles by row of tiles; see `Picture`.

        Raises:
            OutOfMemoryError: not even the smallest tile fits into memory.
            DclsError: the network's result is not finite.
        """
        photo, transparency = self.photo, self.photo.transparency
        planes = [photo.colour, *([] if transparency is None else [transparency])]
        restorer = TileRestorer(
            self.backend,
            planes,
            self.blurs_of,
            self.finishes,
            overlap=self.overlap,
            batch=self.batch,
            warn=self.warn,
        )

        def finish(joined: np.ndarray) -> np.ndarray:
            return quantise(_channels(joined, grey=photo.grey), dtype)

        stitcher = Stitcher(photo.width, self.backend.config.scale, finish)
        try:
            for done, (tile, patch) in enumerate(restorer.patches(self.tiles), start=1):
                band = stitcher.add(tile, patch)
                self.progress(done, len(self.tiles))
                if band is not None:
                    yield band
        except MemoryError as error:
            raise OutOfMemoryError(
                f"out of memory: rows of {self.width} pixels of the output do not fit; cut the "
                "photo into parts or use smaller tiles"
            ) from error


def upscale(
    photo: Photo,
    backend: Backend,
    *,
    tile: int | None = None,
    overlap: int = DEFAULT_OVERLAP_PX,
    kernel: np.ndarray | None = None,
    kernel_mode: KernelMode = "global",
    fidelity: float = DEFAULT_FIDELITY,
    noise: float | str | None = None,
    tta: bool = False,
    progress: Progress | None = None,
    warn: Warn | None = None,
) -> Upscaled:
    """Find the blur of a photo; it is restored with it while the result is read.

    The alpha channel goes through the same network as a grey picture, with a blur of its own: its
    edges are a program's, not those of a lens.

    Args:
        photo: of any size from 1x1.
        backend: the network.
        tile: width and height of the pieces, LR pixels; 0 for the whole photo in one piece; None
            for what memory allows, see `choose_tile`.
        overlap: pixels that neighbouring pieces share.
        kernel: a blur that is known, made fit by `kernels.fit`, in place of the estimated one.
            Smoothing filters and noise are estimated all the same.
        kernel_mode: `global`: one blur for the whole photo; `tile`: one for each piece, for photos
            whose blur varies, see `fields.blur_field`.
        fidelity: 0: the network alone; 1: the colours explain the photo to the last level; see
            `fidelity.keep_faithful`. The alpha channel is left as it is.
        noise: standard deviation of the photo's noise, levels of 255; None or `auto`: as the
            network estimates it.
        tta: take the mean over flips and rotations; see `symmetries`. It takes eight times as long.
        progress: called when the blur is known (0 pieces are done), then after each piece.
        warn: called with what did not go as planned, such as smaller pieces for want of memory.

    Raises:
        UsageError: a tile that is not larger than the overlap, a known kernel for each piece, no
            fidelity, no noise, or a network that takes the noise as fixed.
        OutOfMemoryError: the photo does not fit into memory.
        DclsError: the estimate is not finite.
    """
    warn = warn or (lambda _text: None)
    check_fidelity(fidelity)
    local = kernel_mode == "tile"
    if tta:
        check_symmetries(local=local)
    if local and kernel is not None:
        raise UsageError("a known kernel is one for the whole photo; use the kernel mode 'global'")
    tiles = tiles_of(photo, backend, tile=tile, overlap=overlap, kernel_mode=kernel_mode)
    tiled = len(tiles) > 1
    sigma = noise_of(noise)
    estimator = backend if sigma is None else KnownNoise(backend, photo.colour, sigma)
    found = find_blur(photo.colour, estimator, tiled=tiled, kernel=kernel)
    if found.warning is not None:
        warn(found.warning)
    blur, certain = found.blur, found.confidence == 1
    field = blur_field(photo.colour, estimator, tiles, blur) if local and tiled and certain else {}
    alpha = photo.transparency
    beside = [] if alpha is None else [find_blur(alpha, backend, tiled=tiled).blur]
    of_parts = [[blur, *beside]] if tiled else []

    def blurs_of(tile: Tile, parts: bool) -> list[Blur]:
        """Parts need what is otherwise computed from a photo in one piece."""
        if not parts or field:
            return [field.get(tile, blur), *beside]
        if not of_parts:
            whole = [completed(photo.colour, estimator, blur, tiled=True)]
            if alpha is not None:
                whole.append(completed(alpha, backend, beside[0], tiled=True))
            of_parts.append(whole)
        return of_parts[0]

    if tta:
        backend = Averaged(estimator, photo.colour, blur, certain=certain)
    level, misfit = 1 / (2**photo.bit_depth - 1), Misfit()
    if progress is not None:
        progress(0, len(tiles))  # the blur is known
    return Upscaled(
        photo=photo,
        backend=backend,
        kernel=blur.kernel,
        kernel_space=backend.config.kernel_space,
        kernel_width_px=kernel_width_px(blur.kernel),
        kernel_confidence=found.confidence,
        kernel_estimated_px=found.estimated_px,
        noise=None if blur.noise is None else float(blur.noise),
        tiles=tuple(tiles),
        overlap=overlap,
        batch=1 if field else batch_of(photo, backend, tiles),
        blurs_of=blurs_of,
        misfit=misfit,
        finishes=[
            finish_colours(backend.config.kernel_space, found.survey, level, fidelity, misfit),
            *([] if alpha is None else [finish_mask(alpha)]),
        ],
        progress=progress or (lambda _done, _total: None),
        warn=warn,
    )


def held(picture: Picture, photo: Photo, bit_depth: int) -> Photo:
    """Restore a photo into memory.

    Args:
        picture: what to restore.
        photo: that it comes from.
        bit_depth: 8 or 16, of the samples.

    Raises:
        OutOfMemoryError: not even the smallest tile fits into memory.
        DclsError: the network's result is not finite.
    """
    samples = collect(picture, dtype_of(bit_depth))
    return replace(photo, samples=samples, white=np.iinfo(samples.dtype).max, bit_depth=bit_depth)


def _channels(joined: np.ndarray, *, grey: bool) -> np.ndarray:
    """(h, w, 3 or 6), colours and alpha channel of a network, -> (h, w, C) of the photo.

    Grey and alpha are the means of three channels, which a network may have driven apart.
    """
    colour, alpha = joined[..., :3], joined[..., 3:]
    parts = [_mean(colour) if grey else colour]
    if alpha.shape[2]:
        parts.append(_mean(alpha))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _mean(channels: np.ndarray) -> np.ndarray:
    return np.asarray(channels.clip(0, 1).mean(axis=2, keepdims=True))
