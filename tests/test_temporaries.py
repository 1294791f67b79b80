"""Leftovers of dead processes go, files of live ones stay, whoever asks."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dcls_cli.files import temporaries
from dcls_cli.files.atomic import atomic_write

FOREIGN = ".a.png.00000000.{pid}-1.0123456789abcdef.dcls-tmp"

#: Opens a temporary file of the path that it is given, says its name, and waits.
WRITER = """
import sys
from pathlib import Path
from dcls_cli.files import temporaries
with temporaries.opened(Path(sys.argv[1])) as (temporary, file):
    print(temporary.name, flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def writer(path: Path) -> "tuple[subprocess.Popen[str], str]":
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_file_stays_as_long_as_its_process_lives(tmp_path: Path) -> None:
    process, name = writer(tmp_path / "a.png")
    try:
        assert temporaries.is_temporary(name)
        atomic_write(tmp_path / "b.png", lambda file: None, overwrite=False)
        assert names(tmp_path) == {name, "b.png"}
    finally:
        process.kill()
        process.communicate()
    assert names(tmp_path) == {name, "b.png"}
    atomic_write(tmp_path / "b.png", lambda file: None, overwrite=True)
    assert names(tmp_path) == {"b.png"}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="knows starts on Linux only")
def test_a_number_that_another_process_has_got_does_not_protect_a_leftover(tmp_path: Path) -> None:
    process, name = writer(tmp_path / "a.png")
    try:
        start = name.rsplit(".", 3)[-3].split("-")[1]
        older = name.replace(f"-{start}.", f"-{int(start) - 1}.")
        (tmp_path / older).touch()
        temporaries.remove_stale(tmp_path)
        assert names(tmp_path) == {name}
    finally:
        process.kill()
        process.communicate()


def test_files_of_other_machines_go_when_nothing_was_written_for_a_day(tmp_path: Path) -> None:
    fresh, old = (tmp_path / FOREIGN.format(pid=pid) for pid in (1, 2))
    for path, age in ((fresh, 23), (old, 25)):
        path.touch()
        then = time.time() - age * 3600
        os.utime(path, (then, then))
    temporaries.remove_stale(tmp_path)
    assert names(tmp_path) == {fresh.name}


def test_files_of_others_are_never_touched(tmp_path: Path) -> None:
    for name in (".a.png.dcls-tmp", "a.dcls-tmp", ".a.png.1.0123456789abcdef.dcls-tmp", "a.png"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    before = names(tmp_path)
    temporaries.remove_stale(tmp_path)
    assert names(tmp_path) == before


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127 + "x", "new\nline.png", "\udcff\udcfe.png"])
def test_a_name_fits_and_says_what_it_is(name: str, tmp_path: Path) -> None:
    made = temporaries.name_for(tmp_path / name)
    (tmp_path / made).touch()
    assert temporaries.is_temporary(made)
    assert not temporaries.is_temporary(name)


ABANDON = """
import os, sys, threading, time
from pathlib import Path
from dcls_cli.files import temporaries
from dcls_cli.files.atomic import atomic_write
def write(number):
    while True:
        atomic_write(Path(f"{number}.bin"), lambda file: file.write(bytes(300_000)), overwrite=True)
for number in range(8):
    threading.Thread(target=write, args=(number,), daemon=True).start()
time.sleep(float(sys.argv[1]))
temporaries.abandon()
os._exit(7)
"""


def test_a_process_that_ends_at_once_leaves_only_whole_files(tmp_path: Path) -> None:
    for attempt in range(4):
        result = subprocess.run(
            [sys.executable, "-c", ABANDON, str(0.2 + 0.017 * attempt)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(temporaries.__file__).parents[1])},
            timeout=300,
            check=False,
        )
        assert result.returncode == 7
        assert {path.name for path in tmp_path.iterdir()} <= {f"{n}.bin" for n in range(8)}
        assert {path.stat().st_size for path in tmp_path.iterdir()} == {300_000}


def test_many_threads_clean_and_write_side_by_side(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            atomic_write(tmp_path / f"{number}.bin", lambda file: None, overwrite=True)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == {f"{number}.bin" for number in range(4)}
