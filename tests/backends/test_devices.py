"""Devices and precisions: what `auto` chooses, and what is refused."""

import subprocess
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from dcls_cli.backends.devices import (
    exact_fp32,
    has_fast_bf16,
    processor_vendor,
    select_device,
    select_precision,
    translated_memory_errors,
)
from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.config import ModelConfig
from dcls_cli.errors import BackendError, OutOfMemoryError
from dcls_cli.network.dcls import DCLS
from dcls_cli.speed.pytorch import measure
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.processes import translated_errors

CPU = torch.device("cpu")
CONFIG = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)


@pytest.mark.parametrize(
    ("processor", "flags", "vendor", "fast"),
    [
        ("Zen 4 and 5", ["avx512_bf16"], "AuthenticAMD", True),
        ("Zen 3", [], "AuthenticAMD", False),
        ("Sapphire Rapids", ["avx512_bf16", "amx_bf16"], "GenuineIntel", True),
        ("Sapphire Rapids in a virtual machine", ["avx512_bf16"], "GenuineIntel", False),
        ("Ice Lake", [], "GenuineIntel", False),
        ("an unknown one with AMX", ["amx_bf16"], "", True),
        ("an unknown one without", ["avx512_bf16"], "", False),
    ],
)
def test_bf16_is_chosen_where_it_was_faster(
    processor: str, flags: list[str], vendor: str, fast: bool
) -> None:
    capabilities = {"avx512_bf16": False, "amx_bf16": False} | dict.fromkeys(flags, True)
    assert has_fast_bf16(capabilities, vendor) is fast, processor


def test_auto_follows_what_the_system_says_about_its_processor() -> None:
    try:
        said = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout.split()
    except OSError:
        pytest.skip("no lscpu to compare with")
    assert processor_vendor() in said
    fast = "amx_bf16" in said or ("avx512_bf16" in said and "AuthenticAMD" in said)
    assert select_precision("auto", CPU) == ("bf16" if fast else "fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_precision_that_is_named_is_used(precision: str) -> None:
    assert select_precision(precision, CPU) == precision


def test_cuda_without_cuda_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert select_device("auto") == CPU
    with pytest.raises(BackendError, match="use --device cpu"):
        select_device("cuda:0")


def test_apple_gpus_are_refused_with_the_reason() -> None:
    with pytest.raises(BackendError, match="mps.*float64; use --device cpu"):
        select_device("mps")


def precisions() -> list[str]:
    """What fp32 is computed in now, in convolutions and products of GPUs and CPUs."""
    cudnn, mkldnn = torch.backends.cudnn, torch.backends.mkldnn
    products = (torch.backends.cuda.matmul, mkldnn.matmul)
    return [each.fp32_precision for each in (cudnn.conv, cudnn.rnn, mkldnn.conv, *products)]


@pytest.fixture
def inexact() -> Iterator[list[str]]:
    """A program around this one that allows TF32 and bf16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield precisions()
    finally:
        torch.set_float32_matmul_precision(before)


def test_fp32_is_fp32_inside_and_what_the_caller_allows_outside(inexact: list[str]) -> None:
    assert {"tf32", "bf16"} < set(inexact)
    with exact_fp32():
        with exact_fp32():
            assert set(precisions()) == {"ieee"}
        assert set(precisions()) == {"ieee"}
        # The old names of the settings raise an error where they contradict the new ones.
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.get_float32_matmul_precision() == "highest"
    assert precisions() == inexact
    assert torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "medium"


def test_fp32_lasts_until_the_last_thread_leaves(inexact: list[str]) -> None:
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with exact_fp32():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=stay)
    with exact_fp32():
        other.start()
        assert inside.wait(10)
    assert set(precisions()) == {"ieee"}
    leave.set()
    other.join()
    assert precisions() == inexact


def test_settings_that_the_old_names_cannot_say_come_back() -> None:
    conv = torch.backends.cudnn.conv
    before, conv.fp32_precision = conv.fp32_precision, "ieee"  # but not that of rnn
    try:
        given = precisions()
        with exact_fp32():
            assert set(precisions()) == {"ieee"}
        assert precisions() == given
    finally:
        conv.fp32_precision = before
    assert torch.backends.cudnn.allow_tf32


def test_an_error_inside_gives_the_settings_back(inexact: list[str]) -> None:
    with pytest.raises(ZeroDivisionError), exact_fp32():
        raise ZeroDivisionError
    assert precisions() == inexact


def test_engines_training_and_bench_compute_in_exact_fp32(
    inexact: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them convolves; what fp32 is then is looked at in every single call."""
    seen: set[str] = set()
    real = torch.nn.functional.conv2d

    def watched(*given: torch.Tensor, **options: int) -> torch.Tensor:
        seen.update(precisions())
        return real(*given, **options)

    monkeypatch.setattr(torch.nn.functional, "conv2d", watched)
    backend = PyTorchBackend(DCLS(CONFIG), "cpu", "fp32")
    image = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    backend.restore(image, backend.estimate(image[0]))
    assert seen == {"ieee"}
    seen.clear()
    measure(
        CONFIG,
        TrainConfig(patch=16, batch=1),
        CPU,
        side_px=16,
        tile_px=16,
        seconds=0.01,
    )
    assert seen == {"ieee"}
    assert precisions() == inexact


@pytest.mark.parametrize(
    "text",
    [
        "cuFFT error: CUFFT_ALLOC_FAILED",
        "cuFFT error: CUFFT_INTERNAL_ERROR",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
        "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
    ],
)
def test_memory_that_a_library_lacks_leads_to_smaller_tiles(text: str) -> None:
    with pytest.raises(OutOfMemoryError), translated_memory_errors((1, 3, 8, 8)):
        raise RuntimeError(text)
    with pytest.raises(OutOfMemoryError, match="--accumulate 2"), translated_errors():
        raise RuntimeError(text)


def test_other_errors_of_the_libraries_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="ARCH_MISMATCH"), translated_memory_errors((8, 8)):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ARCH_MISMATCH")
