"""`dcls eval`: its table, its NDJSON, its refusals; the network is real and tiny."""

import csv
import importlib
import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from scipy.ndimage import correlate
from typer.testing import CliRunner, Result

from dcls_cli.cli.evaluate import evaluate
from dcls_cli.config import ModelConfig
from dcls_cli.errors import ImageError, UsageError, WeightsError
from dcls_cli.evaluation.gaussian8 import bicubic_restore, gaussian8
from dcls_cli.evaluation.rows import mean_row
from dcls_cli.evaluation.samples import find_hr
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from tests import scenes


@pytest.fixture(scope="module")
def hr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hr")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ModelConfig.light(
        2, features=16, groups=1, blocks=1, estimator_features=16, estimator_blocks=1
    )
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    weights.write(DCLS(config), path, {})
    return path


def run(*arguments: object) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_prints_a_line_for_each_sigma_and_the_mean(hr: Path, tiny: Path) -> None:
    result = run("--hr", hr, "-s", 2, "-w", tiny, "--against", "bicubic", "-d", "cpu")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    figures = [line for line in lines if line and line[0] in {"0.80", "1.60", "mean"}]
    assert [line[0] for line in figures] == ["0.80", "1.60", "mean"]
    mean = mean_row(gaussian8(find_hr(hr), 2, bicubic_restore(2)))
    expected = [f"{mean.psnr_y:.3f}", "/", f"{mean.ssim_y:.4f}"]
    assert figures[-1][4:7] == expected
    assert figures[-1][1:4] != expected
    millions = sum(value.numel() for value in weights.load(tiny).state_dict().values()) / 1e6
    ours = next(line for line in lines if line[:1] == ["tiny"] and len(line) == 7)
    assert ours[1:3] == [f"{millions:.2f}", "M"]
    means = next(line for line in lines if line[:1] == ["bicubic"] and len(line) == 6)
    assert means[1] == "-"
    assert means[2:] == [
        f"{mean.psnr_y:.3f}",
        f"{mean.ssim_y:.4f}",
        f"{mean.psnr_rgb:.3f}",
        f"{mean.ssim_rgb:.4f}",
    ]


def test_graphs_in_int8_are_measured(hr: Path) -> None:
    """Near fp32, and not the same: it did run in int8."""
    figures = []
    for precision in ("fp32", "int8"):
        options = ("-m", "dcls-light-x4", "-d", "cpu", "--precision", precision, "--json")
        result = run("--hr", hr, *options)
        assert result.exit_code == 0, result.output
        events = [json.loads(line) for line in result.stdout.splitlines()]
        (mean,) = (event for event in events if event["event"] == "mean")
        figures.append(mean["psnr_y"])
    assert figures[0] != figures[1]
    assert figures[0] == pytest.approx(figures[1], abs=0.1)


def test_prints_json(hr: Path, tiny: Path) -> None:
    result = run("--hr", hr, "-s", 2, "-w", tiny, "--json", "-d", "cpu")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == ["row"] * 8 + ["sigma"] * 8 + [
        "image",
        "mean",
    ]
    assert {event["method"] for event in events} == {"tiny"}
    assert events[0]["image"] == "noise.png"
    rows = [event["psnr_y"] for event in events[:8]]
    assert events[-1]["psnr_y"] == pytest.approx(sum(rows) / 8, abs=1e-5)


def test_refuses_weights_of_another_scale(hr: Path, tiny: Path) -> None:
    error = run("--hr", hr, "-s", 4, "-w", tiny).exception
    assert isinstance(error, UsageError)
    assert "made for scale 2, not 4; add -s 2" in str(error)


def test_refuses_model_and_weights_together(hr: Path, tiny: Path) -> None:
    error = run("--hr", hr, "-m", "dcls-light-x4", "-w", tiny).exception
    assert isinstance(error, UsageError)


def test_refuses_a_folder_without_images(tmp_path: Path, tiny: Path) -> None:
    assert isinstance(run("--hr", tmp_path, "-w", tiny).exception, ImageError)


# ---------- other forms of output ----------


@pytest.fixture(scope="module")
def set5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is called as a known set and holds other pictures."""
    folder = tmp_path_factory.mktemp("data") / "Set5" / "HR"
    folder.mkdir(parents=True)
    for index in range(2):
        pixels = np.uint8(np.round(255 * scenes.natural(40, 44, index)))
        Image.fromarray(pixels).save(folder / f"photo_{index}.png")
    return folder


def test_published_figures_stand_beside_ours_and_are_marked(set5: Path, tiny: Path) -> None:
    result = run("--hr", set5, "-s", 2, "-w", tiny, "-d", "cpu")
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if "DCLS (paper)" in line)
    assert line.split() == ["DCLS", "(paper)", "*", "13.63", "M", "37.63", "-"]
    assert "* published by others, not measured here" in result.stdout


def test_other_pictures_fail_the_protocol_check(set5: Path, tiny: Path) -> None:
    result = run("--hr", set5, "-s", 2, "-w", tiny, "--against", "bicubic", "-d", "cpu")
    assert "protocol check failed: bicubic" in result.stderr
    assert "on Set5 it must be 30.356" in result.stderr


def test_prints_csv(set5: Path, tiny: Path) -> None:
    result = run("--hr", set5, "-s", 2, "-w", tiny, "--against", "bicubic", "--csv", "-d", "cpu")
    lines = list(csv.DictReader(result.stdout.splitlines()))
    measured = [line for line in lines if line["source"] == "measured"]
    assert [line["method"] for line in measured] == ["tiny"] * 16 + ["bicubic"] * 16
    expected = gaussian8(find_hr(set5), 2, bicubic_restore(2))
    for line, row in zip(measured[16:], expected, strict=True):
        assert (line["image"], line["case"]) == (row.image, row.case)
        assert float(line["psnr_y"]) == pytest.approx(row.psnr_y, abs=1e-5)
        assert float(line["ssim_rgb"]) == pytest.approx(row.ssim_rgb, abs=1e-5)
    published = [line for line in lines if line["source"] == "published"]
    assert [(line["method"], line["psnr_y"]) for line in published] == [("DCLS (paper)", "37.63")]


def test_prints_markdown(set5: Path, tiny: Path) -> None:
    result = run("--hr", set5, "-s", 2, "-w", tiny, "--benchmark", "photo", "--kernels",
                 "--markdown", "-d", "cpu")  # fmt: skip
    table = [line for line in result.stdout.splitlines() if line.startswith("|")]
    names = [line.split("|")[1].strip() for line in table]
    assert names[:3] == ["damage", "---", "sharp"]
    assert "photo_1.png" in names
    assert names.count("mean") == 2  # of the pictures, and of the kernels
    assert len({line.count("|") for line in table[: names.index("mean") + 1]}) == 1


def test_prints_json_of_other_benchmarks(set5: Path, tiny: Path) -> None:
    result = run("--hr", set5, "-s", 2, "-w", tiny, "--benchmark", "div2krk-like", "--json",
                 "--kernels", "-d", "cpu")  # fmt: skip
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == ["row", "row", "image", "image", "mean"]
    assert {event["protocol"] for event in events} == {"div2krk-like"}
    assert all(event["lr_psnr"] > 10 for event in events)


def test_writes_a_folder(set5: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("--hr", set5, "-s", 2, "-w", tiny, "--against", "bicubic", "--kernels", "--out",
                 out, "-d", "cpu")  # fmt: skip
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    names = {"results", "figures.csv", "figures.md", "montage.png", "curves.png", "report.html"}
    assert {path.name for path in out.iterdir()} == names
    assert Image.open(out / "montage.png").width > 4 * 40
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "DCLS (paper) (published)" in text
    assert "published by others and were not measured here" in text
    assert text.count('class="slider"') == 2
    again = run(*arguments)
    assert again.stdout == first.stdout


def test_the_substitute_s_kernels_and_images_are_saved(
    set5: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run("--hr", set5, "-s", 2, "-w", tiny, "--benchmark", "div2krk-like", "--out", out,
                 "-d", "cpu")  # fmt: skip
    assert result.exit_code == 0, result.output
    kernel = np.load(out / "kernels" / "photo_0x2.npy")
    hr = np.asarray(Image.open(set5 / "photo_0.png")) / 255.0
    small = correlate(hr, kernel[..., None], mode="reflect")[::2, ::2]
    saved = np.asarray(Image.open(out / "lr" / "photo_0x2.png"))
    assert np.abs(saved - 255 * small).max() <= 0.501
    pairs = run("--hr", set5, "--lr", out / "lr", "-s", 2, "-w", tiny, "--benchmark", "pairs",
                "--csv", "-d", "cpu")  # fmt: skip
    figures = [line["psnr_y"] for line in csv.DictReader(pairs.stdout.splitlines())]
    kept = [line["psnr_y"] for line in csv.DictReader((out / "figures.csv").open())]
    assert figures == kept


# ---------- rivals ----------


def test_weights_of_ours_are_rivals_too(set5: Path, tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    shutil.copy(tiny, other)
    result = run("--hr", set5, "-s", 2, "-w", tiny, "--against", f"bicubic, {other}", "--json",
                 "-d", "cpu")  # fmt: skip
    means = {
        event["method"]: event["psnr_y"]
        for event in map(json.loads, result.stdout.splitlines())
        if event["event"] == "mean"
    }
    assert list(means) == ["tiny", "bicubic", "other"]
    assert means["tiny"] == means["other"] != means["bicubic"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--against", "lanczos"), "--against lanczos: expected bicubic, a model"),
        (("--against", "bicubic,bicubic"), "bicubic: would be compared with itself"),
        (("--json", "--csv"), "exclude each other"),
        (("--lr", "."), "--benchmark gaussian8 needs --hr, and no other folder"),
        (("--benchmark", "div2krk"), "--benchmark div2krk needs --root"),
    ],
)
def test_requests_that_make_no_sense(
    set5: Path, tiny: Path, options: tuple[str, ...], text: str
) -> None:
    error = run("--hr", set5, "-s", 2, "-w", tiny, *options).exception
    assert isinstance(error, UsageError)
    assert text in str(error)


def imported(name: str) -> ModuleType | None:
    """A package, or None if it cannot be imported here."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError):  # a torchvision of another torch raises the latter
        return None


def test_without_spandrel_one_line_says_how_to_get_it(set5: Path, tiny: Path) -> None:
    if imported("spandrel") is not None:
        pytest.skip("spandrel is installed")
    path = set5 / "photo_0.png"
    error = run("--hr", set5, "-s", 2, "-w", tiny, "--against", f"spandrel:{path}").exception
    assert isinstance(error, UsageError)
    assert "install" in str(error)
    assert "\n" not in str(error)


def test_a_network_of_others_stands_in_the_table(set5: Path, tiny: Path, tmp_path: Path) -> None:
    """Real-ESRGAN's compact network with random weights, run by spandrel and by hand."""
    if imported("spandrel") is None:
        pytest.skip("spandrel cannot be imported here")
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(0)
    network = SRVGGNetCompact(num_feat=16, num_conv=2, upscale=2).eval()
    torch.save(network.state_dict(), tmp_path / "compact.pth")

    def by_hand(lr: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(lr)[None])[0].numpy()

    expected = mean_row(gaussian8(find_hr(set5), 2, by_hand))
    rivals = f"spandrel:{tmp_path / 'compact.pth'}"
    result = run("--hr", set5, "-s", 2, "-w", tiny, "--against", rivals, "--json", "-d", "cpu")
    assert result.exit_code == 0, result.output
    means = [
        event for event in map(json.loads, result.stdout.splitlines()) if event["event"] == "mean"
    ]
    assert [mean["method"] for mean in means] == ["tiny", "compact"]
    assert means[1]["psnr_y"] == pytest.approx(expected.psnr_y, abs=1e-3)
    assert means[1]["ssim_rgb"] == pytest.approx(expected.ssim_rgb, abs=1e-4)

    other = run("--hr", set5, "-s", 3, "-m", "dcls-light-x3", "--against", rivals, "-d", "cpu")
    assert isinstance(other.exception, UsageError)
    assert "expected a x3 network from RGB to RGB; it is SR x2" in str(other.exception)

    (tmp_path / "damaged.pth").write_bytes((tmp_path / "compact.pth").read_bytes()[:500])
    for name, kind in (("damaged.pth", WeightsError), ("missing.pth", WeightsError)):
        path = f"spandrel:{tmp_path / name}"
        error = run("--hr", set5, "-s", 2, "-w", tiny, "--against", path, "-d", "cpu").exception
        assert isinstance(error, kind)
        assert name in str(error)
