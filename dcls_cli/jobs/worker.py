"""One photo, from its file to its outputs: load, restore, save. No other place does that."""

import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli import __version__
from dcls_cli.errors import DclsError, ImageError
from dcls_cli.files.addresses import local
from dcls_cli.files.atomic import printable, write_bytes
from dcls_cli.jobs.engines import InTurns, Place
from dcls_cli.jobs.events import Finished, Noted, Outcome, Skipped, Started, Stepped, Task
from dcls_cli.jobs.existing_outputs import is_whole
from dcls_cli.jobs.networks import Networks, sha256_of, user_kernel
from dcls_cli.jobs.records import Made, Records
from dcls_cli.jobs.staging import work_staged
from dcls_cli.jobs.streams import read_stdin, stdout_path, write_stdout

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.backends import Backend
    from dcls_cli.image import Photo, Picture
    from dcls_cli.jobs.events import Emit, Named
    from dcls_cli.jobs.networks import Find, Note
    from dcls_cli.jobs.request import Request
    from dcls_cli.upscaling import Upscaled

#: Results with at most so many bytes of samples are held in memory; larger ones are restored while
#: they are written.
HELD_BYTES = 2**26

#: Rounding to whole pixels changes the proportions by less, but for tiny outputs.
_EQUAL_PROPORTIONS = 0.02


@dataclass(frozen=True, eq=False)
class Loaded:
    """A photo that can be restored, and what it becomes."""

    task: Task
    photo: "Photo"
    network: "Named"
    seconds: float


@dataclass(frozen=True, eq=False)
class Restored:
    """A photo whose blur is known and which is not written yet.

    Attributes:
        loaded: the photo.
        upscaled: the evidence.
        picture: the result: in memory if it is small, else restored while it is written.
        device, precision, scale: of the network.
        seconds: that it took so far.
    """

    loaded: Loaded
    upscaled: "Upscaled"
    picture: "Picture"
    device: str
    precision: str
    scale: int
    seconds: float


class Worker:
    """Turns a task into an outcome on one device.

    Attributes:
        request: the options, which are the same for every photo.
        networks: of the device.
        size: of the outputs.
        kernel: the user's blur, made fit for the networks, (k, k); None to estimate each.
    """

    def __init__(
        self, request: "Request", networks: Networks, kernel: "np.ndarray | None" = None
    ) -> None:
        """Load nothing yet."""
        self.request = request
        self.networks = networks
        self.size = request.size(networks.factor)
        self.kernel = kernel

    @cached_property
    def records(self) -> Records:
        """How outputs were made."""
        return Records.of(self.request, self.networks)

    def work(self, task: Task, emit: "Emit", place: Place | None = None) -> Outcome | None:
        """Restore a photo and report what happens; objects are fetched and put.

        Args:
            task: the photo.
            emit: is given each event.
            place: among the threads that share the engine.

        Returns:
            None if another process has written the output, or its object existed already.

        Raises:
            DclsError: the photo has no output.
        """
        if task.is_remote:
            return work_staged(
                task,
                emit,
                lambda staged, report: self.make(staged, report, place),
                request=self.request,
                size=self.size,
                records=self.records,
            )
        outcome = self.make(task, emit, place)
        if outcome is None:
            emit(Skipped(task))
            return None
        if task.makes_folder:  # of a batch
            self.records.add(local(task.output), outcome.weights_sha256)
        emit(Finished(task, outcome))
        return outcome

    def make(self, task: Task, emit: "Emit", place: Place | None = None) -> Outcome | None:
        """Restore a photo from a file into a file; its end is for the caller to record and report.

        Returns:
            None if another process has written the output meanwhile.

        Raises:
            DclsError: the photo has no output.
        """
        try:
            loaded = self.load(task)
            with place.turn() if place is not None else nullcontext():
                backend = self.networks.load(loaded.network)
            emit(Started(task, loaded.network))
            return self.save(self.restore(loaded, backend, emit, place))
        except DclsError:
            # Another process on the same folder may have been faster.
            if not task.replace and is_whole(task.output, task.sizes):
                return None
            raise

    def load(self, task: Task) -> Loaded:
        """Read a photo and check its outputs, so that what must fail fails before any work.

        Raises:
            DclsError: the photo cannot be read, or an output cannot be written.
        """
        from dcls_cli.image import read
        from dcls_cli.kernels.user_kernel import check_new_file

        started = time.perf_counter()
        if task.makes_folder:
            try:
                local(task.output).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DclsError(f"its folder cannot be made: {error.strerror}") from error
        most, kept = self.request.max_pixels, self.request.metadata
        if task.from_stdin:
            photo = read_stdin(max_pixels=most, kept=kept)
        else:
            photo = read(local(task.source), max_pixels=most, kept=kept)
        self._check_output(task, photo)
        for path in filter(None, (task.kernel, task.evidence)):
            check_new_file(path, overwrite=task.replace)
        return Loaded(task, photo, self.choose(photo), time.perf_counter() - started)

    def choose(self, photo: "Photo") -> "Named":
        """The network that restores a photo; see `Networks.choose`."""
        return self.networks.choose(photo, self.size.factor_of(photo.width, photo.height))

    def _check_output(self, task: Task, photo: "Photo") -> None:
        from dcls_cli.image import check_encoding, check_output

        width, height = self.size.of(photo.width, photo.height)
        alpha, encoding = photo.has_alpha, self.request.encoding
        if task.to_stdout:
            path = stdout_path(photo, encoding)
            check_encoding(path, width, height, alpha=alpha, encoding=encoding)
            return
        check_output(
            local(task.output),
            width,
            height,
            overwrite=task.replace,
            alpha=alpha,
            grey=photo.grey,
            bit_depth=photo.bit_depth,
            source=None if task.from_stdin else local(task.source),
            encoding=encoding,
        )

    def restore(
        self, loaded: Loaded, backend: "Backend", emit: "Emit", place: Place | None = None
    ) -> Restored:
        """Restore a photo, or prepare to restore a large one while it is written.

        Raises:
            DclsError: there is no result.
        """
        from dcls_cli.image.resizing import Resized
        from dcls_cli.upscaling import held, upscale

        started = time.perf_counter()
        task, photo = loaded.task, loaded.photo
        upscaled = upscale(
            photo,
            backend if place is None else InTurns(backend, place),
            tile=self.request.tile,
            kernel=self.kernel,
            kernel_mode=self.request.kernel_mode,
            fidelity=self.request.fidelity,
            noise=self.request.noise,
            tta=self.request.tta,
            progress=lambda done, total: emit(Stepped(task, done, total)),
            warn=lambda text: emit(Noted(text, task.source)),
        )
        depth = self.request.encoding.bit_depth or photo.bit_depth
        width, height = self.size.of(photo.width, photo.height)
        picture: Picture = upscaled
        if (width, height) != (upscaled.width, upscaled.height):
            picture = Resized(upscaled, width, height)
        small = width * height * photo.channels * depth // 8 <= HELD_BYTES
        return Restored(
            loaded,
            upscaled,
            held(picture, photo, depth) if small else picture,
            backend.device,
            backend.precision,
            backend.config.scale,
            time.perf_counter() - started,
        )

    def save(self, restored: Restored) -> Outcome:
        """Write the outputs of a photo, restoring what is not restored yet.

        Raises:
            DclsError: one cannot be written, or there is no result.
        """
        from dcls_cli.image import write
        from dcls_cli.kernels.user_kernel import write_kernel

        started = time.perf_counter()
        loaded, upscaled = restored.loaded, restored.upscaled
        task, photo = loaded.task, loaded.photo
        network, encoding = loaded.network, self.request.encoding
        made = Made(
            network.name,
            self.networks.digest(network),
            restored.scale,
            restored.precision,
            upscaled.kernel_width_px,
        )
        picture = self.records.inside(restored.picture, made)
        if task.to_stdout:
            notes = write_stdout(picture, stdout_path(photo, encoding), encoding)
        else:
            notes = write(picture, local(task.output), overwrite=task.replace, encoding=encoding)
        space = upscaled.kernel_space
        if task.kernel is not None:
            write_kernel(upscaled.kernel, space, task.kernel, overwrite=task.replace)
        if task.evidence is not None:
            self._write_evidence(task.evidence, restored)
        return Outcome(
            input=task.source,
            output=task.output,
            width=picture.width,
            height=picture.height,
            seconds=loaded.seconds + restored.seconds + time.perf_counter() - started,
            model=network.name,
            weights_sha256=made.weights_sha256,
            reason=network.reason,
            device=restored.device,
            precision=restored.precision,
            scale=restored.scale,
            tiles=len(upscaled.tiles),
            kernel=task.kernel,
            kernel_known=self.kernel is not None,
            kernel_space=space,
            kernel_width_px=upscaled.kernel_width_px,
            kernel_confidence=upscaled.kernel_confidence,
            kernel_estimated_px=upscaled.kernel_estimated_px,
            fidelity=self.request.fidelity,
            consistency_before_db=upscaled.misfit.before_db,
            consistency_db=upscaled.misfit.after_db,
            report=task.evidence,
            notes=(*photo.notes, *self._choices(restored), *notes),
            taps=upscaled.kernel,
        )

    def _write_evidence(self, path: Path, restored: Restored) -> None:
        """Write the page that shows how a photo became its output, as the output was written.

        Raises:
            ImageError: the output cannot be read again, or the page cannot be written.
        """
        from dcls_cli.image import read
        from dcls_cli.reports.evidence import Evidence, evidence_page

        task, upscaled = restored.loaded.task, restored.upscaled
        text = evidence_page(
            Evidence(
                source=printable(task.source.name),
                output=printable(task.output.name),
                model=printable(restored.loaded.network.name),
                lr=restored.loaded.photo.colour,
                sr=_of_size(read(local(task.output)), upscaled).colour,
                scale=restored.scale,
                kernel=upscaled.kernel,
                space=upscaled.kernel_space,
                known=self.kernel is not None,
                confidence=upscaled.kernel_confidence,
                estimated_px=upscaled.kernel_estimated_px,
                noise=upscaled.noise,
                fidelity=self.request.fidelity,
                before_db=upscaled.misfit.before_db,
                bit_depth=restored.loaded.photo.bit_depth,
                provenance=self._provenance(restored),
            )
        )
        try:
            write_bytes(text.encode(), path, overwrite=task.replace)
        except OSError as error:
            raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error

    def _provenance(self, restored: Restored) -> dict[str, str]:
        """What an archive asks about an output, in words.

        Raises:
            DclsError: a file cannot be read.
        """
        task, photo, network = restored.loaded.task, restored.loaded.photo, restored.loaded.network
        unknown = "not known: it came through a pipe"
        return {
            "Made at": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            "Made by": f"dcls {__version__} on {restored.device}, {restored.precision}",
            "Samples": f"{photo.bit_depth} bits in the input",
            "Options": self.records.unusual or "the default ones",
            "SHA-256 of the input": unknown if task.from_stdin else sha256_of(local(task.source)),
            "SHA-256 of the output": sha256_of(local(task.output)),
            "SHA-256 of the weights": self.networks.digest(network),
        }

    def _choices(self, restored: Restored) -> list[str]:
        """What was chosen for the user beyond what reading and writing say, a sentence each."""
        photo, made, wanted = restored.loaded.photo, restored.upscaled, restored.picture
        notes = []
        if photo.format == "HEIF" and photo.has_alpha and self.request.format is None:
            notes.append(
                "HEIC is not written, and JPEG has no transparency: the output is another format"
            )
        if wanted.width < photo.width and wanted.height < photo.height:
            notes.append(
                f"{wanted.width}x{wanted.height} is smaller than the photo: it was restored "
                f"x{restored.scale}, then reduced"
            )
        if wanted.width > made.width or wanted.height > made.height:
            notes.append(
                f"{wanted.width}x{wanted.height} is more than the {made.width}x{made.height} that "
                "were restored; the rest is plain enlargement"
            )
        changed = abs(wanted.width * made.height / (wanted.height * made.width) - 1)
        if self.request.stretch and changed > _EQUAL_PROPORTIONS:
            notes.append("the proportions were changed")
        return notes


def workers_of(
    request: "Request", find: "Find | None" = None, note: "Note | None" = None
) -> list[Worker]:
    """A worker for each device of a request.

    Args:
        request: see there.
        find: finds the weights of a model; None: as `hub.find`.
        note: is given remarks about devices and the user's blur; None: they are dropped.

    Raises:
        DclsError: the weights or the user's blur cannot be used.
    """
    networks = [Networks.of(request, device, find, note) for device in request.devices]
    kernel = user_kernel(request, networks[0].config, note)
    return [Worker(request, each, kernel) for each in networks]


def _of_size(written: "Photo", upscaled: "Upscaled") -> "Photo":
    """A result as large as the network made it, since the kernel's taps are pixels of that one."""
    from dcls_cli.image.resizing import Resized
    from dcls_cli.upscaling import held

    if (written.width, written.height) == (upscaled.width, upscaled.height):
        return written
    enlarged = Resized(written, upscaled.width, upscaled.height)
    return held(enlarged, written, written.bit_depth)
