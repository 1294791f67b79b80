"""Numbers and the picture that the page has from Python cannot drift apart; needs Node only."""

import ast
import inspect
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dcls_cli.image import compression, drawn, traces
from dcls_cli.models import auto
from dcls_cli.upscaling import consistency, fidelity, finding, finishing, narrow, survey
from dcls_cli.upscaling.narrow import reference
from tests.web.nodes import SOURCE, call

#: Modules of the page and those of Python whose constants they have.
COUNTERPARTS: list[tuple[ModuleType, list[str], set[str]]] = [
    (survey, ["survey.mjs"], set()),
    (narrow, ["narrow.mjs"], {"_DISCS"}),  # the page has the picture
    (finding, ["finding.mjs", "sample.mjs"], set()),
    (consistency, ["consistency.mjs"], {"SMALLEST_PART", "_BLOCK_PX"}),  # the page takes no parts
    (fidelity, ["fidelity.mjs"], {"DEFAULT_FIDELITY", "_SMALLEST_PART"}),
    (finishing, ["finishing.mjs", "masks.mjs"], {"_BAND_PX"}),  # the page looks at all at once
    (traces, ["traces.mjs"], set()),
    (drawn, ["drawn.mjs"], set()),
    (compression, ["compression.mjs"], set()),
    (auto, ["choice.mjs"], set()),
]


def constants(module: ModuleType) -> dict[str, Any]:
    """Values of the numbers that a module defines itself, by name."""
    names = [
        target.id
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.Assign)
        for target in (name for part in node.targets for name in ast.walk(part))
        if isinstance(target, ast.Name) and target.id.isupper()
    ]
    return {name: getattr(module, name) for name in names}


@pytest.mark.parametrize("index", range(len(COUNTERPARTS)))
def test_constants_are_those_of_python(index: int) -> None:
    module, names, left_out = COUNTERPARTS[index]
    theirs = constants(module)
    expected = {name.lstrip("_"): theirs[name] for name in theirs.keys() - left_out}
    ours: dict[str, Any] = {}
    for name in names:
        ours |= call(name, "return { ...module }")
    ours = {name: value for name, value in ours.items() if name.isupper()}
    # JSON has no tuples.
    assert ours == {
        name: [*value] if isinstance(value, tuple) else value for name, value in expected.items()
    }


def test_the_reference_is_that_of_python() -> None:
    levels = np.fromfile(SOURCE / "reference-x4.bin", np.uint8)
    drawn = reference(4)
    assert levels.size == drawn[0].size
    for plane in drawn:
        np.testing.assert_array_equal(levels.reshape(plane.shape) / np.float32(255), plane)
