"""When runs are recorded and when not.

A recording here is the run itself with memory of its own; a CUDA graph is tested where there is a
GPU.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dcls_cli.backends.gpu import EAGER_RUNS, Captured, CudaGraph, Run
from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS, Blur, repeated

CONFIG = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)


class Fixed:
    """A recording that, as a CUDA graph does, always reads and writes the same memory."""

    made = 0

    def __init__(self, run: Run, lr: torch.Tensor, blur: Blur) -> None:
        Fixed.made += 1
        self.replays = 0
        self._run = run
        self._lr = lr.clone()
        self._kernel = blur.kernel.clone()
        self._rest = [None if part is None else part.clone() for part in blur[1:]]
        self._sr = run(self._lr, Blur(self._kernel, *self._rest))

    def __call__(self, lr: torch.Tensor, blur: Blur) -> torch.Tensor:
        self.replays += 1
        self._lr.copy_(lr)
        self._kernel.copy_(blur.kernel)
        for mine, other in zip(self._rest, blur[1:], strict=True):
            if mine is not None:
                mine.copy_(other)
        self._sr.copy_(self._run(self._lr, Blur(self._kernel, *self._rest)))
        return self._sr.clone()


@pytest.fixture
def network() -> DCLS:
    Fixed.made = 0
    torch.manual_seed(0)
    return DCLS(CONFIG).eval()


def inputs(network: DCLS, seed: int, side: int = 12, count: int = 2) -> tuple[torch.Tensor, Blur]:
    lr = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        return lr, repeated(network.estimate(lr[:1]), count)


@torch.inference_mode()
def test_a_shape_that_comes_again_is_recorded_once_and_gives_the_same(network: DCLS) -> None:
    captured = Captured(network.restore, Fixed)
    for seed in range(EAGER_RUNS + 4):
        assert Fixed.made == (seed > EAGER_RUNS)
        lr, blur = inputs(network, seed)
        torch.testing.assert_close(captured(lr, blur), network.restore(lr, blur))
    assert Fixed.made == 1
    assert captured.take_notes() == []


@torch.inference_mode()
def test_results_stay_when_the_recording_runs_again(network: DCLS) -> None:
    captured = Captured(network.restore, Fixed)
    given = [inputs(network, seed) for seed in range(EAGER_RUNS + 4)]
    results = [captured(*each) for each in given]
    for result, each in zip(results, given, strict=True):
        torch.testing.assert_close(result, network.restore(*each))


@torch.inference_mode()
def test_other_shapes_run_as_they_are_until_they_come_often(network: DCLS) -> None:
    captured = Captured(network.restore, Fixed)
    for seed in range(EAGER_RUNS + 1):
        captured(*inputs(network, seed))
    for side, count in ((12, 1), (9, 2)):
        lr, blur = inputs(network, 0, side, count)
        torch.testing.assert_close(captured(lr, blur), network.restore(lr, blur))
        assert Fixed.made == 1
    for seed in range(EAGER_RUNS):
        lr, blur = inputs(network, seed, 9)
        torch.testing.assert_close(captured(lr, blur), network.restore(lr, blur))
    assert Fixed.made == 2


def sizes_of_eval() -> list[tuple[int, int]]:
    """`dcls eval`: whole images of ten sizes, each with eight blurs."""
    return [(8 + side, 1) for side in range(10) for _ in range(8)]


def sizes_of_small_photos() -> list[tuple[int, int]]:
    """Photos of a batch of six and a batch of five tiles."""
    return [(12, count) for _ in range(40) for count in (6, 5)]


def sizes_of_photos_in_turns() -> list[tuple[int, int]]:
    """Two large photos at a time whose tiles have different sizes."""
    return [(side, 2) for _ in range(40) for side in (11, 12)]


def sizes_of_a_folder() -> list[tuple[int, int]]:
    """Large photos with tiles of two sizes, each with a smaller batch at its end."""
    return [(12 + photo // 5, count) for photo in range(10) for count in [4] * 30 + [3]]


@pytest.mark.parametrize(
    ("sizes", "recordings"),
    [
        (sizes_of_eval(), 0),
        (sizes_of_small_photos(), 0),
        (sizes_of_photos_in_turns(), 0),
        (sizes_of_a_folder(), 2),
    ],
)
def test_few_recordings_for_many_sizes(sizes: list[tuple[int, int]], recordings: int) -> None:
    """A recording costs more than some tens of runs."""
    made = []

    def record(run: Run, lr: torch.Tensor, blur: Blur) -> Run:
        made.append(lr.shape)
        return run

    captured = Captured(lambda lr, blur: lr, record)
    for side, count in sizes:
        captured(torch.empty(count, 3, side, side), Blur(torch.empty(count, 1, 5, 5), None, None))
    assert len(made) == recordings


@torch.inference_mode()
def test_what_cannot_be_recorded_runs_as_it_is_and_is_told_once(network: DCLS) -> None:
    tries = []

    def refuse(run: Run, lr: torch.Tensor, blur: Blur) -> Run:
        tries.append(tuple(lr.shape))
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB.")

    captured = Captured(network.restore, refuse)
    for seed in range(EAGER_RUNS + 3):
        lr, blur = inputs(network, seed)
        torch.testing.assert_close(captured(lr, blur), network.restore(lr, blur))
    for seed in range(EAGER_RUNS + 3):  # nor is anything else recorded after that
        captured(*inputs(network, seed, 9))
    assert tries == [(2, 3, 12, 12)]
    (note,) = captured.take_notes()
    assert note == (
        "no CUDA graph of 2 tiles of 12x12 pixels, they take longer: CUDA out of memory."
    )
    assert captured.take_notes() == []


@torch.inference_mode()
def test_the_cause_is_told_and_not_what_follows_from_it(network: DCLS) -> None:
    """PyTorch ends a recording that failed, which fails as well."""

    def refuse(run: Run, lr: torch.Tensor, blur: Blur) -> Run:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    captured = Captured(network.restore, refuse)
    for seed in range(EAGER_RUNS + 1):
        captured(*inputs(network, seed))
    (note,) = captured.take_notes()
    assert note.endswith("they take longer: CUDA out of memory.")


@torch.inference_mode()
def test_a_forgotten_shape_is_not_recorded_again(network: DCLS) -> None:
    captured = Captured(network.restore, Fixed)
    for seed in range(EAGER_RUNS + 1):
        captured(*inputs(network, seed))
    captured.forget()
    for seed in range(EAGER_RUNS + 1):
        lr, blur = inputs(network, seed)
        torch.testing.assert_close(captured(lr, blur), network.restore(lr, blur))
    assert Fixed.made == 1


def test_threads_take_turns(network: DCLS) -> None:
    captured = Captured(network.restore, Fixed)
    given = [inputs(network, seed) for seed in range(EAGER_RUNS + 12)]

    def restored(each: tuple[torch.Tensor, Blur]) -> torch.Tensor:
        with torch.inference_mode():
            return captured(*each)

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(restored, given))
    assert Fixed.made == 1
    with torch.inference_mode():
        for result, each in zip(results, given, strict=True):
            torch.testing.assert_close(result, network.restore(*each))


@pytest.mark.gpu
@torch.inference_mode()
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_cuda_graph_gives_what_the_run_gives(network: DCLS, precision: torch.dtype) -> None:
    network.cuda().to(memory_format=torch.channels_last)

    def run(lr: torch.Tensor, blur: Blur) -> torch.Tensor:
        with torch.autocast("cuda", precision, precision != torch.float32):
            return network.restore(lr, blur)

    given = []
    for seed in range(5):
        lr = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)).cuda()
        given.append((lr, repeated(network.estimate(lr[:1]), 2)))
    graph = CudaGraph(run, *given[0])
    results = [graph(*each) for each in given]
    for result, each in zip(results, given, strict=True):
        torch.testing.assert_close(result, run(*each), atol=1e-5, rtol=1e-4)
