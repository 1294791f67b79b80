"""Disks that are full, read-only or gone, and folders that are no place to write (25, 26, 27)."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.cli.app import run
from tests.faults.programs import ENVIRONMENT, PROGRAM, dcls, make_read_only, small_disk
from tests.jobs.files import picture
from tests.pace import stretched
from tests.posix import resource

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts small disks")

Capture = pytest.CaptureFixture[str]


def noise(path: Path, side: int, seed: int) -> Path:
    """A picture that hardly compresses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path, x2: Path, capsys: Capture) -> None:
    for number in range(10):
        noise(tmp_path / "in" / f"{number}.png", 150, number)
    with small_disk(tmp_path / "out", "2m") as out:
        arguments = ["batch", str(tmp_path / "in"), "-w", str(x2), "-d", "cpu", "-o", str(out)]
        assert run([*arguments, "--limit", "2"]) == 0
        before = contents(out)
        capsys.readouterr()
        assert run(arguments) == 1
        said = capsys.readouterr().err
        failed = said.count("cannot be written: no space left on the disk")
        after = contents(out)
        assert len(after) + failed == 10
        assert failed >= 3
        assert {name: after[name] for name in before} == before
        for name in after:
            with Image.open(out / name) as image:
                image.load()
                assert image.size == (300, 300)
        assert f"{len(after) - 2} done, {failed} failed, 2 skipped" in said
        assert run([*arguments, "--overwrite", "--limit", "1"]) in (0, 1)
        assert contents(out) == after


@pytest.mark.parametrize("command", ["batch", "upscale"])
def test_a_read_only_disk_ends_it_before_any_work(
    command: str, tmp_path: Path, x2: Path, capsys: Capture
) -> None:
    photo = picture(tmp_path / "in" / "a.png")
    with small_disk(tmp_path / "out", "2m") as out:
        make_read_only(out)
        began = time.monotonic()
        for folder in (out, out / "deeper"):
            source = photo.parent if command == "batch" else photo
            assert run([command, str(source), "-w", str(x2), "-o", f"{folder}/"]) == 1
            captured = capsys.readouterr()
            assert captured.out == ""
            (line,) = captured.err.splitlines()
            assert str(folder) in line
            assert "read-only" in line.lower()
        assert time.monotonic() - began < stretched(2)


def test_a_folder_that_vanishes_is_told_for_each_photo(
    tmp_path: Path, x2: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcls_cli.jobs.worker import Worker

    for number in range(4):
        picture(tmp_path / "in" / f"{number}.png")
    restore = Worker.restore

    def vanish(*given: object, **options: object) -> object:
        for path in (tmp_path / "out").iterdir():
            path.unlink()
        (tmp_path / "out").rmdir()
        return restore(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "restore", vanish)
    code = run(["batch", f"{tmp_path}/in", "-o", f"{tmp_path}/out", "-w", str(x2), "-j", "1"])
    assert code == 1
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "dcls: 0 done, 4 failed, 0 skipped"
    assert all(f"the folder {tmp_path}/out does not exist" in line for line in told[:-1])


def test_photos_that_vanish_or_shrink_meanwhile_stop_nothing(
    tmp_path: Path, x2: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcls_cli.jobs.worker import Worker

    paths = [picture(tmp_path / "in" / f"{number}.png", (40, 40)) for number in range(4)]
    load = Worker.load

    def change(*given: object, **options: object) -> object:
        paths[1].unlink(missing_ok=True)
        paths[2].write_bytes(paths[2].read_bytes()[:60])
        return load(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "load", change)
    code = run(["batch", f"{tmp_path}/in", "-o", f"{tmp_path}/out", "-w", str(x2), "-j", "1"])
    assert code == 1
    said = capsys.readouterr().err
    assert "1.png: no such file" in said
    assert "2.png: truncated" in said
    assert "2 done, 2 failed" in said
    assert sorted(contents(tmp_path / "out")) == ["0_x2.png", "3_x2.png"]


def test_nothing_is_written_but_the_outputs(tmp_path: Path, x2: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    with (
        small_disk(tmp_path / "temporary", "64k") as temporary,
        small_disk(tmp_path / "home", "64k") as home,
    ):
        (temporary / "filler").write_bytes(bytes(64 << 10))
        make_read_only(home)
        environment = {**ENVIRONMENT, "HOME": str(home), "TMPDIR": str(temporary)}
        del_names = ("XDG_CACHE_HOME", "HF_HOME")
        environment = {name: value for name, value in environment.items() if name not in del_names}
        # A mount namespace of its own, in which /tmp is read-only and /mnt is this test's folder.
        program = " ".join(f"'{part}'" for part in PROGRAM)
        script = f"""
            mount --bind '{tmp_path}' /mnt && mount --bind /tmp /tmp &&
            mount -o remount,bind,ro /tmp && ! touch /tmp/any 2>/dev/null || exit 99
            {program} upscale /mnt/in/a.png -o /mnt/out/ -w '{x2}' -d cpu
        """
        result = subprocess.run(
            ["unshare", "-m", "bash", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    if "unshare" in result.stderr or result.returncode == 99:
        pytest.skip(f"no mounts of one's own here: {result.stderr.strip()}")
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert Image.open(tmp_path / "out" / "a_x2.png").size == (24, 16)


def allow_100_kb() -> None:
    """Make every file end after 100 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_files_that_are_too_large_for_the_system_stop_nothing(tmp_path: Path, x2: Path) -> None:
    noise(tmp_path / "in" / "large.png", 200, 0)
    picture(tmp_path / "in" / "small.png")
    arguments = ["batch", tmp_path / "in", "-o", tmp_path / "out", "-w", x2, "-d", "cpu"]
    result = dcls(*arguments, preexec_fn=allow_100_kb)
    assert result.returncode == 1
    assert "large_x2.png: cannot be written: larger than files may be here" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small_x2.png"]
    assert os.path.getsize(tmp_path / "out" / "small_x2.png") > 0  # noqa: PTH202
