"""`dcls batch` on real folders: every photo once, and none lost."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.jobs.records import NAME
from dcls_cli.upscaler import Upscaler
from tests.cli.test_upscale import write_weights
from tests.image.test_traces import small_and_busy
from tests.jobs.files import picture

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_weights(tmp_path_factory.mktemp("weights") / "x2.safetensors", 2))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def batch(x2: str, *arguments: str) -> int:
    return run(["batch", *arguments, "-w", x2, "-d", "cpu", "--precision", "fp32"])


def files(folder: str) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.name != NAME
    )


def events(capsys: Capture) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_tree_becomes_the_same_tree_and_a_second_run_does_nothing(
    x2: str, capsys: Capture
) -> None:
    names = ["a.png", "b/c.jpg", "b/d/e.webp", "b/d/f"]
    for seed, name in enumerate(names[:3]):
        picture(Path("in") / name, (12, 8), seed)
    picture(Path("f.png")).rename("in/b/d/f")
    for name in ("Thumbs.db", ".DS_Store", "b/notes.txt"):
        (Path("in") / name).write_bytes(b"nothing to see")
    assert batch(x2, "in", "-o", "out") == 0
    captured = capsys.readouterr()
    assert files("out") == ["a_x2.png", "b/c_x2.jpg", "b/d/e_x2.webp", "b/d/f_x2.png"]
    assert len(captured.out.splitlines()) == 4
    said = "4 done, 0 failed, 0 skipped; files left out: 1 hidden, 2 not a photo"
    assert captured.err == f"dcls: {said}\n"
    expected = Upscaler.from_pretrained(x2, precision="fp32").up(Image.open("in/a.png"))
    np.testing.assert_array_equal(Image.open("out/a_x2.png"), expected.image)
    before = {name: os.stat(f"out/{name}").st_mtime_ns for name in files("out")}  # noqa: PTH116
    assert batch(x2, "in", "-o", "out") == 0
    assert "0 done, 0 failed, 4 skipped" in capsys.readouterr().err
    assert {name: os.stat(f"out/{name}").st_mtime_ns for name in before} == before  # noqa: PTH116


def test_one_bad_photo_never_stops_the_rest(x2: str, capsys: Capture) -> None:
    for number in range(5):
        picture(Path(f"in/good{number}.png"), seed=number)
    cut = picture(Path("in/cut.png"), (60, 60))
    cut.write_bytes(cut.read_bytes()[:150])
    Path("in/empty.jpg").touch()
    Path("in/text.jpg").write_text("not a photo")
    Path("in/gone.png").symlink_to("nowhere")
    os.mkfifo("in/fifo.png")
    assert batch(x2, "in", "-o", "out") == 1
    captured = capsys.readouterr()
    assert files("out") == [f"good{number}_x2.png" for number in range(5)]
    told = captured.err.splitlines()
    assert told[-1] == "dcls: 5 done, 5 failed, 0 skipped"
    for name in ("cut.png", "empty.jpg", "text.jpg", "gone.png", "fifo.png"):
        assert sum(line.startswith(f"dcls: in/{name}: ") for line in told) == 1


@pytest.mark.parametrize("out", ["in", "in/out", "in/.", "in/deep/out"])
def test_outputs_are_never_inputs(out: str, x2: str, capsys: Capture) -> None:
    picture(Path("in/a.png"))
    picture(Path("in/a.bmp"))
    picture(Path("in/deep/b.jpg"))
    for skipped in (0, 3, 3):
        assert batch(x2, "in", "-o", out) == 0
        assert f"{3 - skipped} done, 0 failed, {skipped} skipped" in capsys.readouterr().err
    assert batch(x2, "in", "-o", "in/other") == 0
    assert "3 done" in capsys.readouterr().err
    assert len(files("in")) == 9


def test_photos_that_would_share_a_name_are_never_lost(x2: str, capsys: Capture) -> None:
    for name in ("a.jpg", "a.png", "A.png", "a.bmp"):
        picture(Path("in") / name)
    assert batch(x2, "in", "-o", "out") == 0
    assert batch(x2, "in", "-o", "png", "-f", "png") == 0
    assert len(files("out")) == len(files("png")) == 4
    capsys.readouterr()
    picture(Path("more/a.png"))
    assert batch(x2, "in", "more", "-o", "both") == 2
    said = capsys.readouterr().err
    assert "in/a.png and more/a.png" in said
    assert files("both") == []


def test_an_output_that_is_damaged_is_made_again_and_a_foreign_one_kept(
    x2: str, capsys: Capture
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(Path("in") / name, (40, 32))
    assert batch(x2, "in", "-o", "out") == 0
    whole = Path("out/a_x2.png").read_bytes()
    Path("out/a_x2.png").write_bytes(whole[:-5])
    picture(Path("out/b_x2.png"), (20, 20))
    foreign = Path("out/b_x2.png").read_bytes()
    Path("out/c_x2.png").write_text("precious")
    capsys.readouterr()
    assert batch(x2, "in", "-o", "out") == 1
    said = capsys.readouterr().err
    assert "out/a_x2.png: the existing file is damaged; it is replaced" in said
    assert "out/b_x2.png: exists already and is not the output of this photo: 20x20" in said
    assert "out/c_x2.png: exists already and is not the output of this photo: no image" in said
    assert Path("out/a_x2.png").read_bytes() == whole
    assert Path("out/b_x2.png").read_bytes() == foreign
    assert Path("out/c_x2.png").read_text() == "precious"
    assert batch(x2, "in", "-o", "out", "--overwrite") == 0
    assert Image.open("out/c_x2.png").size == (80, 64)


def test_choosing_photos(x2: str, capsys: Capture) -> None:
    for name in ("a.jpg", "b.JPG", "c.png", "proofs/d.jpg", "proofs/e.png"):
        picture(Path("in") / name)
    assert batch(x2, "in", "-o", "1", "--include", "*.jpg", "--exclude", "proofs/*") == 0
    assert files("1") == ["a_x2.jpg", "b_x2.JPG"]
    assert batch(x2, "in", "-o", "2", "--no-recursive") == 0
    assert files("2") == ["a_x2.jpg", "b_x2.JPG", "c_x2.png"]
    assert batch(x2, "in/**/*.png", "-o", "3") == 0
    assert files("3") == ["c_x2.png", "proofs/e_x2.png"]
    Path("list.txt").write_text("in/a.jpg\nin/proofs/e.png\n")
    assert batch(x2, "list.txt", "-o", "4") == 0
    assert files("4") == ["a_x2.jpg", "proofs/e_x2.png"]
    capsys.readouterr()
    assert batch(x2, "in", "-o", "5", "--limit", "2") == 0
    assert "2 done, 0 failed, 0 skipped, 3 left" in capsys.readouterr().err
    assert batch(x2, "in", "-o", "5", "--limit", "2") == 0
    assert "2 done, 0 failed, 2 skipped, 1 left" in capsys.readouterr().err
    for part in ("1/2", "2/2"):
        assert batch(x2, "in", "-o", "6", "--shard", part) == 0
    assert len(files("6")) == 5
    assert capsys.readouterr().err.count("0 skipped") == 2


def test_failed_photos_of_a_long_batch_are_named_at_its_end(x2: str, capsys: Capture) -> None:
    for number in range(19):
        picture(Path(f"in/{number:02}.png"))
    Path("in/broken.jpg").write_bytes(b"")
    assert batch(x2, "in", "-o", "out") == 1
    *_, listed, summary = capsys.readouterr().err.splitlines()
    assert listed == "dcls: failed: in/broken.jpg"
    assert summary == "dcls: 19 done, 1 failed, 0 skipped"


def test_fail_fast_ends_with_the_first_failure(x2: str, capsys: Capture) -> None:
    for number in range(20):
        picture(Path(f"in/{number:02}.png"))
    Path("in/00.png").write_bytes(b"")
    assert batch(x2, "in", "-o", "out", "--fail-fast", "-j", "1") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "1 failed" in said
    assert " left" in said
    assert len(files("out")) < 19


def test_several_devices_share_the_work(x2: str, capsys: Capture) -> None:
    for number in range(6):
        picture(Path(f"in/{number}.png"), (64, 64), seed=number)
    assert run(["batch", "in", "-o", "out", "-w", x2, "-d", "cpu,cpu", "--json"]) == 0
    *_, summary = events(capsys)
    assert len(files("out")) == 6
    engines = summary["engines"]
    assert [engine["device"] for engine in engines] == ["cpu", "cpu"]  # type: ignore[attr-defined]
    assert all(engine["busy_s"] > 0 for engine in engines)  # type: ignore[attr-defined]


def test_events_and_report_tell_of_every_photo(x2: str, capsys: Capture) -> None:
    for name in ("a.png", "b.png", "c.jpg"):
        picture(Path("in") / name, (80, 64))
    Path("in/b\n.png").write_bytes(b"")
    assert batch(x2, "in", "-o", "out", "--include", "a.png") == 0
    capsys.readouterr()
    rows = ["--report", "rows.jsonl", "--tile", "64", "--json", "--limit", "2"]
    assert batch(x2, "in", "-o", "out", *rows) == 1
    told = events(capsys)
    names = [str(event.pop("event")) for event in told]
    assert sorted(names) == ["done", "error", "skip", "start", "summary", "tile", "tile"]
    summary = told[-1]
    assert names[-1] == "summary"
    counts = {name: summary[name] for name in ("done", "failed", "skipped", "left")}
    assert counts == {"done": 1, "failed": 1, "skipped": 1, "left": 1}
    table = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    statuses = {row["input"]: row["status"] for row in table}
    assert sorted(statuses.values()) == ["done", "failed", "left", "skipped"]
    assert batch(x2, "in", "-o", "out", "--report", "rows.csv") == 1
    with Path("rows.csv").open(newline="") as file:
        read = {row["input"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in read.items()} == {
        "in/a.png": "skipped",
        "in/b.png": "skipped",
        "in/c.jpg": "done",
        "in/b\n.png": "failed",
    }
    assert read["in/c.jpg"]["width"] == "160"
    assert "empty" in read["in/b\n.png"]["message"]


@pytest.mark.parametrize(
    ("code", "said", "arguments"),
    [
        (2, "several inputs need -o FOLDER", ["in", "in/a.png"]),
        (2, "nowhere: no such file or folder", ["nowhere", "-o", "out"]),
        (2, "taken: is a file, expected a folder", ["in", "-o", "taken"]),
        (2, "taken/out: cannot be made", ["in", "-o", "taken/out"]),
        (2, "--report writes .jsonl or .csv", ["in", "-o", "out", "--report", "rows.xls"]),
        (2, "--shard 0/2: expected i/n", ["in", "-o", "out", "--shard", "0/2"]),
        (2, "-d cpu,: expected devices", ["in", "-o", "out", "-d", "cpu,"]),
        (2, "would replace the photo in/a.png", ["in", "-o", "in", "--name", "{stem}"]),
        (5, "unknown device 'toaster'", ["in", "-o", "out", "-d", "toaster"]),
        (5, "unknown device 'toaster'", ["in", "-o", "out", "-d", "cpu,toaster"]),
    ],
)
def test_impossible_requests(
    code: int, said: str, arguments: list[str], x2: str, capsys: Capture
) -> None:
    for name in "abcdef":
        picture(Path(f"in/{name}.png"))
    Path("taken").write_text("precious")
    assert run(["batch", *arguments, "-w", x2]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert Path("taken").read_text() == "precious"
    assert files("in") == [f"{name}.png" for name in "abcdef"]


def test_upscale_sends_folders_here(x2: str, capsys: Capture) -> None:
    picture(Path("in/a.png"))
    assert run(["upscale", "in", "-w", x2]) == 1
    assert "in: a folder, not an image; `dcls batch` restores" in capsys.readouterr().err


def test_outputs_of_a_given_size_are_known_again(x2: str, capsys: Capture) -> None:
    picture(Path("in/a.png"), (40, 20))
    turned = Image.open(picture(Path("b.png"), (20, 40)))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save("in/b.jpg", exif=exif)
    same = ["--name", "{stem}"]
    for done in (2, 0):
        assert batch(x2, "in", "-o", "out", "--width", "60", *same) == 0
        assert f"{done} done, 0 failed, {2 - done} skipped" in capsys.readouterr().err
    assert {Image.open(path).size for path in Path("out").glob("*.png")} == {(60, 30)}
    assert batch(x2, "in", "-o", "out", *same) == 1
    assert capsys.readouterr().err.count("60x30 pixels, expected 40x80 or 80x40") == 2


def test_a_photo_without_enough_memory_does_not_stop_the_next(
    x2: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcls_cli.network.dcls import DCLS

    for name, side in (("a.png", 12), ("large.png", 96), ("z.png", 12)):
        picture(Path("in") / name, (side, side))
    restore = DCLS.restore

    def fails_for_large(self: DCLS, lr: torch.Tensor, blur: Any) -> torch.Tensor:  # noqa: ANN401
        if lr.shape[-1] > 32:
            raise MemoryError  # as numpy and Python do; what torch raises is in tests/backends
        return restore(self, lr, blur)

    monkeypatch.setattr(DCLS, "restore", fails_for_large)
    assert batch(x2, "in", "-o", "out", "--json") == 1
    captured = capsys.readouterr()
    (error,) = (told for told in map(json.loads, captured.out.splitlines()) if "message" in told)
    assert error["exit_code"] == 4
    assert "out of memory" in error["message"]
    assert files("out") == ["a_x2.png", "z_x2.png"]


def test_each_photo_gets_its_model_and_each_model_is_loaded_once(capsys: Capture) -> None:
    for number in range(2):
        Path("in").mkdir(exist_ok=True)
        levels = np.rint(small_and_busy() * 255).astype(np.uint8).transpose(1, 2, 0)
        whole = Image.fromarray(levels if number else np.ascontiguousarray(levels[:, ::-1]))
        whole.save(f"in/clean{number}.png")
        whole.crop((40, 40, 100, 100)).save(f"in/camera{number}.jpg", quality=60)
    assert run(["batch", "in", "-o", "out", "-d", "cpu", "--json", "-j", "2"]) == 0
    told = events(capsys)
    models = {
        Path(str(event["input"])).suffix: event["model"]
        for event in told
        if event["event"] == "start"
    }
    assert models == {".png": "dcls-light-x4", ".jpg": "dcls-photo-x4"}
    assert len(files("out")) == 4
