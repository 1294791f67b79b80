"""Names of the files of a network's halves.

`NAME-estimator.onnx` goes with `NAME-restorer.onnx`, and with a restorer in a precision of its own,
`NAME-restorer-int8.onnx`.
"""

import re
from pathlib import Path

from dcls_cli.errors import WeightsError

SUFFIX = ".onnx"

#: Precision of a restorer whose name has none.
EXACT = "fp32"

_HALF = re.compile(r"(?P<name>.*)-(?P<half>estimator|restorer)(?:-(?P<precision>fp16|int8))?")


def halves(path: Path, precision: str = EXACT) -> tuple[Path, Path]:
    """Files of the estimator and of the restorer that `--split -o PATH` writes.

    Args:
        path: NAME.onnx.
        precision: of the restorer.
    """
    suffix = "" if precision == EXACT else f"-{precision}"
    return (
        path.with_name(f"{path.stem}-estimator{SUFFIX}"),
        path.with_name(f"{path.stem}-restorer{suffix}{SUFFIX}"),
    )


def partner(path: Path) -> Path:
    """The file of the other half; of an estimator the restorer in fp32.

    Raises:
        WeightsError: the name is that of neither.
    """
    estimator, restorer = halves(_whole(path))
    return restorer if path == estimator else estimator


def exact(path: Path) -> Path:
    """The restorer in fp32 that goes with a half.

    Raises:
        WeightsError: the name is that of neither.
    """
    return halves(_whole(path))[1]


def _whole(path: Path) -> Path:
    """NAME.onnx of a half."""
    match = _HALF.fullmatch(path.stem)
    if match is None or (match["half"] == "estimator" and match["precision"]):
        raise WeightsError(
            f"{path}: the halves of a network are NAME-estimator{SUFFIX} and "
            f"NAME-restorer{SUFFIX}; give one of them its name back"
        )
    return path.with_name(match["name"] + SUFFIX)
