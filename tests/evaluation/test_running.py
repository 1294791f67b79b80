"""Evaluations that end early and go on, in one process and in several."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.errors import ImageError, UsageError
from dcls_cli.evaluation.benchmarks import Item, find_items
from dcls_cli.evaluation.gaussian8 import bicubic_restore, gaussian8
from dcls_cli.evaluation.methods import MethodSpec
from dcls_cli.evaluation.rows import ResultStore
from dcls_cli.evaluation.running import Plan, evaluate, processes_for
from dcls_cli.evaluation.samples import find_hr
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from tests import scenes

TINY = {"features": 16, "groups": 1, "blocks": 1, "estimator_features": 16, "estimator_blocks": 1}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    weights.write(DCLS(ModelConfig.light(2, **TINY)), path, {})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hr = tmp_path / "hr"
    hr.mkdir()
    for index in range(4):
        pixels = np.uint8(np.round(255 * scenes.natural(32, 36, index)))
        Image.fromarray(pixels).save(hr / f"photo_{index}.png")
    return hr


def plan_of(folder: Path, *methods: MethodSpec, kernels: bool = False) -> Plan:
    chosen = methods or (MethodSpec("bicubic", "bicubic"),)
    return Plan("gaussian8", 2, find_items("gaussian8", 2, folder), chosen, kernels)


def results_in(out: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in (out / "results").glob("*.json")}


def test_it_gives_what_the_protocol_gives(folder: Path) -> None:
    rows = evaluate(plan_of(folder), ResultStore(None))["bicubic"]
    assert rows == gaussian8(find_hr(folder), 2, bicubic_restore(2))


def test_what_was_done_is_kept_and_what_was_not_is_done(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    undisturbed = evaluate(plan_of(folder), ResultStore(None))
    damaged = folder / "photo_2.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:200])
    with pytest.raises(ImageError, match=r"photo_2\.png"):
        evaluate(plan_of(folder), ResultStore(out))
    before = results_in(out)
    assert len(before) == 2
    damaged.write_bytes(whole)
    told: list[tuple[int, int]] = []
    progress = lambda done, total: told.append((done, total))  # noqa: E731
    assert evaluate(plan_of(folder), ResultStore(out), progress=progress) == undisturbed
    assert told == [(3, 4), (4, 4)]
    after = results_in(out)
    assert {path: after[path] for path in before} == before


def test_results_belong_to_weights_pixels_and_protocol(
    folder: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    spec = MethodSpec("tiny", "dcls", tiny)
    first = evaluate(plan_of(folder, spec), ResultStore(out))["tiny"]
    assert len(results_in(out)) == 4

    changed = tmp_path / "changed.safetensors"
    weights.write(DCLS(ModelConfig.light(2, **TINY)), changed, {})
    other = evaluate(plan_of(folder, MethodSpec("tiny", "dcls", changed)), ResultStore(out))["tiny"]
    assert other != first
    assert len(results_in(out)) == 8

    evaluate(plan_of(folder, spec, kernels=True), ResultStore(out))
    assert len(results_in(out)) == 12

    pixels = np.array(Image.open(folder / "photo_1.png"))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(folder / "photo_1.png")
    evaluate(plan_of(folder, spec), ResultStore(out))
    assert len(results_in(out)) == 13


def test_fidelity_changes_the_figures_and_is_kept_apart(
    folder: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    spec = MethodSpec("tiny", "dcls", tiny)
    alone = evaluate(plan_of(folder, spec), ResultStore(out))["tiny"]
    faithful = evaluate(plan_of(folder, replace(spec, fidelity=0.5)), ResultStore(out))["tiny"]
    assert len(results_in(out)) == 8
    pairs = zip(alone, faithful, strict=True)
    assert all(one.psnr_rgb != other.psnr_rgb for one, other in pairs)
    assert replace(spec, fidelity=0.0).fingerprint() == spec.fingerprint()
    assert run(["eval", "--hr", str(folder), "-w", str(tiny), "-s", "2", "--fidelity", "2"]) == 2


def test_the_same_image_under_another_name_is_not_done_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(plan_of(folder), ResultStore(out))
    (folder / "photo_3.png").rename(folder / "a.png")
    rows = evaluate(plan_of(folder), ResultStore(out))["bicubic"]
    assert [row.image for row in rows[::8]] == ["a.png", *(f"photo_{i}.png" for i in range(3))]
    assert len(results_in(out)) == 4


def test_a_damaged_result_is_made_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = evaluate(plan_of(folder), ResultStore(out))
    for path, content in zip(
        results_in(out), (b"", b"{}", b'{"rows": [{}]}', b"\xff"), strict=True
    ):
        path.write_bytes(content)
    assert evaluate(plan_of(folder), ResultStore(out)) == first
    for path in results_in(out):
        assert json.loads(path.read_bytes())["rows"]


def test_kernels_are_measured_where_they_are_estimated(folder: Path, tiny: Path) -> None:
    methods = MethodSpec("tiny", "dcls", tiny), MethodSpec("bicubic", "bicubic")
    results = evaluate(plan_of(folder, *methods, kernels=True), ResultStore(None))
    assert all(row.lr_psnr is None for row in results["bicubic"])
    for row in results["tiny"]:
        assert row.lr_psnr is not None
        assert row.lr_psnr > 20
        assert row.kernel_error_hr is not None
        assert row.kernel_error_lr is not None


def test_several_processes_give_the_same(folder: Path, tiny: Path, tmp_path: Path) -> None:
    methods = MethodSpec("tiny", "dcls", tiny), MethodSpec("bicubic", "bicubic")
    alone = evaluate(plan_of(folder, *methods), ResultStore(None), jobs=1)
    together = evaluate(plan_of(folder, *methods), ResultStore(tmp_path / "out"), jobs=2)
    for name, rows in alone.items():
        for row, other in zip(rows, together[name], strict=True):
            assert (other.image, other.sigma) == (row.image, row.sigma)
            # Fewer threads may add in another order.
            assert other.psnr_y == pytest.approx(row.psnr_y, abs=1e-3)


def test_an_error_in_another_process_is_ours(folder: Path) -> None:
    (folder / "photo_1.png").write_text("no image")
    with pytest.raises(ImageError, match=r"photo_1\.png: a text file; expected"):
        evaluate(plan_of(folder), ResultStore(None), jobs=2)


def test_few_images_do_not_pay_for_processes() -> None:
    assert processes_for(1, "cpu") == 1
    assert processes_for(7, "cpu") == 1
    assert processes_for(1000, "cpu") >= 1
    assert processes_for(1000, "cuda:0") == 1


# ---------- pairs ----------


def test_pairs_are_found_by_name(folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "lr"
    small.mkdir()
    names = ("photo_0.png", "photo_1x2.png", "photo_2.png", "photo_3.png")
    for index, name in enumerate(names):
        Image.fromarray(np.full((16, 18, 3), 60 * index, np.uint8)).save(small / name)
    items = find_items("pairs", 2, folder, small)
    assert [item.lr and item.lr.name for item in items] == list(names)
    plan = Plan("pairs", 2, items, (MethodSpec("bicubic", "bicubic"),))
    rows = evaluate(plan, ResultStore(None))["bicubic"]
    assert [row.sigma for row in rows] == [None] * 4

    (small / "photo_1x2.png").unlink()
    with pytest.raises(ImageError, match=r"no LR image for photo_1\.png; looked for photo_1, "):
        find_items("pairs", 2, folder, small)


def test_a_pair_of_other_sizes_is_refused(folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "photo_0.png"
    Image.fromarray(np.zeros((16, 17, 3), np.uint8)).save(small)
    plan = Plan("pairs", 2, [Item(folder / "photo_0.png", small)], (MethodSpec("b", "bicubic"),))
    with pytest.raises(ImageError, match="17x16 px x 2 are not the 36x32 px"):
        evaluate(plan, ResultStore(None))


@pytest.mark.parametrize(
    ("benchmark", "folders"),
    [("pairs", "h"), ("gaussian8", "hl"), ("div2krk", "h"), ("photo", "hr"), ("gaussian8", "")],
)
def test_folders_that_a_benchmark_does_not_take(
    benchmark: str, folders: str, tmp_path: Path
) -> None:
    hr, lr, root = (tmp_path if letter in folders else None for letter in "hlr")
    with pytest.raises(UsageError, match=f"--benchmark {benchmark} needs --"):
        find_items(benchmark, 2, hr, lr, root)


# ---------- real kills ----------


@pytest.fixture
def many(tmp_path: Path) -> Path:
    hr = tmp_path / "many"
    hr.mkdir()
    for index in range(40):
        pixels = np.uint8(np.round(255 * scenes.natural(128, 128, index)))
        Image.fromarray(pixels).save(hr / f"photo_{index:02}.png")
    return hr


def workers_of(pid: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            yield int(path.parent.name)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_killed_evaluation_goes_on(many: Path, tiny: Path, tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from dcls_cli.cli.app import main; main()", "eval"]
    command += ["--hr", str(many), "-s", "2", "-w", str(tiny), "-j", "2", "--csv"]
    whole = subprocess.run(command, capture_output=True, check=True, text=True)
    process = subprocess.Popen(
        [*command, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 600
    while len(list((out / "results").glob("*.json"))) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = list(workers_of(process.pid))
    assert children
    process.send_signal(getattr(signal, how))
    code = process.wait(300)
    assert code == {"SIGKILL": -9, "SIGTERM": 143, "SIGINT": 130}[how]
    deadline = time.monotonic() + 100
    while any(alive(child) for child in children):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
    before = results_in(out)
    assert 5 <= len(before) < 40
    again = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, check=True, text=True
    )
    assert again.stdout == whole.stdout
    after = results_in(out)
    assert {path: after[path] for path in before} == before
    assert len(after) == 40


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
