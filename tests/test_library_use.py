"""`dcls` within other programs: arrays of any kind go in, and what the caller has set stays."""

import logging
import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcls_cli
from dcls_cli.errors import ImageError, KernelError
from dcls_cli.image.photo import from_array
from dcls_cli.upscaler import Upscaler

NETWORK = "dcls-light-x4"


@pytest.fixture(scope="module", params=["fp32", "int8"])
def upscaler(request: pytest.FixtureRequest) -> Upscaler:
    return Upscaler.from_pretrained(NETWORK, device="cpu", precision=request.param)


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (20, 24), np.uint8)


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "matrix": np.matrix,
    "a mask that hides nothing": np.ma.masked_array,
    "record array": lambda array: array.view(np.recarray),
    "columns first": np.asfortranarray,
    "every other row": lambda array: np.repeat(array, 2, axis=0)[::2],
    "upside down": lambda array: np.ascontiguousarray(array[::-1])[::-1],
    "read-only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_arrays_give_the_picture_of_the_plain_array(
    kind: str, upscaler: Upscaler, grey: np.ndarray
) -> None:
    given = KINDS[kind](grey)
    before = np.array(given)
    result = upscaler.up(given).image
    assert type(result) is np.ndarray
    assert np.array_equal(result, upscaler.up(grey).image)
    assert np.array_equal(np.array(given), before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f4", "<f8", ">f8", "f2"])
def test_byte_order_does_not_matter(dtype: str, upscaler: Upscaler, grey: np.ndarray) -> None:
    floats = np.dtype(dtype).kind == "f"
    given = (grey / 255).astype(dtype) if floats else (grey * 257.0).astype(dtype)
    result = upscaler.up(given).image
    assert result.dtype == np.dtype(dtype)
    native = given.astype(given.dtype.newbyteorder("="))
    assert np.array_equal(result, upscaler.up(native).image)


def test_masked_pixels_are_refused(upscaler: Upscaler, grey: np.ndarray) -> None:
    """They would enter the network undivided, with a wrong picture in all of their surroundings."""
    array = np.ma.masked_array(grey, mask=grey < 100)
    with pytest.raises(ImageError, match="masked pixels are not supported"):
        upscaler.up(array)
    with pytest.raises(ImageError, match="masked pixels are not supported"):
        upscaler.up(np.ma.masked_invalid([[np.nan, 0.5], [0.5, 0.5]]))
    with pytest.raises(KernelError, match="masked taps are not supported"):
        upscaler.up(grey, kernel=np.ma.masked_less(np.eye(3), 0.5))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((4, 4), np.nan), "not finite"),
        (np.full((4, 4), np.inf), "not finite"),
        (np.full((4, 4), 300.0), "divide by the value of white"),
        (np.zeros((4, 4), bool), "got bool"),
        (np.zeros((4, 4), complex), "got complex128"),
        (np.zeros((4, 4), object), "got object"),
        (np.zeros((4, 4), "datetime64[s]"), r"got datetime64\[s\]"),
        (np.zeros((4, 4), [("r", "u1"), ("g", "u1")]), "uint8, uint16 or floats"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused_for_what_they_are(
    array: np.ndarray, said: str
) -> None:
    with pytest.raises(ImageError, match=said) as refusal:
        from_array(array)
    assert ("divide" in str(refusal.value)) == ("divide" in said)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [torch.nn.Parameter, torch.Tensor.contiguous])
def test_tensors_of_subclasses_and_with_gradients(
    kind: Callable[[torch.Tensor], torch.Tensor], upscaler: Upscaler
) -> None:
    tensor = torch.rand(3, 20, 24, generator=torch.Generator().manual_seed(0))
    result = upscaler.up(kind(tensor.clone().requires_grad_())).image
    assert torch.equal(result, upscaler.up(tensor).image)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


#: What callers have set when they load or restore.
SETTINGS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "float64 by default": lambda: default_dtype(torch.float64),
    "float16 by default": lambda: default_dtype(torch.float16),
    "meta by default": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "deterministic": deterministic,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [NETWORK, "dcls-photo-x4"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("when", ["loads", "restores", "does both"])
def test_what_the_caller_has_set_does_not_change_the_picture(
    setting: str, when: str, name: str, grey: np.ndarray
) -> None:
    load_in = SETTINGS[setting] if when != "restores" else nullcontext
    restore_in = SETTINGS[setting] if when != "loads" else nullcontext
    with load_in():
        upscaler = Upscaler.from_pretrained(name, device="cpu", precision="fp32")
    with restore_in():
        result = upscaler.up(grey)
    usual = Upscaler.from_pretrained(name, device="cpu", precision="fp32").up(grey)
    assert np.array_equal(result.image, usual.image)
    assert np.array_equal(result.kernel, usual.kernel)


def state() -> dict[str, object]:
    """What is global in a Python process, and belongs to the caller."""
    return {
        "default type": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "threads between operations": torch.get_num_interop_threads(),
        "torch's random numbers": torch.get_rng_state().numpy().tobytes(),
        "NumPy's random numbers": str(np.random.get_state()),  # noqa: NPY002
        "Python's random numbers": random.getstate(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "products": torch.get_float32_matmul_precision(),
        "TF32": torch.backends.cudnn.allow_tf32,
        "NumPy's errors": np.geterr(),
        "printing": np.get_printoptions(),
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "handlers": list(logging.getLogger().handlers),
        "level": logging.getLogger().level,
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "umask": _umask(),
        "stdout": sys.stdout,
        "stderr": sys.stderr,
        "hook": sys.excepthook,
        "recursion": sys.getrecursionlimit(),
    }


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_state_of_the_caller_is_the_same_after_as_before(
    precision: str, grey: np.ndarray, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)  # more than there are processors
    try:
        before = state()
        upscaler = Upscaler.from_pretrained(NETWORK, device="cpu", precision=precision)
        upscaler.up(grey)
        upscaler.up(torch.rand(3, 9, 9, generator=torch.Generator()))
        photo = tmp_path / "photo.png"
        upscaler.up(np.dstack([grey] * 4))
        Image.fromarray(grey).save(photo)
        options = {"model": NETWORK, "device": "cpu", "precision": precision}
        dcls_cli.upscale_file(photo, **options)  # type: ignore[arg-type]
        devices = {"model": NETWORK, "devices": ("cpu",), "precision": precision}
        list(dcls_cli.upscale_files(tmp_path, tmp_path / "out", **devices))  # type: ignore[arg-type]
        after = state()
    finally:
        torch.set_num_threads(threads)
    assert {name: after[name] for name in before} == before


FORKING = """
import multiprocessing, sys, warnings
import numpy as np
from dcls_cli import Upscaler

warnings.simplefilter("ignore")
picture = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)

def load():
    return Upscaler.from_pretrained("dcls-light-x4", device="cpu", precision=sys.argv[1])

def child(inherited, results):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        image = (inherited or load()).up(picture).image
    results.put((image, any("spawn" in str(item.message) for item in said)))

context = multiprocessing.get_context("fork")
upscaler = load()
expected = upscaler.up(picture).image.astype(int)
for inherited in (None, upscaler):
    results = context.Queue()
    process = context.Process(target=child, args=(inherited, results))
    process.start()
    image, told = results.get(timeout=100)
    process.join(100)
    assert process.exitcode == 0
    assert abs(image - expected).max() <= 1
    assert told == (sys.argv[1] == "fp32")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_forked_process_does_not_wait_for_threads_that_it_lacks(precision: str) -> None:
    """Which PyTorch does for ever, with more than one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", FORKING, precision]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr.decode()


STAYING = """
import os
import numpy as np
from dcls_cli import Upscaler

picture = np.zeros((40, 48, 3), np.uint8)
upscaler = Upscaler.from_pretrained("dcls-light-x4", device="cpu", precision="fp32")
threads = []
for _ in range(2):
    upscaler.up(picture)
    threads.append(set(os.listdir("/proc/self/task")))
assert threads[0] == threads[1] and len(threads[0]) > 2, threads
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed in /proc")
def test_no_thread_ends_with_a_photo() -> None:
    """One that ends holds locks of MKL for a moment, and a process forked then waits for ever."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", STAYING]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode()
