"""Run methods over the images of a benchmark: in order, in parallel, and again after an end."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from dcls_cli.errors import DclsError
from dcls_cli.evaluation.benchmarks import BENCHMARKS, Item
from dcls_cli.evaluation.kernel_metrics import kernel_figures
from dcls_cli.evaluation.methods import MethodSpec
from dcls_cli.evaluation.restorers import Method
from dcls_cli.evaluation.rows import ResultStore, Row, key_of
from dcls_cli.evaluation.samples import Sample, as_input
from dcls_cli.files import platforms

#: Fewer images than this for each process do not pay for its start.
IMAGES_PER_PROCESS = 4

#: Windows waits for no more at a time; see `concurrent.futures`.
_MOST_ON_WINDOWS = 61

#: Called with (images finished, images).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What is to be evaluated.

    Attributes:
        benchmark: name of one of `BENCHMARKS`.
        scale: up-scaling factor.
        items: the images.
        methods: what restores them.
        kernels: whether estimated kernels are measured too.
    """

    benchmark: str
    scale: int
    items: Sequence[Item]
    methods: Sequence[MethodSpec]
    kernels: bool = False


@dataclass(frozen=True)
class _Task:
    """One image, and the methods whose figures are missing."""

    benchmark: str
    scale: int
    item: Item
    methods: tuple[MethodSpec, ...]
    kernels: bool


def evaluate(
    plan: Plan, store: ResultStore, *, jobs: int = 1, progress: Progress | None = None
) -> dict[str, list[Row]]:
    """Rows of each method by its name, in the order of the images and cases.

    Args:
        plan: what is measured.
        store: has earlier results; gets new ones, image by image.
        jobs: processes; the CPU's cores are divided among them.
        progress: called after each image.

    Raises:
        DclsError: an image, a method or the store does not work; finished results are kept.
    """
    fingerprints = {method.name: method.fingerprint() for method in plan.methods}
    keys: dict[tuple[str, int], str] = {}
    results: dict[tuple[str, int], list[Row]] = {}
    tasks: dict[int, _Task] = {}
    for index, item in enumerate(plan.items):
        digest = item.digest()
        for method in plan.methods:
            place = method.name, index
            keys[place] = key_of(
                protocol=BENCHMARKS[plan.benchmark].version,
                scale=plan.scale,
                image=digest,
                method=fingerprints[method.name],
                kernels=plan.kernels,
            )
            rows = store.get(keys[place])
            if rows is not None:
                # The same bytes under another name have the same figures.
                results[place] = [replace(row, image=item.hr.name) for row in rows]
        missing = tuple(method for method in plan.methods if (method.name, index) not in results)
        if missing:
            tasks[index] = _Task(plan.benchmark, plan.scale, item, missing, plan.kernels)
    finished = len(plan.items) - len(tasks)
    for index, by_name in _executed(tasks, jobs):
        for name, rows in by_name.items():
            about = {"method": name, "image": plan.items[index].hr.name}
            store.put(keys[name, index], {**about, "benchmark": plan.benchmark}, rows)
            results[name, index] = rows
        finished += 1
        if progress is not None:
            progress(finished, len(plan.items))
    return {
        method.name: [
            row for index in range(len(plan.items)) for row in results[method.name, index]
        ]
        for method in plan.methods
    }


def restored_rows(sample: Sample, method: Method, *, kernels: bool) -> list[Row]:
    """Restore and measure every LR image of a sample, and the kernels where asked for."""
    rows = []
    for index, lr in enumerate(sample.lr):
        restored = method.restore(as_input(lr), sample.file(index))
        row = sample.row(index, restored.sr)
        figures = None
        if kernels and restored.estimate is not None:
            figures = kernel_figures(sample, index, restored.estimate)
        if figures is not None:
            row = replace(
                row,
                lr_psnr=figures.lr_psnr,
                kernel_error_hr=figures.error_hr,
                kernel_error_lr=figures.error_lr,
            )
        rows.append(row)
    return rows


def processes_for(images: int, device: str) -> int:
    """How many processes pay: one for each core, unless there are few images or a GPU computes."""
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    return 1 if on_gpu else max(1, min(cores(), images // IMAGES_PER_PROCESS))


def most_processes() -> int:
    """As many as Python can wait for at a time on Windows; elsewhere there is no such number."""
    return _MOST_ON_WINDOWS if platforms.ON_WINDOWS else sys.maxsize


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _executed(tasks: dict[int, _Task], jobs: int) -> Iterator[tuple[int, dict[str, list[Row]]]]:
    """Results as they come: in this process, or in others."""
    if jobs <= 1 or len(tasks) <= 1:
        for index, task in tasks.items():
            yield index, _run(task)
        return
    with _workers(min(jobs, len(tasks), most_processes())) as pool:
        futures = {pool.submit(_run, task): index for index, task in tasks.items()}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool as error:
                raise DclsError(
                    "a process of the evaluation was killed, perhaps for want of memory; "
                    "give fewer --jobs"
                ) from error


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, however it ends."""
    threads = max(1, cores() // count)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, _begin_work, (threads,))
    before = set(multiprocessing.active_children())
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_work(threads: int) -> None:
    """A worker leaves Ctrl-C to its parent, shares the cores, and does not outlive the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(threads)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _run(task: _Task) -> dict[str, list[Row]]:
    """Damage an image, restore it by each method, measure."""
    sample = BENCHMARKS[task.benchmark].prepare(task.item, task.scale)
    return {
        method.name: restored_rows(sample, loaded_method(method, task.scale), kernels=task.kernels)
        for method in task.methods
    }


@lru_cache(maxsize=8)
def loaded_method(spec: MethodSpec, scale: int) -> Method:
    """A method, loaded once in a process."""
    return spec.load(scale)
