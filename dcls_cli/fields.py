"""What the fields of a model's configuration may hold: a weight file can say anything."""

import math
from collections.abc import Iterable
from typing import Literal, get_args, get_origin

from dcls_cli.errors import WeightsError

#: No count in a configuration is larger; a damaged file must not ask for all memory.
LARGEST = 1024

_MAY_BE_ZERO = ("head_blocks", "estimator_blocks", "skip_taper")


def check_value(name: str, value: object, kind: object) -> None:
    """Refuse a value that is not of the type of its field, or no network can have.

    Args:
        name: of the field.
        value: what it is to hold.
        kind: its annotation: a `Literal`, bool, int, float, or a tuple of odd widths.

    Raises:
        WeightsError: it does not fit.
    """
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        fitting = any(value == item and type(value) is type(item) for item in allowed)
        expected = listed(allowed)
    elif kind is bool:
        fitting, expected = isinstance(value, bool), "true or false"
    elif kind is int:
        lowest = 0 if name in _MAY_BE_ZERO else 1
        fitting = type(value) is int and lowest <= value <= LARGEST
        expected = f"a whole number from {lowest} to {LARGEST}"
    elif kind is float:
        fitting = type(value) in (int, float) and 0 <= value < math.inf  # type: ignore[operator]
        expected = "a number of at least 0"
    else:
        fitting = type(value) is tuple and all(
            type(width) is int and 1 <= width <= LARGEST and width % 2 for width in value
        )
        expected = "odd whole numbers"
    if not fitting:
        raise wrong(name, value, expected)


def wrong(name: str, value: object, expected: str) -> WeightsError:
    """The error that says what a field was expected to be."""
    return WeightsError(f"model configuration: {name} is {value!r:.60}, expected {expected}")


def listed(allowed: Iterable[object]) -> str:
    """What is allowed, for a message."""
    return ", ".join(map(str, allowed))
