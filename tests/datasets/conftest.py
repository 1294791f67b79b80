"""Images for the tests, and one thread, on which bits depend."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training import runs


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Bits depend on the number of threads, and tiny networks are fastest with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def hr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three sharp images."""
    return runs.write_images(tmp_path_factory.mktemp("hr"))
