"""What goes with a restored photo: the user's own kernel before it, the report after it."""

from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.cli import console
from dcls_cli.cli.kernels import write_bytes
from dcls_cli.errors import KernelError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.config import KernelSpace, ModelConfig
    from dcls_cli.image import Photo
    from dcls_cli.upscaling import Upscaled


def known_kernel(
    path: Path | None, space: "KernelSpace | None", config: "ModelConfig"
) -> "np.ndarray | None":
    """Read the user's kernel for a network, and tell what was changed in it.

    Args:
        path: `--kernel`.
        space: `--kernel-space`.
        config: of the network.

    Returns:
        (k, k) float32 for the network, or None without a path.

    Raises:
        UsageError: a space without a kernel.
        KernelError: it is no kernel, or too wide for the network.
    """
    from dcls_cli.kernels import fit_kernel
    from dcls_cli.kernels.user_kernel import read_kernel

    if path is None:
        if space is not None:
            raise UsageError("--kernel-space says what --kernel is in; give --kernel too")
        return None
    own = read_kernel(path, space)
    try:
        fitted = fit_kernel(own, config)
    except KernelError as error:
        raise KernelError(f"{console.visible(path)}: {error}") from error
    for text in fitted.notes:
        console.note(f"{path}: {text}")
    return fitted.kernel


def write_report(
    path: Path,
    source: Path,
    photo: "Photo",
    output: Path,
    upscaled: "Upscaled",
    *,
    model: str,
    known: bool,
    overwrite: bool,
) -> None:
    """Write the page that shows how a photo became its output, as the output was written.

    Args:
        path: of the page.
        source: name of the photo.
        photo: the input.
        output: the file of the result.
        upscaled: the result.
        model: name of the network.
        known: whether the user gave the kernel.
        overwrite: whether an existing page may be replaced.

    Raises:
        ImageError: the output cannot be read again, or the page cannot be written.
    """
    from dcls_cli.image import read
    from dcls_cli.reports.evidence import Evidence, evidence_page

    scale = upscaled.backend.config.scale
    lr, sr = photo.colour, _of_size(read(output), upscaled).colour
    text = evidence_page(
        Evidence(
            source=console.visible(source.name),
            output=console.visible(output.name),
            model=console.visible(model),
            lr=lr,
            sr=sr,
            scale=scale,
            kernel=upscaled.kernel,
            space=upscaled.kernel_space,
            known=known,
            confidence=upscaled.kernel_confidence,
            estimated_px=upscaled.kernel_estimated_px,
            noise=upscaled.noise,
        )
    )
    write_bytes(text.encode(), path, overwrite=overwrite)


def _of_size(written: "Photo", upscaled: "Upscaled") -> "Photo":
    """A result as large as the network made it, since the kernel's taps are pixels of that one."""
    from dcls_cli.image.resizing import Resized
    from dcls_cli.upscaling import held

    if (written.width, written.height) == (upscaled.width, upscaled.height):
        return written
    enlarged = Resized(written, upscaled.width, upscaled.height)
    return held(enlarged, written, written.bit_depth)
