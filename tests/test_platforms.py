"""What Windows and unusual file systems demand, imitated: open files, names, long paths, locks."""

import ast
import errno
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import psutil
import pytest

from dcls_cli import machine
from dcls_cli.cli import options, signals
from dcls_cli.errors import UsageError
from dcls_cli.evaluation import running
from dcls_cli.files import atomic, platforms, temporaries
from dcls_cli.files.atomic import atomic_write, check_writable, write_bytes
from dcls_cli.files.locking import held
from dcls_cli.image.folders import Walk
from dcls_cli.jobs.report import Report
from dcls_cli.jobs.sources import find, why_not
from dcls_cli.training.processes import Interruption, exit_code_of
from tests.imitation import WindowsError, on_windows, viewed
from tests.jobs.files import picture
from tests.posix import posix_only

Patch = pytest.MonkeyPatch


@pytest.fixture
def windows(monkeypatch: Patch, tmp_path: Path) -> None:
    on_windows(monkeypatch)
    monkeypatch.chdir(tmp_path)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


# What is open can be neither renamed nor deleted.


def test_the_imitation_refuses_what_windows_refuses(windows: None, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    with viewed(path):
        for action in (path.unlink, lambda: path.rename("b"), lambda: path.replace("b")):
            with pytest.raises(PermissionError):
                action()
    path.rename("b")
    assert names(tmp_path) == {"b"}


def test_files_are_written_replaced_and_refused(windows: None, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_bytes(b"1", path, overwrite=False)
    write_bytes(b"2", path, overwrite=True)
    with pytest.raises(FileExistsError, match="exists already"):
        write_bytes(b"3", path, overwrite=False)
    assert path.read_bytes() == b"2"
    assert names(tmp_path) == {"a.png"}


def test_a_writer_that_fails_leaves_nothing(windows: None, tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        atomic_write(tmp_path / "a.png", fail, overwrite=False)
    assert names(tmp_path) == set()


def test_a_glance_of_another_program_costs_nothing(
    windows: None, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(platforms, "PATIENCE_S", 30.0)
    path = tmp_path / "a.png"
    path.touch()
    file = path.open("rb")
    threading.Timer(0.3, file.close).start()
    write_bytes(b"new", path, overwrite=True)
    assert path.read_bytes() == b"new"


def test_an_output_that_stays_open_elsewhere_is_named_as_such(
    windows: None, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    started = time.monotonic()
    with viewed(path), pytest.raises(PermissionError, match="is open in another program; close"):
        write_bytes(b"new", path, overwrite=True)
    assert time.monotonic() - started >= platforms.PATIENCE_S
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a.png"}


def test_what_is_denied_may_be_write_protected(
    windows: None, tmp_path: Path, monkeypatch: Patch
) -> None:
    def deny(source: object, target: object) -> None:
        raise WindowsError(target, 5)

    monkeypatch.setattr(os, "replace", deny)
    with pytest.raises(PermissionError, match="open in another program or write-protected"):
        write_bytes(b"new", tmp_path / "a.png", overwrite=True)


def test_elsewhere_a_refusal_is_not_waited_for(tmp_path: Path, monkeypatch: Patch) -> None:
    calls = []

    def deny(source: object, target: object) -> None:
        calls.append(target)
        raise WindowsError(target, 5)

    monkeypatch.setattr(os, "replace", deny)
    with pytest.raises(PermissionError, match="no permission to write"):
        write_bytes(b"new", tmp_path / "a.png", overwrite=True)
    assert len(calls) == 1


def test_a_leftover_that_cannot_be_removed_hides_no_error(windows: None, tmp_path: Path) -> None:
    opened = []

    def fail(file: BinaryIO) -> None:
        opened.append(Path(file.name).open("rb"))  # noqa: SIM115 - a virus scanner
        raise RuntimeError("of the writer")

    with pytest.raises(RuntimeError, match="of the writer"):
        atomic_write(tmp_path / "a.png", fail, overwrite=False)
    opened[0].close()
    (left,) = names(tmp_path)
    assert temporaries.is_temporary(left)


def test_files_that_threads_have_open_are_removed_at_the_end(
    windows: None, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(temporaries, "_lock", threading.RLock())
    monkeypatch.setattr(temporaries, "_live", {})
    with temporaries.opened(tmp_path / "a.png") as (_, file):
        file.write(b"half")
        assert len(names(tmp_path)) == 1
        temporaries.abandon()
        assert names(tmp_path) == set()
        file.flush()  # goes nowhere, and into no other file


def test_a_lock_ends_without_an_error_and_its_file_goes(
    windows: None, tmp_path: Path, monkeypatch: Patch
) -> None:
    places = []

    def locking(descriptor: int, mode: int, count: int) -> None:
        places.append(os.lseek(descriptor, 0, os.SEEK_CUR))

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    path = tmp_path / "lock"
    with held(path):
        assert path.read_text() == f"{os.getpid()}\n"
        open_before = len(list(Path("/proc/self/fd").iterdir()))
    assert names(tmp_path) == set()
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before - 1
    assert places[0] > 1000  # behind the text, which others may read


# Names and paths.


@pytest.mark.parametrize(
    "name",
    ["a:b.png", "CON.png", "aux", "nul.tar.gz", "com1.png", "LPT\u00b9.png", "a?.png", "a.", "a ",
     "a\n.png", 'a".png', "a|b", "con .png"],
)  # fmt: skip
def test_names_that_windows_does_not_have(name: str, windows: None, tmp_path: Path) -> None:
    for check in (check_writable, lambda path: write_bytes(b"", path, overwrite=True)):
        with pytest.raises(OSError, match="Windows"):
            check(tmp_path / name)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("name", ["a.png", "console.png", "com.png", "com10.png", ".a", "a b.png"])
def test_names_that_windows_has(name: str, windows: None) -> None:
    assert platforms.why_unfit(name) is None


def test_elsewhere_every_name_is_one() -> None:
    assert platforms.why_unfit("a:b?.png") is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\a\\b.png", "C:\\a\\b.png"),
        (f"C:\\{'x' * 200}\\b.png", f"\\\\?\\C:\\{'x' * 200}\\b.png"),
        (f"\\\\nas\\{'x' * 200}\\b.png", f"\\\\?\\UNC\\nas\\{'x' * 200}\\b.png"),
        (f"\\\\?\\C:\\{'x' * 200}\\b.png", f"\\\\?\\C:\\{'x' * 200}\\b.png"),
    ],
)
def test_long_paths_get_their_prefix(path: str, expected: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    monkeypatch.setattr(os.path, "abspath", str)
    assert str(platforms.reachable(Path(path), more=60)) == expected


@pytest.mark.parametrize("length", [212, 259, 300])
def test_paths_beyond_what_windows_takes(
    length: int, windows: None, tmp_path: Path, monkeypatch: Patch
) -> None:
    r"""A link of the name `\\?\` to the root stands for Windows' prefix."""
    monkeypatch.setattr(platforms, "LONGEST_PATH", 259)
    Path("\\\\?\\").symlink_to("/")
    plain = Path.open

    def opening(path: Path, *given: Any, **more: Any) -> Any:  # noqa: ANN401
        if len(str(path.absolute())) > 259 and not str(path).startswith("\\\\?\\"):
            raise FileNotFoundError(errno.ENOENT, "path not found", str(path))
        return plain(path, *given, **more)

    monkeypatch.setattr(Path, "open", opening)
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    path = deep / ("x" * (length - len(str(deep)) - 1))
    write_bytes(b"1", path, overwrite=False)
    write_bytes(b"2", path, overwrite=True)
    assert names(deep) == {path.name}


def test_a_folder_that_is_there_is_not_missing(
    windows: None, tmp_path: Path, monkeypatch: Patch
) -> None:
    """So Windows answers where it guards a folder."""

    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "path not found")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match="does not let programs write here"):
        check_writable(tmp_path / "a.png")


@pytest.mark.parametrize("stated", [0, -1, 14])
def test_file_systems_that_state_no_limit_or_a_tiny_one(
    stated: int, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(os, "pathconf", lambda *_: stated, raising=False)
    assert temporaries.is_temporary(temporaries.name_for(tmp_path / "photo.png"))


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        (True, ["a.png", "b.png", "[c].png", "*.tif", "-"]),
        (False, ["*.png", "[c].png", "*.tif", "-"]),
    ],
)
def test_patterns_that_no_shell_has_expanded(
    shell: bool, expected: list[str], tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platforms, "ON_WINDOWS", shell)
    for name in ("a.png", "b.png", "[c].png"):
        Path(name).touch()
    Path("[c].png").rename("[c].tmp")
    Path("[c].tmp").rename("[c].png")
    given = options.expanded(["[ab].png" if shell else "*.png", "[c].png", "*.tif", "-"])
    assert given == expected


# Folders.


class Entry:
    """What os.scandir gives on Windows."""

    def __init__(self, name: str, attributes: int = 0, tag: int = 0) -> None:
        self.name = name
        self._status = SimpleNamespace(st_file_attributes=attributes, st_reparse_tag=tag)

    def stat(self, *, follow_symlinks: bool = True) -> SimpleNamespace:
        assert not follow_symlinks
        return self._status

    def is_symlink(self) -> bool:
        return False


def test_hidden_by_a_dot_or_by_an_attribute(monkeypatch: Patch) -> None:
    system: Any = Entry("$RECYCLE.BIN", stat.FILE_ATTRIBUTE_SYSTEM)
    hidden: Any = Entry("My Pictures", stat.FILE_ATTRIBUTE_HIDDEN, 0xA0000003)
    plain: Any = Entry("a.png", stat.FILE_ATTRIBUTE_ARCHIVE)
    dotted: Any = Entry(".a.png")
    junction: Any = Entry("album", stat.FILE_ATTRIBUTE_DIRECTORY, 0xA0000003)
    assert [platforms.is_hidden(each) for each in (system, hidden, plain, dotted)] == [
        False, False, False, True
    ]  # fmt: skip
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    assert [platforms.is_hidden(each) for each in (system, hidden, plain, dotted)] == [
        True, True, False, True
    ]  # fmt: skip
    assert platforms.is_link(junction)
    assert not platforms.is_link(plain)


def test_the_walk_leaves_out_what_is_hidden(tmp_path: Path, monkeypatch: Patch) -> None:
    for name in ("$RECYCLE.BIN/deleted.png", "album/a.png", "desktop.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    hidden = {"$RECYCLE.BIN", "desktop.png"}
    monkeypatch.setattr(platforms, "is_hidden", lambda entry: entry.name in hidden)
    walk = Walk(tmp_path, recursive=True, out=None)
    assert [path.name for path in walk.files()] == ["a.png"]
    assert walk.left_out == {"hidden": 1}


def unnumbered(plain: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
    """A file system that numbers no files."""

    def status(path: Path, **given: Any) -> os.stat_result:  # noqa: ANN401
        found = list(plain(path, **given))
        found[stat.ST_INO] = 0
        return os.stat_result(found)

    return status


def test_file_systems_that_number_no_files(tmp_path: Path, monkeypatch: Patch) -> None:
    for name in ("a/b/1.png", "a/c/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(Path, "stat", unnumbered(Path.stat))
    assert (tmp_path / "a").stat().st_ino == 0
    walk = Walk(tmp_path, recursive=True, out=None)
    assert [path.name for path in walk.files()] == ["1.png", "2.png"]
    assert not platforms.is_same_file(tmp_path / "a/b/1.png", tmp_path / "a/c/2.png")
    assert platforms.is_same_file(tmp_path / "a/b/1.png", tmp_path / "a/c/../b/1.png")
    assert not platforms.is_same_file(tmp_path / "none", tmp_path / "none")


# Processes, memory, signals, the disk.


def test_leftovers_are_known_without_proc(tmp_path: Path, monkeypatch: Patch) -> None:
    """As on Windows and macOS, where psutil alone knows the start of a process."""
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    started = temporaries._started(os.getpid())  # noqa: SLF001
    assert abs(started - psutil.Process().create_time()) <= 1
    live = tmp_path / temporaries.name_for(tmp_path / "a.png")
    pid = os.getpid()
    reused = tmp_path / live.name.replace(f"{pid}-{started}", f"{pid}-{started - 100}")
    free = next(number for number in range(30_000, 2, -1) if not psutil.pid_exists(number))
    dead = tmp_path / live.name.replace(f"{pid}-{started}", f"{free}-{started}")
    for path in (live, reused, dead):
        path.touch()
    temporaries.remove_stale(tmp_path)
    assert names(tmp_path) == {live.name}


def test_free_memory_is_that_of_the_system(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**33))
    assert machine.free_memory_bytes() == 2**33

    def fail() -> None:
        raise OSError

    monkeypatch.setattr(psutil, "virtual_memory", fail)
    assert machine.free_memory_bytes() == 2**31


def test_flags_of_the_processor_without_proc(monkeypatch: Patch) -> None:
    from numpy._core import _multiarray_umath as loops  # noqa: PLC2701

    def missing(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "open", missing)
    monkeypatch.setattr(loops, "__cpu_features__", {"AVX512VNNI": True, "AVX2": True, "SVE": False})
    assert machine.processor_flags() == {"avx512_vnni", "avx2"}
    monkeypatch.delattr(loops, "__cpu_features__")
    assert machine.processor_flags() is None


@posix_only
def test_a_window_that_is_closed_ends_the_program_in_good_order(monkeypatch: Patch) -> None:
    """SIGUSR1 stands for Windows' SIGBREAK."""
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    assert signals.exit_codes()[signal.SIGUSR1] == signals.EXIT_HUNG_UP
    before = signal.getsignal(signal.SIGUSR1)
    interruption = Interruption()
    with interruption.handled(lambda: None):
        signal.raise_signal(signal.SIGUSR1)
    assert interruption.exit_code == exit_code_of(signal.SIGUSR1) == signals.EXIT_HUNG_UP
    assert signal.getsignal(signal.SIGUSR1) is before


@posix_only
def test_a_training_hears_the_end_of_its_terminal_unless_nohup_said_no() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ignoring = Interruption()
        with ignoring.handled(lambda: None):
            signal.raise_signal(signal.SIGHUP)
        assert ignoring.exit_code is None
        signal.signal(signal.SIGHUP, lambda *_: None)
        hearing = Interruption()
        with hearing.handled(lambda: None):
            signal.raise_signal(signal.SIGHUP)
        assert hearing.exit_code == 129
    finally:
        signal.signal(signal.SIGHUP, before)


def test_processes_that_windows_can_wait_for(monkeypatch: Patch) -> None:
    assert running.most_processes() > 1000
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    assert running.most_processes() == 61


@pytest.mark.parametrize("fails", [False, True])
def test_on_macos_the_disk_itself_is_flushed(fails: bool, monkeypatch: Patch) -> None:
    calls: list[object] = []

    def control(descriptor: int, command: int) -> None:
        calls.append(command)
        if fails:
            raise OSError(errno.ENOTSUP, "a network folder")

    fake = SimpleNamespace(F_FULLFSYNC=51, fcntl=control)
    monkeypatch.setitem(sys.modules, "fcntl", fake)
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
    monkeypatch.setattr(sys, "platform", "darwin")
    atomic.sync(1)
    assert calls == ([51, "fsync"] if fails else [51])


# Test modules are imported on every system, also where their tests are skipped.

POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
POSIX_NAMES = {
    "signal": {"SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGSTOP"},
    "os": {"fork", "getuid", "geteuid", "mkfifo", "sysconf", "sched_getaffinity", "getpgrp"},
}


def test_files_that_are_in_the_cloud_are_not_downloaded_to_look_into_them(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    path = picture(tmp_path / "photo.png").rename(tmp_path / "photo")
    assert why_not(path) is None
    for attributes in (0x40000, 0x400000, 0x400020):
        status = SimpleNamespace(st_file_attributes=attributes)
        assert platforms.is_placeholder(status)  # type: ignore[arg-type]
    assert not platforms.is_placeholder(path.stat())
    monkeypatch.setattr(platforms, "is_placeholder", lambda _: True)
    assert why_not(path) == "not downloaded from the cloud"
    assert why_not(path.rename(tmp_path / "photo.png")) is None


def test_a_quotation_mark_in_a_name_is_explained(windows: None) -> None:
    with pytest.raises(UsageError, match="leave out the backslash before the closing"):
        find(['my photos" -o out'], recursive=True, out=None)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_tables_have_a_mark_that_excel_understands(
    suffix: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    for on_windows_now, mark in ((False, b""), (True, b"\xef\xbb\xbf" * (suffix == ".csv"))):
        monkeypatch.setattr(platforms, "ON_WINDOWS", on_windows_now)
        path = tmp_path / f"report{suffix}"
        report = Report(path)
        report.add({"input": "caf\u00e9.png", "status": "left"})
        report.write()
        content = path.read_bytes()
        assert content.startswith(mark + (b"input," if suffix == ".csv" else b"{"))
        assert b"\xef\xbb\xbf" not in content[3:]


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: everything but the bodies of functions."""
    for field, value in ast.iter_fields(node):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if is_function and field == "body":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from at_import(child)


def posix_in(source: str) -> list[str]:
    """What Windows does not have, of what a module needs when it is imported."""
    found: list[str] = []
    for node in at_import(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                found += [each.name for each in aliases if each.name in POSIX_MODULES]
            case ast.ImportFrom(module=module) if module in POSIX_MODULES:
                found.append(str(module))
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                if name in POSIX_NAMES.get(owner, ()):
                    found.append(f"{owner}.{name}")
    return found


def test_what_posix_has_alone_is_found() -> None:
    source = "import pty\nCODES = [signal.SIGKILL]\ndef f(x=os.fork): import resource\n"
    assert posix_in(source) == ["pty", "signal.SIGKILL", "os.fork"]


def test_every_test_module_can_be_imported_on_windows() -> None:
    modules = sorted(Path(__file__).parent.rglob("*.py"))
    assert len(modules) > 100
    found = {path.name: posix_in(path.read_text(encoding="utf-8")) for path in modules}
    assert {name: needs for name, needs in found.items() if needs} == {}
