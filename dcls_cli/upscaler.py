"""The Python interface: pictures or photos go in, sharper ones and the evidence come out.

`Upscaler` restores pictures in memory; `upscale_file` and `upscale_files` do what the commands
`dcls upscale` and `dcls batch` do, metadata and all.
"""

import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar, Unpack, overload

import numpy as np
from PIL import Image

from dcls_cli.backends import Backend
from dcls_cli.config import KernelSpace
from dcls_cli.errors import DclsError, ImageError, UsageError
from dcls_cli.image import Photo, Picture, from_array, from_pil, read, to_array, to_pil
from dcls_cli.image.resizing import OutputSize, Resized
from dcls_cli.jobs import output_folders
from dcls_cli.jobs import plan as plans
from dcls_cli.jobs.events import Event, Failed, Finished, Noted, Outcome
from dcls_cli.jobs.networks import AUTO, Networks
from dcls_cli.jobs.pool import Run
from dcls_cli.jobs.request import BatchOptions, Options, Request
from dcls_cli.jobs.worker import Worker, workers_of
from dcls_cli.kernels import UserKernel, fit_kernel
from dcls_cli.kernels.user_kernel import read_kernel
from dcls_cli.models.hub import is_hub_name
from dcls_cli.models.releases import RELEASES
from dcls_cli.upscaling import DEFAULT_FIDELITY, Progress, Upscaled, upscale

if TYPE_CHECKING:
    import torch


#: What is restored in memory, and the type that the answer has.
Given = TypeVar("Given", "Image.Image", "np.ndarray[Any, Any]", "torch.Tensor")

#: What `Upscaler.up` takes.
ACCEPTED = (
    "a path, a Pillow image, an array (H, W) or (H, W, 1 to 4), or a tensor (3, H, W) or "
    "(B, 3, H, W)"
)


class _Known(TypedDict, total=False):
    kernel: np.ndarray | Path | None
    kernel_space: KernelSpace | None
    tile: int | None
    fidelity: float
    noise: float | None
    tta: bool
    progress: Progress | None


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Result(Generic[Given]):
    """A restored picture with the evidence for it.

    Attributes:
        image: of the type of the input, a Pillow image for a path.
        model: name of the network.
        reason: why the rule of `auto` chose it; None where the caller did.
        device: that it ran on.
        precision: of the convolutions.
        seconds: that it took.
        noise: power of noise over power of the picture; None where the network estimates none.
        kernel: the blur that was found or given, (k, k) float32, sum 1; of a batch (B, k, k).
        kernel_space: `hr` or `lr`: whose pixels the kernel's taps are.
        kernel_width_px: width (for a Gaussian: sigma) of the kernel in those pixels; of a batch the
            mean.
        kernel_confidence: share of the estimate in the kernel, 0 to 1: below 1 where the picture
            does not show enough of its blur; None where the kernel was given; of a batch the least.
        consistency_db: PSNR of the result, blurred and reduced, against the picture: how well it
            explains it; None if they are equal; of a batch the least.
        each: of a batch the result of each picture, else empty.
    """

    image: Given
    model: str
    reason: str | None
    device: str
    precision: str
    seconds: float
    noise: float | None
    kernel: np.ndarray
    kernel_space: KernelSpace
    kernel_width_px: float
    kernel_confidence: float | None
    consistency_db: float | None
    each: "tuple[Result[Given], ...]" = ()

    def __repr__(self) -> str:
        """In one line, without the samples."""
        image: Any = self.image  # one of three types, of which torch's may be missing
        shape = image.size if isinstance(image, Image.Image) else image.shape
        return (
            f"Result({type(image).__name__} {'x'.join(map(str, shape))}, {self.model}, "
            f"{self.device} {self.precision}, {self.seconds:.1f} s, "
            f"blur {self.kernel_width_px:.2f} {self.kernel_space} px)"
        )


class Upscaler:
    """Restores pictures in memory.

    Example:
        >>> from dcls_cli import Upscaler
        >>> upscaler = Upscaler.from_pretrained()  # doctest: +SKIP
        >>> result = upscaler.up("photo.jpg")  # doctest: +SKIP
        >>> result.image.save("photo_x4.png")  # doctest: +SKIP
        >>> print(f"blur: {result.kernel_width_px:.2f} px")  # doctest: +SKIP
    """

    def __init__(self, networks: Networks) -> None:
        """Use networks that are found already."""
        self._networks = networks

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = AUTO,
        *,
        scale: float | None = None,
        device: str = "auto",
        precision: str = "auto",
        backend: str = "auto",
    ) -> Self:
        """Load weights by name or by path; only what is not on this machine is downloaded.

        Args:
            model: `auto`, which chooses by the picture; a name of the registry;
                `hf:owner/repo[@revision][/file]`; or a weight file.
            scale: how many times larger, up to the model's scale, also 1.5 or the like; None: the
                model's, or 4.
            device: auto, cpu, cuda, cuda:N, ...; see `dcls upscale --help`.
            precision: auto, fp32, bf16, fp16 or int8.
            backend: auto, torch or onnx.

        Raises:
            UsageError: neither a known name nor a file, or a scale that it does not reach.
            WeightsError: the file is missing, damaged, of another network or cannot be
                downloaded.
            BackendError: the device or the precision is not usable here.
        """
        path = Path(model)
        is_name = model == AUTO or is_hub_name(str(model))
        is_name = is_name or any(model == item.name for item in RELEASES)
        is_file = isinstance(model, Path) or path.suffix == ".safetensors" or path.exists()
        request = Request(
            inputs=(),
            scale=scale,
            model=None if is_file and not is_name else str(model),
            weights=path if is_file and not is_name else None,
            precision=precision,
            backend=backend,
            devices=(device,),
        )
        networks = Networks.of(request, device, note=_warn)
        networks.load(networks.usual)  # what cannot be used fails now
        return cls(networks)

    @property
    def scale(self) -> float:
        """Up-scaling factor."""
        factor = self._networks.factor
        return int(factor) if factor.is_integer() else factor

    @property
    def backend(self) -> Backend:
        """The network that was asked for, or that most pictures get."""
        return self._networks.load(self._networks.usual)

    @overload
    def up(self, image: str | Path, **options: Unpack[_Known]) -> Result[Image.Image]: ...

    @overload
    def up(self, image: Given, **options: Unpack[_Known]) -> Result[Given]: ...

    def up(
        self,
        image: Any,  # noqa: ANN401 - see the overloads
        *,
        kernel: np.ndarray | Path | None = None,
        kernel_space: KernelSpace | None = None,
        tile: int | None = None,
        fidelity: float = DEFAULT_FIDELITY,
        noise: float | None = None,
        tta: bool = False,
        progress: Progress | None = None,
    ) -> "Result[Any]":
        """Restore a picture.

        Args:
            image: a Pillow image, upright or with its EXIF orientation, which is applied; an array
                (H, W) or (H, W, C) with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha, of
                uint8, uint16, or floats in [0, 1]; a PyTorch tensor (3, H, W), or (B, 3, H, W) of
                which each picture is restored by itself, of uint8 or floats in [0, 1]; all
                gamma-encoded as in image files; or the path of a photo.
            kernel: a blur that is known, the picture of a point: (h, w) taps of any odd or even
                size, or a file (.npy, grey PNG or TIFF). It takes the place of the estimate; what
                is changed in it, its sum, its centre, its size, is reported as a warning.
            kernel_space: whether its taps are `hr` (output) or `lr` (input) pixels; `hr` where
                neither this nor the file says so.
            tile: see `upscale`.
            fidelity: 0: the network alone; 1: the result explains the picture, with its noise.
            noise: standard deviation of the picture's noise, levels of 255; None: as estimated.
            tta: take the mean over flips and rotations, which takes eight times as long.
            progress: see `upscale`.

        Returns:
            An array or tensor of the same type, channels and device, or a Pillow image of mode L,
            LA, RGB, RGBA or I;16.

        Raises:
            ImageError: the picture is of a kind that is not supported.
            KernelError: the kernel is none, or too wide for the network.
            DclsError: see `upscale`.
        """
        known = None if kernel is None else self._known(kernel, kernel_space)

        run = partial(
            upscale,
            tile=tile,
            kernel=known,
            fidelity=fidelity,
            noise=noise,
            tta=tta,
            progress=progress,
        )

        def restored(photo: Photo, answer: Callable[[Picture], Any]) -> Result[Any]:
            return self._restored(photo, answer, run)

        if isinstance(image, str | os.PathLike):
            return restored(read(Path(image)), to_pil)
        if isinstance(image, Image.Image):
            return restored(from_pil(image), to_pil)
        if isinstance(image, np.ndarray):
            array = image
            return restored(from_array(array), lambda picture: to_array(picture, array))
        torch = sys.modules.get("torch")  # not imported where nobody has
        if torch is not None and isinstance(image, torch.Tensor):
            return self._tensor(image, restored)
        raise ImageError(f"expected {ACCEPTED}; got {type(image).__name__}")

    def _restored(
        self,
        photo: Photo,
        answer: Callable[[Picture], Any],
        run: Callable[..., Upscaled],
    ) -> "Result[Any]":
        started = time.perf_counter()
        factor = self._networks.factor
        named = self._networks.choose(photo, factor)
        backend = self._networks.load(named)
        done = run(photo, backend, warn=_warn)
        image = answer(_of_factor(done, photo, factor))
        return Result(
            image=image,
            model=named.name,
            reason=named.reason,
            device=backend.device,
            precision=backend.precision,
            seconds=time.perf_counter() - started,
            noise=done.noise,
            kernel=done.kernel,
            kernel_space=done.kernel_space,
            kernel_width_px=done.kernel_width_px,
            kernel_confidence=done.kernel_confidence,
            consistency_db=done.misfit.after_db,
        )

    def _tensor(self, tensor: Any, restored: Callable[..., Result[Any]]) -> "Result[Any]":  # noqa: ANN401 - torch may be missing
        """Restore (3, H, W) or (B, 3, H, W), of its type and on its device."""
        import torch

        shape = tuple(tensor.shape)
        known_type = tensor.dtype == torch.uint8 or tensor.is_floating_point()
        if len(shape) not in (3, 4) or shape[-3] != 3 or 0 in shape or not known_type:
            raise ImageError(
                "expected a tensor (3, H, W) or (B, 3, H, W) of uint8 or floats in [0, 1], got "
                f"{shape} {tensor.dtype}"
            )
        pictures = tensor.detach().cpu()
        if tensor.is_floating_point():
            pictures = pictures.float()  # NumPy has no bfloat16

        def one(picture: Any) -> Result[Any]:  # noqa: ANN401
            array = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())

            def answer(made: Picture) -> Any:  # noqa: ANN401
                back = torch.from_numpy(to_array(made, array)).permute(2, 0, 1).contiguous()
                return back.to(device=tensor.device, dtype=tensor.dtype)

            return restored(from_array(array), answer)

        if len(shape) == 3:
            return one(pictures)
        return _batch([one(picture) for picture in pictures], torch.stack)

    def _known(self, kernel: np.ndarray | Path, space: KernelSpace | None) -> np.ndarray:
        """A user's kernel as the networks take it, (k, k)."""
        if isinstance(kernel, Path):
            given = read_kernel(kernel, space)
        else:
            given = UserKernel.of(kernel, space or "hr")
        fitted = fit_kernel(given, self._networks.config)
        for note in fitted.notes:
            warnings.warn(f"the kernel: {note}", stacklevel=3)
        return fitted.kernel


def upscale_file(
    photo: str | Path,
    output: str | Path | None = None,
    *,
    scale: float | None = None,
    model: str = AUTO,
    device: str = "auto",
    save_kernel: Path | None = None,
    evidence: Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    **options: Unpack[Options],
) -> Outcome:
    """Restore a photo into a file, as `dcls upscale` does: metadata, colour space and all.

    Args:
        photo: a file.
        output: a file, or a folder that exists or whose name ends in a slash; None: `PHOTO_x4`
            beside the photo.
        scale: how many times larger; None: the scale of the weights, or 4.
        model: `auto`, or a name as `Upscaler.from_pretrained` takes it.
        device: see `Upscaler.from_pretrained`.
        save_kernel: also write the blur: .npy or .png.
        evidence: also write the page of evidence: .html.
        on_event: is given each event as it happens; without it, remarks become warnings.
        options: see `Request`.

    Raises:
        DclsError: there is no result; the class says why.
    """
    request = Request(
        inputs=(_named(photo),),
        output=None if output is None else os.fspath(output),
        scale=scale,
        model=model if options.get("weights") is None else None,
        devices=(device,),
        save_kernel=save_kernel,
        evidence=evidence,
        **options,
    )
    emit = on_event or _warn_of
    (worker,) = workers_of(request, note=lambda text: emit(Noted(text)))
    (task,) = plans.plan_photos(request, plans.naming_of(request, worker.networks))
    output_folders.make_folder(output_folders.output_folder(request))
    outcome = worker.work(task, emit)
    assert outcome is not None  # no existing output is taken for the result of a named photo
    return outcome


def upscale_files(
    inputs: str | Path | Iterable[str | Path],
    output: str | Path | None = None,
    *,
    scale: float | None = None,
    model: str = AUTO,
    devices: Sequence[str] = ("auto",),
    threads: int = 3,
    raise_errors: bool = True,
    on_event: Callable[[Event], None] | None = None,
    **options: Unpack[BatchOptions],
) -> Iterator[Outcome]:
    """Restore photos of folders, patterns and lists into a folder, as `dcls batch` does.

    Photos whose output exists and is whole are skipped, so that the same call resumes an
    interrupted one. Photos are restored while the iterator is read, some ahead; closing it ends
    the work in good order.

    Args:
        inputs: a folder, photo, 'pattern*' or list (.txt), or several of them; also addresses such
            as `s3://bucket/scans/`, of any store that fsspec knows.
        output: folder of the outputs, which keeps the tree, or an address; None: `FOLDER_x4` beside
            a folder.
        scale: how many times larger; None: the scale of the weights, or 4.
        model: `auto`, or a name as `Upscaler.from_pretrained` takes it.
        devices: each works on photos of its own.
        threads: photos in work at a time for each device.
        raise_errors: raise the error of the first photo that failed once all others are done;
            otherwise failures are events alone.
        on_event: is given each event, also of photos that are skipped or fail; without it,
            remarks become warnings.
        options: see `Request`.

    Yields:
        Each photo that has been restored, when it is written.

    Raises:
        DclsError: the request cannot be fulfilled, or a photo has failed, see `raise_errors`.
    """
    several = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    if not several:
        raise UsageError("no inputs: expected folders, photos, patterns or lists")
    request = Request(
        inputs=tuple(map(_named, several)),
        output=None if output is None else _named(output),
        scale=scale,
        model=model if options.get("weights") is None else None,
        devices=tuple(devices),
        **options,
    )
    emit = on_event or _warn_of
    failures: list[DclsError] = []

    def take(event: Event) -> None:
        if isinstance(event, Failed):
            failures.append(event.error)
        emit(event)

    workers = workers_of(request, note=lambda text: take(Noted(text)))
    naming = plans.naming_of(request, workers[0].networks)
    out = output_folders.output_of(request, naming)
    output_folders.prepare_folder(out, dry_run=False)
    plan = plans.plan_batch(request, out, naming, workers[0].records, take)
    return _outcomes(workers, plan, threads, take, failures if raise_errors else [])


def _outcomes(
    workers: Sequence[Worker],
    plan: plans.Plan,
    threads: int,
    take: Callable[[Event], None],
    failures: Sequence[DclsError],
) -> Iterator[Outcome]:
    with closing(Run(workers, threads=threads).events(plan.tasks)) as events:
        for event in events:
            take(event)
            if isinstance(event, Finished):
                yield event.outcome
    if failures:
        raise failures[0]


def _named(path: str | Path) -> str:
    """A path as requests have it, where a lone dash is stdin.

    Raises:
        UsageError: an address was made a path, which has lost one of its slashes.
    """
    text = os.fspath(path)
    if isinstance(path, Path) and re.match(r"[a-z][a-z0-9+.-]+:[/\\]", text):
        raise UsageError(f"{text}: give an address as a text, since a Path makes one slash of two")
    return "./-" if text == "-" else text


def _of_factor(done: Upscaled, photo: Photo, factor: float) -> Picture:
    """A result of the size that was asked for, which may be smaller than the network's."""
    size = OutputSize(factor=factor).of(photo.width, photo.height)
    return done if size == (done.width, done.height) else Resized(done, *size)


def _batch(each: "list[Result[Any]]", stack: Callable[[list[Any]], Any]) -> "Result[Any]":
    """The results of several pictures as one."""
    noises = [result.noise for result in each if result.noise is not None]
    sure = [result.kernel_confidence for result in each if result.kernel_confidence is not None]
    explained = [result.consistency_db for result in each if result.consistency_db is not None]
    first = each[0]
    return Result(
        image=stack([result.image for result in each]),
        model=" + ".join(dict.fromkeys(result.model for result in each)),
        reason=first.reason,
        device=first.device,
        precision=first.precision,
        seconds=sum(result.seconds for result in each),
        noise=max(noises, default=None),
        kernel=np.stack([result.kernel for result in each]),
        kernel_space=first.kernel_space,
        kernel_width_px=float(np.mean([result.kernel_width_px for result in each])),
        kernel_confidence=min(sure, default=None),
        consistency_db=min(explained, default=None),
        each=tuple(each),
    )


def _warn_of(event: Event) -> None:
    """Say remarks as Python does."""
    if isinstance(event, Noted):
        _warn(str(event))


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)
