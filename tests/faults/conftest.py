"""What all tests of faults share: tiny weights, and a nursery of processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_upscale import write_weights
from tests.faults.programs import Nursery


@pytest.fixture(scope="session")
def x2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "x2.safetensors", 2)


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("streams")) as nursery:
        yield nursery
