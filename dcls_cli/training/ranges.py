"""Types and ranges of options, declared beside each field and checked in one place."""

import math
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin


@dataclass(frozen=True, kw_only=True)
class Range:
    """The numbers that an option may have; `above` and `below` exclude the bound itself."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether a number lies inside; NaN never does."""
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        """Say it in words, with a leading space; nothing where all is allowed."""
        bounds = (
            ("at least", self.least),
            ("above", self.above),
            ("at most", self.most),
            ("below", self.below),
        )
        told = [f"{word} {bound:g}" for word, bound in bounds if math.isfinite(bound)]
        return f" {' and '.join(told)}" if told else ""


def expected(kind: object, value: object) -> str | None:
    """What an option's type asks for, if a value is not of it; None: all is well.

    Args:
        kind: the annotation of a field: bool, int, float, str, Path, a Literal, a tuple of paths,
            one of these in `Annotated[..., Range(...)]`, or any of them `| None`.
        value: numbers of a float field may be whole.
    """
    kind, bounds, may_be_none = _taken_apart(kind)
    if value is None and may_be_none:
        return None
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        fits = any(value == item and type(value) is type(item) for item in allowed)
        wanted = f"one of {', '.join(map(str, allowed))}"
    elif get_origin(kind) is tuple:
        fits = isinstance(value, tuple) and all(isinstance(item, Path) for item in value)
        wanted = "a list of paths"
    elif kind is bool:
        fits, wanted = isinstance(value, bool), "true or false"
    elif kind is int:
        fits = type(value) is int and bounds.holds(value)
        wanted = f"a whole number{bounds}"
    elif kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        fits = fits and math.isfinite(value) and bounds.holds(value)  # type: ignore[arg-type]
        wanted = f"a number{bounds}"
    else:
        assert isinstance(kind, type), kind
        fits, wanted = isinstance(value, kind), "text"
    return None if fits else wanted


def bare(kind: object) -> object:
    """The type of an annotation without its bounds and without None."""
    return _taken_apart(kind)[0]


def _taken_apart(kind: object) -> tuple[object, Range, bool]:
    """The bare type, its bounds, and whether None is allowed too."""
    bounds, may_be_none = Range(), False
    while True:
        if get_origin(kind) is Annotated:
            kind, bounds = get_args(kind)
        elif get_origin(kind) in (types.UnionType, Union):
            may_be_none = True
            (kind,) = (part for part in get_args(kind) if part is not type(None))
        else:
            return kind, bounds, may_be_none
