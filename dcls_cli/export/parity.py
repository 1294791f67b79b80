"""Does a graph compute what the network computes? Compared on ONNX Runtime's CPU provider."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dcls_cli import example
from dcls_cli.backends import Blur as ArrayBlur
from dcls_cli.backends.devices import bytes_per_px, require_memory, translated_memory_errors
from dcls_cli.backends.graph_estimation import GraphEstimator, blur_arrays
from dcls_cli.backends.sessions import MEMORY_WORDS
from dcls_cli.config import ModelConfig
from dcls_cli.errors import ExportError, OutOfMemoryError, first_line
from dcls_cli.export.modules import FusedGraph
from dcls_cli.export.options import ExportOptions
from dcls_cli.export.quantising import blur_of, inputs_of
from dcls_cli.graphs import Kind, blur_inputs, statistics_of
from dcls_cli.metrics import psnr
from dcls_cli.network.dcls import DCLS, Blur, repeated
from dcls_cli.network.statistics import Source, gather

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: Of what restoring takes in PyTorch alone: the graph takes as much, and keeps it.
_TIMES = 2


def require_memory_for_both(shape: Sequence[int], config: ModelConfig) -> None:
    """Refuse a comparison of images (B, C, H, W) that would fill the memory before it begins.

    Raises:
        OutOfMemoryError: there is not enough.
    """
    require_memory(shape, _TIMES * bytes_per_px(config, "fp32"), torch.device("cpu"))


@contextmanager
def explained_memory_errors() -> Iterator[None]:
    """Say what to do about memory that runs out in PyTorch or in ONNX Runtime.

    Raises:
        OutOfMemoryError: memory ran out inside the block, or was refused.
    """
    try:
        with translated_memory_errors((0, 0)):
            yield
    except Exception as error:  # ONNX Runtime's errors have no common class
        ours = isinstance(error, OutOfMemoryError)
        if not ours and not any(word in str(error) for word in MEMORY_WORDS):
            raise
        raise OutOfMemoryError(
            "not enough memory to compare the graph with PyTorch; give a smaller --shape, or "
            "--no-verify; nothing was written"
        ) from error


#: Largest difference of an fp32 graph, of samples in [0, 1].
TOLERANCE = 1e-4

#: Least PSNR of an fp16 graph against the network in fp32, dB.
HALF_PSNR_DB = 50.0

#: Least PSNR of an int8 graph against the network in fp32 on the example photo, dB.
INT8_PSNR_DB = 45.0

#: Sizes (height, width) on which graphs for any size are compared, the first as a batch of 2: small
#: and odd; an ordinary one; long, with spectra whose side (997 with kernels of 21 taps) is a prime.
SIZES = ((37, 51), (240, 320), (24, 955))


@dataclass(frozen=True)
class Parity:
    """One comparison of a graph with the network.

    Attributes:
        image: what was restored.
        largest: largest difference of the picture.
        kernel: largest difference of the kernel.
        psnr_db: of the graph's picture against the network's, peak 1.
        statistics: largest difference of P, relative to its largest value where that is above 1,
            of the noise and of the gates, where graphs give them.
    """

    image: str
    largest: float
    kernel: float
    psnr_db: float
    statistics: float = 0.0


@explained_memory_errors()
@torch.inference_mode()
def compare(
    network: DCLS, models: Mapping[Kind, bytes], options: ExportOptions
) -> tuple[Parity, ...]:
    """Run graphs and network on three random images and one photo.

    Raises:
        ExportError: a graph does not run, or differs by more than the tolerance.
        OutOfMemoryError: the comparison does not fit into memory.
    """
    sessions = {kind: _session(content) for kind, content in models.items()}
    # ONNX Runtime computes fp16 graphs in fp32 on CPUs; PyTorch rounds as a GPU does.
    rounded = None
    if options.half:
        rounded = FusedGraph(network, options.transform(network.config), half=True).eval()
    found = []
    for name, lr in _images(network, options):
        image = torch.from_numpy(lr)
        blur = _blur(network, image, options)
        expected = network.restore(image, blur).numpy()
        statistics = 0.0
        if options.split:
            sr, own = _run_parts(sessions, network.config, lr)
            kernel, statistics = own.kernel[None, None], _statistics(own, blur)
        else:
            sr, kernel = sessions["fused"].run(["sr", "kernel"], {"lr": lr})
        if rounded is not None:
            sr = _worse_of(sr, _rounded(rounded, image, blur, options), expected)
        parity = _parity(name, sr, expected, kernel, blur.kernel.numpy())
        found.append(replace(parity, statistics=statistics))
        _check(found[-1], network.config, options)
    return tuple(found)


@torch.inference_mode()
def compare_int8(network: DCLS, model: bytes) -> Parity:
    """Run a restorer in int8 on the example photo: noise is not what its ranges are made for.

    Raises:
        ExportError: it does not run, or differs by more than the tolerance.
    """
    lr = example.pixels()
    blur = blur_of(network, lr)
    expected = network.restore(torch.from_numpy(lr)[None], blur).numpy()
    (sr,) = _session(model).run(["sr"], inputs_of(network, lr, blur))
    kernel = blur.kernel.numpy()  # is given to the graph
    parity = _parity(f"int8, photo {lr.shape[2]}x{lr.shape[1]}", sr, expected, kernel, kernel)
    if not parity.psnr_db >= INT8_PSNR_DB:
        raise ExportError(
            f"the int8 graph differs from the network: {parity.psnr_db:.1f} dB on the example "
            f"photo, expected at least {INT8_PSNR_DB:.0f} dB; give other pictures; nothing was "
            "written"
        )
    return parity


def _images(network: DCLS, options: ExportOptions) -> list[tuple[str, np.ndarray]]:
    """Names and images (B, 3, H, W): random ones, then the photo."""
    height, width = options.sides(network.config)
    generator = np.random.default_rng(0)
    images = []
    for index, free in enumerate(SIZES):
        size = (height or free[0], width or free[1])
        batch = 2 if index == 0 else 1
        require_memory_for_both((batch, 3, *size), network.config)
        noise = generator.random((batch, 3, *size), dtype=np.float32)
        images.append(
            (f"random {size[1]}x{size[0]}" + (", batch of 2" if batch > 1 else ""), noise)
        )
    photo = example.pixels(height or 144, width or 144)
    images.append((f"photo {photo.shape[2]}x{photo.shape[1]}", photo[None]))
    return images


def _blur(network: DCLS, image: Tensor, options: ExportOptions) -> Blur:
    """What the network finds: for a fused graph each image's own, for parts one for the batch."""
    if not options.split:
        return network.estimate(image)
    source = Source(lambda rows, columns: image[:1, :, rows, columns], *image.shape[2:])
    one = gather(network, source, tiled=True)
    return repeated(one, image.shape[0])


def _run_parts(
    sessions: Mapping[Kind, "InferenceSession"], config: ModelConfig, lr: np.ndarray
) -> tuple[np.ndarray, ArrayBlur]:
    """Estimate from the first image, restore all, as the engine does: pictures and blur."""
    one_window = max(lr.shape[2:])
    blur = GraphEstimator(config, sessions).estimate(lr[0], tiled=True, window=one_window)
    inputs = {"lr": lr} | blur_arrays(blur, blur_inputs("restorer", config))
    return sessions["restorer"].run(["sr"], inputs)[0], blur


def _statistics(found: ArrayBlur, expected: Blur) -> float:
    """The largest difference of P, the noise and the gates, where there are such."""
    largest = 0.0
    for one, other in (
        (found.smoothing, expected.smoothing),
        (found.noise, expected.noise),
        (found.gates, expected.gates),
    ):
        if one is not None and other is not None:
            own = other[0].numpy()
            difference = float(np.abs(one - own).max() / max(np.abs(own).max(), 1))
            largest = max(largest, difference)
    return largest


def _rounded(graph: FusedGraph, image: Tensor, blur: Blur, options: ExportOptions) -> np.ndarray:
    """What a graph in fp16 gives where it is not computed in fp32: PyTorch's pictures.

    Parts take one blur for the whole batch, as in `_blur`.
    """
    if not options.split:
        return np.asarray(graph(image)[0].numpy())
    statistics = [getattr(blur, name)[:1] for name in statistics_of(graph.restorer.config)]
    return np.asarray(graph.restorer(image, blur.kernel[:1], *statistics).numpy())


def _worse_of(one: np.ndarray, other: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """That of two pictures which is worse."""
    errors = [float(np.square(picture - expected).mean()) for picture in (one, other)]
    return other if not errors[1] <= errors[0] else one


def _parity(
    name: str, sr: np.ndarray, expected: np.ndarray, kernel: np.ndarray, own: np.ndarray
) -> Parity:
    return Parity(
        image=name,
        largest=float(np.abs(sr - expected).max()),
        kernel=float(np.abs(kernel - own[: len(kernel)]).max()),
        psnr_db=psnr(sr.astype(np.float64), expected.astype(np.float64), peak=1.0),
    )


def _check(parity: Parity, config: ModelConfig, options: ExportOptions) -> None:
    """Refuse a graph that differs; a difference that is no number differs."""
    closer = "; --fft matmul is closer" if options.transform(config) == "dft" else ""
    exact = [parity.kernel, parity.statistics, *([] if options.half else [parity.largest])]
    if not all(difference <= TOLERANCE for difference in exact):
        raise ExportError(
            f"the graph differs from the network: by {max(exact):.1e} on {parity.image}, "
            f"expected at most {TOLERANCE:.0e}; nothing was written{closer}"
        )
    if options.half and not parity.psnr_db >= HALF_PSNR_DB:
        raise ExportError(
            f"the graph differs from the network: {parity.psnr_db:.1f} dB on {parity.image}, "
            f"expected at least {HALF_PSNR_DB:.0f} dB; nothing was written"
        )


def _session(content: bytes) -> "InferenceSession":
    """A session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # One thread for each core that this process may use; torch's own threads rest meanwhile.
    options.intra_op_num_threads = torch.get_num_threads()
    providers: list[Any] = ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ExportError(f"ONNX Runtime refuses the graph: {first_line(error)}") from error
