"""Names of the files of a network's parts.

`NAME-estimator.onnx` goes with `NAME-restorer.onnx`, and with a restorer in a precision of its own,
`NAME-restorer-int8.onnx`. Some networks have `NAME-smoothing.onnx` and `NAME-gates.onnx` too.
"""

import re
from pathlib import Path

from dcls_cli.errors import WeightsError
from dcls_cli.graphs.files import Kind

SUFFIX = ".onnx"

#: Precision of a restorer whose name has none.
EXACT = "fp32"

_PART = re.compile(
    r"(?P<name>.*)-(?P<kind>estimator|smoothing|gates|restorer)(?:-(?P<precision>fp16|int8))?"
)


def part(path: Path, kind: Kind, precision: str = EXACT) -> Path:
    """The file of a part that `--split -o PATH` writes.

    Args:
        path: NAME.onnx.
        kind: of the part.
        precision: of a restorer.
    """
    suffix = "" if precision == EXACT else f"-{precision}"
    return path.with_name(f"{path.stem}-{kind}{suffix}{SUFFIX}")


def halves(path: Path, precision: str = EXACT) -> tuple[Path, Path]:
    """The files of the two parts that every network has: estimator and restorer, see `part`."""
    return part(path, "estimator"), part(path, "restorer", precision)


def named(path: Path) -> tuple[Path, Kind]:
    """NAME.onnx of a part, and which part it is, by its name.

    Raises:
        WeightsError: the name is that of none.
    """
    match = _PART.fullmatch(path.stem)
    if match is None or (match["precision"] and match["kind"] != "restorer"):
        raise WeightsError(
            f"{path}: the parts of a network are NAME-estimator{SUFFIX} and "
            f"NAME-restorer{SUFFIX}; give each of them its name back"
        )
    kind: Kind = match["kind"]  # type: ignore[assignment]  # the pattern has no other
    return path.with_name(match["name"] + SUFFIX), kind


def exact(path: Path) -> Path:
    """The restorer in fp32 that goes with a part.

    Raises:
        WeightsError: the name is that of none.
    """
    return part(named(path)[0], "restorer")
