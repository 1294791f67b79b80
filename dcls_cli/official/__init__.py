"""The authors' weights (github.com/megvii-research/DCLS-SR) as weight files of dcls."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dcls_cli import weights
from dcls_cli.config import KernelNorm
from dcls_cli.errors import DclsError, UsageError, WeightsError
from dcls_cli.network.dcls import DCLS
from dcls_cli.official.names import recognise, rename
from dcls_cli.official.reading import read_bytes, read_tensors

__all__ = ["PROVENANCE", "convert", "recognise", "rename"]

PROVENANCE: Mapping[str, str] = {
    "authors": "Ziwei Luo, Haibin Huang, Lei Yu, Youwei Li, Haoqiang Fan, Shuaicheng Liu",
    "paper": "Deep Constrained Least Squares for Blind Image Super-Resolution, CVPR 2022",
    "source": "github.com/megvii-research/DCLS-SR, MIT licence, (c) 2022 Megvii Inc.",
}


def convert(
    path_in: Path, path_out: Path, *, overwrite: bool, kernel_norm: KernelNorm | None = None
) -> None:
    """Write the authors' weights as a weight file of dcls.

    Args:
        path_in: their `.pth`, or a safetensors file with their names.
        path_out: the file to write, replaced whole or not at all.
        overwrite: whether an existing `path_out` may be replaced.
        kernel_norm: how the network normalises its kernel; None: by the kernel size.

    Raises:
        UsageError: input and output are the same file.
        WeightsError: the input is missing, damaged, or holds anything but the authors' tensors.
        DclsError: the output exists or cannot be written.
    """
    if path_out.exists():
        if path_in.exists() and path_out.samefile(path_in):
            raise UsageError(f"{path_out}: the output of a conversion must be another file")
        if not overwrite:
            raise DclsError(f"{path_out}: not written: exists already")
    try:
        content = read_bytes(path_in)
        state = read_tensors(content)
        config = recognise(state)
        network = DCLS(replace(config, kernel_norm=kernel_norm or config.kernel_norm))
        network.load_state_dict(rename(state))
    except WeightsError as error:
        raise WeightsError(f"{path_in}: {error}") from error
    metadata = {
        **PROVENANCE,
        "source_file": path_in.name,
        "source_sha256": hashlib.sha256(content).hexdigest(),
    }
    weights.write(network, path_out, metadata, overwrite=overwrite)
