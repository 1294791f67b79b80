"""Modules of POSIX alone, for tests that are collected on every system.

A test that touches one of them where it does not exist is skipped.
"""

import importlib
import os
from typing import Any, NoReturn

import pytest

#: For tests that kill, fork, mount or limit, all of them in ways that Windows does not have.
posix_only = pytest.mark.skipif(os.name == "nt", reason="signals, forks and limits are POSIX")


class _Absent:
    """A module that is not there."""

    def __init__(self, name: str) -> None:
        """Remember its name."""
        self._name = name

    def __getattr__(self, attribute: str) -> NoReturn:
        """Skip the test that asks for something in it."""
        pytest.skip(f"there is no {self._name} on this system")


def _module(name: str) -> Any:  # noqa: ANN401
    try:
        return importlib.import_module(name)
    except ImportError:
        return _Absent(name)


pty = _module("pty")
resource = _module("resource")
