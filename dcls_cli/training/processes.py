"""The processes of one run, as `torchrun` starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Process:
    """rank: index of this process, of which 0 talks and writes; device: what it trains on."""

    rank: int
    device: torch.device


@contextmanager
def joined(device: torch.device) -> Iterator[Process]:
    """Meet the other processes, if there are any, and part from them at the end.

    Args:
        device: the CPU, or CUDA; without an index each process takes the card of its local rank.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Process(0, device)
        return
    if device.type == "cuda":
        if str(device) == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    # Gloo carries what concerns the clock and stopping, which must not wait for the device.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Process(dist.get_rank(), device)
    finally:
        dist.destroy_process_group()


def true_anywhere(*flags: bool) -> list[bool]:
    """For each flag, whether it is true in any process; all processes must ask.

    On the CPU, where the processes talk without waiting for the device.
    """
    if not dist.is_initialized():
        return list(flags)
    agreed = torch.tensor(flags, dtype=torch.uint8)
    dist.all_reduce(agreed, dist.ReduceOp.MAX)
    return [bool(flag) for flag in agreed.tolist()]
