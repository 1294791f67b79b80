"""Devices and precisions: what `auto` chooses, and what is refused."""

import subprocess

import pytest
import torch

from dcls_cli.backends.devices import (
    has_fast_bf16,
    processor_vendor,
    select_device,
    select_precision,
)
from dcls_cli.errors import BackendError

CPU = torch.device("cpu")


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
