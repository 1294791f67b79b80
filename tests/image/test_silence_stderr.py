"""Descriptor 2 is off while any thread asks for quiet, and back afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import dcls_cli
from dcls_cli.image.decoding import silence_stderr

PROGRAM = """
import os, threading
from dcls_cli.image.decoding import silence_stderr
barrier = threading.Barrier(8)
def work():
    for _ in range(200):
        with silence_stderr():
            os.write(2, b"chatter")
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
os.write(2, b"message")
"""


def test_many_threads_never_lose_the_stream() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(Path(dcls_cli.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert result.stderr == "message"


def test_it_is_back_after_an_error() -> None:
    before = os.fstat(2)
    try:
        with silence_stderr():
            assert os.fstat(2).st_rdev == Path(os.devnull).stat().st_rdev
            raise ValueError
    except ValueError:
        pass
    assert os.fstat(2) == before
