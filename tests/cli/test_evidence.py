"""`dcls upscale --kernel` and `--report` on real files."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli import __version__
from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.image import read
from dcls_cli.image.metadata.xmp import record_of
from dcls_cli.jobs.existing_outputs import xmp_in
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.reports.consistency import consistency
from dcls_cli.upscaler import Upscaler, upscale_file
from tests import oracle

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    config = ModelConfig.photo(
        2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    path = tmp_path_factory.mktemp("weights") / "x2.safetensors"
    weights.write(DCLS(config), path)
    return str(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(name)
    np.save("psf.npy", oracle.gauss_iso(20, 1.2))


def test_a_kernel_from_a_file_is_the_one_that_is_used(x2: str, capsys: Capture) -> None:
    common = ["-w", x2, "--precision", "fp32", "--json"]
    assert run(["upscale", "a.png", "--kernel", "psf.npy", "--save-kernel", "k.npy", *common]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    done = json.loads(captured.out.splitlines()[-2])
    assert done["kernel_known"] is True
    assert done["kernel_width_px"] == pytest.approx(1.2, abs=0.01)
    np.testing.assert_allclose(np.load("k.npy"), oracle.gauss_iso(21, 1.2), atol=1e-4)
    upscaler = Upscaler.from_pretrained(x2, device="cpu", precision="fp32")
    image = np.asarray(Image.open("a.png"))
    expected = upscaler.up(image, kernel=Path("psf.npy")).image
    np.testing.assert_array_equal(np.asarray(Image.open("a_x2.png")), expected)
    assert not np.array_equal(upscaler.up(image).image, expected)


def test_one_kernel_serves_several_photos_and_its_changes_are_told_once(
    x2: str, capsys: Capture
) -> None:
    np.save("twice.npy", 2 * oracle.gauss_iso(21, 1.2))
    assert run(["upscale", "a.png", "b.png", "--kernel", "twice.npy", "-w", x2, "-o", "out/"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "dcls: twice.npy: its sum was 2; divided by it\n"
    assert len(captured.out.splitlines()) == 2


def test_the_report_is_written_beside_the_output(x2: str, capsys: Capture) -> None:
    assert run(["upscale", "a.png", "-w", x2, "--report", "page.html", "--json"]) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-2])
    assert done["report"] == "page.html"
    text = Path("page.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    for said in ("a.png, 40 x 30 pixels", "a_x2.png, 80 x 60 pixels, x2", "x2</td>", "Noise"):
        assert said in text
    assert "estimated from the photo" in text
    for name in ("a.png", "a_x2.png", x2):
        assert hashlib.sha256(Path(name).read_bytes()).hexdigest() in text
    assert f"dcls {__version__} on cpu, fp32" in text
    assert "58.9 dB is the rounding of 8-bit samples" in text
    arguments = ["upscale", "a.png", "-w", x2, "--kernel", "psf.npy", "--report", "page.html"]
    assert run([*arguments, "--overwrite"]) == 0
    assert "given by the user" in Path("page.html").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="names are text on Windows")
def test_a_name_that_is_no_text_is_shown_as_an_escape(x2: str) -> None:
    os.rename("a.png", os.fsencode("<i>caf") + b"\xe9.png")  # noqa: PTH104 - bytes
    (name,) = (path for path in Path().iterdir() if path.name.startswith("<"))
    assert run(["upscale", str(name), "-w", x2, "-o", "out.png", "--report", "page.html"]) == 0
    assert r"Evidence: &lt;i&gt;caf\udce9.png" in Path("page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "said", "arguments"),
    [
        (2, "none.npy: cannot be read: no such file", ["--kernel", "none.npy"]),
        (2, "zero.npy: all taps are zero", ["--kernel", "zero.npy"]),
        (2, "wide.npy: ", ["--kernel", "wide.npy"]),
        (2, "give --kernel too", ["--kernel-space", "lr"]),
        (2, "--kernel-space", ["--kernel", "psf.npy", "--kernel-space", "mr"]),
        (2, "--report writes .html or .htm", ["--report", "page.pdf"]),
        (2, "--report takes the evidence of one photo", ["b.png", "--report", "page.html"]),
        (2, "would be written for both", ["-o", "same.html", "--report", "same.html"]),
        (1, "taken.html: exists already", ["--report", "taken.html"]),
        (1, "cannot be written", ["--report", "none/page.html"]),
    ],
)
def test_impossible_requests_end_in_one_line_and_lose_nothing(
    code: int, said: str, arguments: list[str], x2: str, capsys: Capture
) -> None:
    np.save("zero.npy", np.zeros((3, 3)))
    np.save("wide.npy", np.ones((41, 41)) / 41**2)
    Path("taken.html").write_text("precious")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert run(["upscale", "a.png", "-w", x2, *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("dcls: ")
    assert said in line
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_fidelity_is_stated_with_what_it_changed(x2: str, capsys: Capture) -> None:
    found = {}
    for fidelity in ("0", "0.5", "1"):
        arguments = ["upscale", "a.png", "-w", x2, "--fidelity", fidelity, "--json", "--overwrite"]
        assert run([*arguments, "--report", "page.html"]) == 0
        done = json.loads(capsys.readouterr().out.splitlines()[-2])
        assert done["fidelity"] == float(fidelity)
        found[fidelity] = done["consistency_before_db"], done["consistency_db"]
        text = Path("page.html").read_text(encoding="utf-8")
        alone = f"the network alone: {done['consistency_before_db']:.1f} dB"
        assert (alone in text) == (fidelity != "0")
    assert found["0"][0] == found["0"][1] == found["1"][0]
    assert found["0"][1] < found["0.5"][1] < found["1"][1]
    photo = read(Path("a.png")).colour[:, slice(None), slice(None)]
    written = read(Path("a_x2.png")).colour[:, slice(None), slice(None)]
    kernel = Upscaler.from_pretrained(x2, device="cpu").up("a.png").kernel
    page = consistency(photo, written, kernel, "hr", 2).psnr_db
    assert found["1"][1] == pytest.approx(page, abs=2)  # they differ about the borders
    assert f"<td>{page:.1f} dB" in Path("page.html").read_text(encoding="utf-8")


def test_fidelity_is_in_the_records_and_in_python(x2: str) -> None:
    upscaler = Upscaler.from_pretrained(x2, device="cpu")
    alone, faithful = (upscaler.up("a.png", fidelity=value) for value in (0.0, 0.6))
    assert alone.consistency_db is not None and faithful.consistency_db is not None
    assert faithful.consistency_db > alone.consistency_db
    made = upscale_file("a.png", scale=1.5, weights=Path(x2), fidelity=0.6, device="cpu")
    assert Image.open("a_x1.5.png").size == (60, 45)
    assert made.consistency_db == pytest.approx(faithful.consistency_db, abs=0.01)
    packet = xmp_in(Path("a_x1.5.png"))
    assert packet is not None
    assert json.loads(record_of(packet)["options"])["fidelity"] == 0.6


def test_sixteen_bits_and_unusual_options_are_stated(x2: str) -> None:
    grey = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    Image.fromarray(grey).save("deep.png")
    arguments = ["upscale", "deep.png", "-w", x2, "--report", "deep.html", "--fidelity", "0.5"]
    assert run(arguments) == 0
    text = Path("deep.html").read_text(encoding="utf-8")
    assert "107.1 dB is the rounding of 16-bit samples" in text
    assert "&quot;fidelity&quot;: 0.5" in text


@pytest.mark.parametrize("option", [[], ["--precision", "fp32"]])
def test_a_default_precision_comes_from_the_environment(
    option: list[str], x2: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("DCLS_PRECISION", "bf16")
    assert run(["upscale", "a.png", "-w", x2, "-o", "env.png", "--json", *option]) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-2])
    assert done["precision"] == ("fp32" if option else "bf16")
    monkeypatch.setenv("DCLS_PRECISION", "fp33")
    assert run(["upscale", "a.png", "-w", x2, "-o", "other.png"]) == 2
    assert "DCLS_PRECISION" in capsys.readouterr().err
