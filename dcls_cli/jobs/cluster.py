"""A batch on Ray: workers in processes of their own, on this machine or on the nodes of a cluster.

Each worker is the `Worker` of local threads. The nodes see photos and outputs under the same
names, as on a shared file system, and have the same version of dcls.
"""

import glob
import importlib.metadata
import itertools
import logging
import os
import pickle
import socket
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dcls_cli import __version__
from dcls_cli.errors import BackendError, DclsError, UsageError, WeightsError, first_line
from dcls_cli.files import temporaries
from dcls_cli.files.addresses import Address, Location
from dcls_cli.image.decoding import silence_stderr
from dcls_cli.installation import install_command
from dcls_cli.jobs.events import Event, Failed, Finished, Left, Noted, Skipped, Started, Task
from dcls_cli.jobs.worker import Worker, workers_of

if TYPE_CHECKING:
    from dcls_cli.jobs.request import Request

#: The first one whose actor pools restart workers whose node has died.
OLDEST_RAY = (2, 50)

#: How long a cluster may take to answer, seconds.
PATIENCE_S = 30.0

#: Tasks that are handed to Ray at a time: its records of them grow with their number.
_TASKS_AT_A_TIME = 5000

LOCAL, AUTO = "local", "auto"


@dataclass(frozen=True)
class Cluster:
    """Where to compute, and with how many workers.

    Attributes:
        address: `local` for this machine, `auto` for the cluster that this machine belongs to,
            `HOST:PORT` or `ray://HOST:PORT`.
        least, most: workers; the cluster may grow from the one to the other.
        gpus: of each worker; parts of one let workers share it.
        cpus: of each worker.
    """

    address: str
    least: int = 1
    most: int = 1
    gpus: float = 0.0
    cpus: float = 1.0

    @classmethod
    def of(cls, address: str | None, workers: str | None, gpus: float) -> "Cluster | None":
        """Read the options; `workers` is `N` or `LEAST:MOST`, by default what the cluster has.

        Returns:
            None without an address.

        Raises:
            UsageError: they make no sense.
        """
        if address is None:
            if workers or gpus:
                raise UsageError("--workers and --gpus-per-worker are for --ray; give --ray too")
            return None
        least, most = _range_of(workers)
        if not 0 <= gpus < float("inf"):
            raise UsageError(f"--gpus-per-worker {gpus:g}: expected 0 or more")
        return cls(address, least, most, gpus)


def _range_of(workers: str | None) -> tuple[int, int]:
    if workers is None:
        return 1, 0
    least, colon, most = workers.partition(":")
    try:
        numbers = int(least), int(most if colon else least)
    except ValueError:
        numbers = 0, 0
    if not 1 <= numbers[0] <= numbers[1]:
        raise UsageError(f"--workers {workers:.40}: expected N or LEAST:MOST, such as 4 or 1:32")
    return numbers


class ClusterRun:
    """A batch on Ray; see `pool.Run` for the local one."""

    def __init__(self, request: "Request", cluster: Cluster) -> None:
        """Read what is sent to the workers; the first task connects.

        Raises:
            UsageError: Ray is missing or too old.
            DclsError: a file cannot be read.
        """
        check_installed()
        self._asked = self._cluster = cluster
        self._shipped = _Shipped.of(request, gpus=cluster.gpus > 0)

    def events(
        self,
        tasks: Iterable[Task],
        must_end: Callable[[], bool] = lambda: False,
        patience_s: Callable[[], float] = lambda: PATIENCE_S,
    ) -> Generator[Event, None, None]:
        """Restore all photos, or as many as can be before the run must end.

        A photo whose worker or node dies is restored by another one, which finds what is finished.

        Args:
            tasks: in order; read as they are needed.
            must_end: whether the run is asked to end; looked at after each photo.
            patience_s: not asked: photos in work are given up, and restored by the next run.

        Yields:
            What happens, and at the end what was not reached.

        Raises:
            BackendError: the cluster cannot be reached, or has not what is asked for.
        """
        waiting = iter(tasks)
        first = next(waiting, None)
        if first is None:
            return
        with silence_stderr():  # Ray's libraries write there
            self._cluster = _connected(self._asked)
            try:
                yield from self._events(itertools.chain([first], waiting), must_end)
            finally:
                import ray

                ray.shutdown()  # a cluster on this machine ends, others go on

    def _events(
        self, tasks: Iterable[Task], must_end: Callable[[], bool]
    ) -> Generator[Event, None, None]:
        waiting = iter(tasks)
        folders: set[Path] = set()
        fatal = False
        while some := list(itertools.islice(waiting, _TASKS_AT_A_TIME)):
            left = dict(enumerate(some))
            folders.update(
                task.output.parent for task in some if not isinstance(task.output, Address)
            )
            if not (fatal or must_end()):
                for number, events in self._results(some):
                    task = left.pop(number)
                    for event in events:
                        yield _about(event, task)
                        if isinstance(event, Failed):
                            fatal = fatal or isinstance(event.error, WeightsError | BackendError)
                    if fatal or must_end():
                        break
            for task in left.values():
                yield Left(task)
        for folder in folders:  # workers that died have left some
            if folder.is_dir():
                temporaries.remove_stale(folder)

    def _results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, list[Event]]]:
        """The events of each task by its number, as they come."""
        import ray.data
        from ray.exceptions import RayError

        cluster = self._cluster
        rows = [
            {"number": number, "task": pickle.dumps(_absolute(task))}
            for number, task in enumerate(tasks)
        ]
        most = min(cluster.most, len(rows))
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(self._shipped,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(
                min_size=min(cluster.least, most), max_size=most, max_tasks_in_flight_per_actor=2
            ),
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus or None,
        )
        try:
            for row in results.iter_rows():
                yield int(row["number"]), pickle.loads(row["events"])  # noqa: S301 - our workers'
        except RayError as error:
            raise BackendError(f"Ray: {first_line(error)}") from error

    def records(self) -> list[dict[str, object]]:
        """What computed, as JSON has it."""
        return [{"ray": self._cluster.address, "workers": self._cluster.most}]


def check_installed() -> None:
    """Find out whether Ray is there.

    Raises:
        UsageError: it is missing or too old.
    """
    if find_spec("ray") is None:
        raise UsageError(f"--ray needs Ray: {install_command('ray')}")
    version = importlib.metadata.version("ray")
    if tuple(map(int, version.split(".")[:2])) < OLDEST_RAY:
        oldest = ".".join(map(str, OLDEST_RAY))
        raise UsageError(f"Ray {version} is too old, {oldest} is needed: {install_command('ray')}")


def _connected(cluster: Cluster) -> Cluster:
    """Connect to the cluster; how many workers it is for, where that was not said."""
    # Before the import, which reads them: nothing is reported to anybody, nothing drawn over ours.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    import ray
    import ray.data

    _silence_nodes()
    _refuse_silent(cluster.address)
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if cluster.address == LOCAL:
        options |= {"address": "local", "include_dashboard": False}
        if cluster.most:
            options["num_cpus"] = cluster.most
    else:
        options["address"] = cluster.address
    try:
        ray.init(**options)
    except Exception as error:  # of sockets, of gRPC, of Ray
        raise BackendError(
            f"--ray {cluster.address}: no cluster can be reached: {first_line(error)}"
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = False
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    if cluster.gpus and resources.get("GPU", 0) < min(cluster.gpus, 1):
        ray.shutdown()
        raise BackendError(f"--gpus-per-worker {cluster.gpus:g}: no node of the cluster has a GPU")
    places = resources.get("GPU", 0) / cluster.gpus if cluster.gpus else resources.get("CPU", 1)
    most = cluster.most or max(int(places), 1)
    return replace(cluster, most=most)


def _silence_nodes() -> None:
    """Keep what nodes say away from stdout, where Ray would print it among the results."""
    from ray._private import worker

    # There is no public way; a test watches that it goes on working.
    worker.print_to_stdstream = lambda *_, **__: None


def _refuse_silent(address: str) -> None:
    """Refuse an address at which nothing answers; Ray itself would wait for minutes.

    Raises:
        BackendError: see above.
        UsageError: it is no address.
    """
    if address in (LOCAL, AUTO):
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise UsageError(f"--ray {address:.60}: expected local, auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host, port), PATIENCE_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackendError(f"--ray {address}: no cluster can be reached: {reason}") from error


def _absolute(task: Task) -> Task:
    """A task as workers, which work in other folders, understand it."""
    return replace(task, source=_everywhere(task.source), output=_everywhere(task.output))


def _everywhere(place: Location) -> Location:
    """A name that means the same in every folder; an address does."""
    return place if isinstance(place, Address) else place.absolute()


def _about(event: Event, task: Task) -> Event:
    """An event with the names that the user gave."""
    match event:
        case Finished(_, outcome):
            return Finished(task, replace(outcome, input=task.source, output=task.output))
        case Skipped():
            return replace(event, task=task)
        case Started(_, network):
            return Started(task, network)
        case Failed(_, error, _):
            return Failed(task.source, _renamed(error, task), task)
        case Noted(text, source):
            return Noted(text, None if source is None else task.source)
    return event


def _renamed(error: DclsError, task: Task) -> DclsError:
    """An error whose text has the names that the user gave."""
    text = str(error)
    for path in (task.source, task.output):
        text = text.replace(str(_everywhere(path)), str(path))
    return type(error)(text)


@dataclass(frozen=True)
class _Shipped:
    """What a worker needs that its node may not have.

    Attributes:
        request: its files are names on the machine of the command.
        files: the contents of the weights, all parts of them, and of the blur, by name.
        version: of dcls, which must be the same everywhere.
    """

    request: "Request"
    files: dict[str, bytes]
    version: str

    @classmethod
    def of(cls, request: "Request", *, gpus: bool) -> "_Shipped":
        """Read the files.

        Raises:
            DclsError: one cannot be read.
        """
        files = {}
        given = [path for path in (request.weights, request.kernel) if path is not None]
        for path in [*given, *_other_parts(request.weights)]:
            try:
                files[path.name] = path.read_bytes()
            except OSError as error:
                raise DclsError(f"{path}: cannot be read: {error.strerror}") from error
        # Ray shows each worker its own GPUs alone.
        devices = ("cuda",) if gpus else request.devices
        return cls(replace(request, devices=devices), files, __version__)

    def unpacked(self, folder: Path) -> "Request":
        """The request with its files in a folder of this node."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        weights, kernel = self.request.weights, self.request.kernel
        return replace(
            self.request,
            weights=None if weights is None else folder / weights.name,
            kernel=None if kernel is None else folder / kernel.name,
        )


def _other_parts(weights: Path | None) -> list[Path]:
    """What lies beside a weight file and may belong to it: graphs in several files."""
    if weights is None:
        return []
    stem = weights.stem.removesuffix("-estimator").removesuffix("-restorer")
    beside = weights.parent.glob(f"{glob.escape(stem)}*.onnx")
    return [path for path in beside if path != weights]


class _Actor:
    """A worker process of Ray."""

    def __init__(self, shipped: _Shipped) -> None:
        """Load nothing yet: Ray retries a failing constructor without end."""
        self._shipped = shipped
        self._folder = tempfile.TemporaryDirectory(prefix="dcls-")
        self._worker: Worker | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Work on one task: {number: (1,), task: (1,)} -> {number: [1], events: [1]}."""
        task: Task = pickle.loads(batch["task"][0])  # noqa: S301 - from the command
        events: list[Event] = []

        def take(event: Event) -> None:
            if isinstance(event, Finished | Skipped | Noted):
                events.append(event)

        try:
            self._ready(take).work(task, take)
        except DclsError as error:
            events.append(Failed(task.source, error, task))
        except Exception as error:
            text = f"internal error: {type(error).__name__}: {error}"
            events.append(Failed(task.source, DclsError(text), task))
        return {"number": [int(batch["number"][0])], "events": [pickle.dumps(events)]}

    def _ready(self, take: Callable[[Event], None]) -> Worker:
        if self._worker is None:
            if self._shipped.version != __version__:
                raise BackendError(
                    f"{socket.gethostname()} has dcls {__version__}, the command "
                    f"{self._shipped.version}; install the same version on all nodes"
                )
            request = self._shipped.unpacked(Path(self._folder.name))
            (self._worker,) = workers_of(request, note=lambda text: take(Noted(text)))
        return self._worker
