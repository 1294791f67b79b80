"""The tensors within a safetensors file, looked at without PyTorch."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from safetensors import deserialize

#: Of floating-point types by their names in safetensors: the word that holds one, its exponent.
_EXPONENTS = {
    "F64": ("<u8", 0x7FF0000000000000),
    "F32": ("<u4", 0x7F800000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}


@dataclass(frozen=True)
class Survey:
    """What the tensors of a file are.

    Attributes:
        values: numbers in all tensors.
        not_finite: names of the tensors with NaN or infinity.
    """

    values: int
    not_finite: list[str]


def survey(content: bytes) -> Survey:
    """Count the values and find those that are not finite.

    Raises:
        SafetensorError: it is not the content of such a file.
    """
    import numpy as np

    values, not_finite = 0, []
    for name, tensor in deserialize(content):  # type: ignore[no-untyped-call]
        values += math.prod(tensor["shape"])
        if tensor["dtype"] in _EXPONENTS:
            word, exponent = _EXPONENTS[tensor["dtype"]]
            # All ones in NaN and infinity. The numbers themselves: NumPy has no bf16.
            bits = np.frombuffer(tensor["data"], word)
            if ((bits & exponent) == exponent).any():
                not_finite.append(name)
    return Survey(values, not_finite)


def digest(content: bytes, metadata: Mapping[str, str]) -> str:
    """SHA-256 of every tensor's name, type, shape and bytes and of the metadata.

    Raises:
        SafetensorError: it is not the content of such a file.
    """
    found = hashlib.sha256()
    for key, text in sorted(metadata.items()):
        found.update(f"{key}\0{text}\0".encode())
    for name, tensor in sorted(deserialize(content)):  # type: ignore[no-untyped-call]
        found.update(f"{name}\0{tensor['dtype']}\0{tensor['shape']}\0".encode())
        found.update(tensor["data"])
    return found.hexdigest()
