"""`dcls models`, and `hf:` wherever a model is named, against a Hub on this machine."""

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import dcls_cli
from dcls_cli.cli import publishing
from dcls_cli.cli.app import run
from dcls_cli.models import releases, weights
from dcls_cli.models.releases import RELEASES
from dcls_cli.upscaler import Upscaler
from tests.hub_server import Hub, connect, serving, write_tiny

Capture = pytest.CaptureFixture[str]
NAME = "hf:me/net/tiny.safetensors"
COMMIT = "a" * 40
WEB = Path(dcls_cli.__file__).parents[1] / "export" / "web"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    write_tiny(path)
    return path


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        hub.publish("me/net", {"tiny.safetensors": tiny.read_bytes()}, COMMIT)
        connect(monkeypatch, hub.url, tmp_path / "home")
        yield hub


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    coarse = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(coarse.repeat(4, 0).repeat(4, 1)).save(path)
    return path


def said(capsys: Capture, *arguments: object, code: int = 0) -> tuple[list[str], list[str]]:
    """Lines on stdout and stderr of a command that ends as expected."""
    got = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert got == code, captured.err
    return captured.out.splitlines(), captured.err.splitlines()


def test_list_names_every_release_and_where_it_is(hub: Hub, capsys: Capture) -> None:
    out, err = said(capsys, "models", "list")
    assert [line.split()[:2] for line in out] == [
        [item.name, f"x{item.scale}"] for item in RELEASES
    ]
    assert err == []
    assert all(line.endswith(("  included", "  not here")) for line in out)
    out, _ = said(capsys, "models", "list", "--json")
    first = json.loads(out[0])
    assert (first["name"], first["sha256"]) == (RELEASES[0].name, RELEASES[0].sha256)
    assert hub.log == []


def test_a_model_of_the_hub_from_download_to_removal(
    hub: Hub, capsys: Capture, tmp_path: Path
) -> None:
    out, err = said(capsys, "models", "path", NAME, code=3)
    assert out == []
    assert err == [f"dcls: {NAME}: not on this machine; get it with `dcls models download`"]
    out, _ = said(capsys, "models", "info", NAME)
    assert [line.split(maxsplit=1) for line in out] == [["name", NAME], ["state", "not here"]]
    assert hub.log == []
    out, err = said(capsys, "models", "download", NAME)
    (path,) = out
    assert err == [f"dcls: {NAME}: downloaded, {Path(path).stat().st_size / 1e6:.1f} MB"]
    hub.log.clear()
    assert said(capsys, "models", "path", NAME) == ([path], [])
    out, _ = said(capsys, "models", "info", NAME, "--json")
    event = json.loads(out[0])
    assert (event["state"], event["scale"], event["revision"]) == ("cached", 2, COMMIT)
    full = f"hf:me/net@{COMMIT}/tiny.safetensors"
    out, _ = said(capsys, "models", "list")
    assert out[-1] == f"{full}  cached"
    assert said(capsys, "models", "verify", NAME) == ([f"{NAME}: whole"], [])
    assert said(capsys, "models", "download", full) == ([path], [])
    assert hub.log == []
    assert said(capsys, "models", "remove", full) == ([f"{full}: removed"], [])
    assert list((tmp_path / "home" / "hub").iterdir()) == []
    _, err = said(capsys, "models", "remove", full, code=3)
    assert err == [f"dcls: {full}: not in the cache; nothing was removed"]


def test_removal_keeps_what_another_commit_shares(hub: Hub, capsys: Capture) -> None:
    said(capsys, "models", "download", NAME)
    hub.commits["me/net"] = other = "b" * 40
    out, _ = said(capsys, "models", "download", f"hf:me/net@{other}")
    said(capsys, "models", "remove", NAME)
    assert said(capsys, "models", "verify", f"hf:me/net@{other}")[1] == []
    assert weights.check(Path(out[0]))[0].scale == 2


def test_verify_finds_damage_without_being_told_where(hub: Hub, capsys: Capture) -> None:
    (path,), _ = said(capsys, "models", "download", NAME)
    whole = Path(path).read_bytes()
    for wrong in (whole[:1000], whole[:-1] + b"\xff"):
        Path(path).resolve().write_bytes(wrong)
        _, err = said(capsys, "models", "verify", code=3)
        assert len(err) == 1
        assert err[0].startswith(f"dcls: {path}: damaged: ")
        assert str(Path(path).resolve()) in err[0]
        out, _ = said(capsys, "models", "verify", "--json", code=3)
        assert json.loads(out[-1])["event"] == "damaged"


def test_what_belongs_to_the_installation_stays(hub: Hub, capsys: Capture) -> None:
    item = RELEASES[0]
    if not releases.location(item).is_file():
        pytest.skip("no released weights in this checkout")
    _, err = said(capsys, "models", "remove", item.name, code=2)
    assert "a part of dcls" in err[0]
    assert said(capsys, "models", "path", item.name)[0] == [str(releases.location(item))]
    assert said(capsys, "models", "verify", item.name) == ([f"{item.name}: whole"], [])


@pytest.mark.parametrize("command", ["info", "download", "path", "remove", "verify"])
@pytest.mark.parametrize("name", ["hf:me", "hf:me/net/x.pth", "nonsense"])
def test_impossible_names_are_usage_errors(
    hub: Hub, capsys: Capture, command: str, name: str
) -> None:
    _, err = said(capsys, "models", command, name, code=2)
    assert len(err) == 1
    assert name in err[0]
    assert hub.log == []


def test_a_model_of_the_hub_upscales_and_is_measured(
    hub: Hub, tiny: Path, photo: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, err = said(capsys, "upscale", photo, "-m", "hf:me/net", "--precision", "fp32")
    assert "photo_x2.png  32x40" in out[0]
    assert len(err) == 1
    expected = Upscaler.from_pretrained(tiny, precision="fp32").up(Image.open(photo)).image
    assert np.array_equal(np.asarray(Image.open(tmp_path / "photo_x2.png")), np.asarray(expected))
    hub.log.clear()
    ours = Upscaler.from_pretrained("hf:me/net", precision="fp32").up(Image.open(photo)).image
    assert np.array_equal(np.asarray(ours), np.asarray(expected))
    folder = tmp_path / "hr"
    folder.mkdir()
    Image.open(photo).resize((32, 32)).save(folder / "a.png")
    out, err = said(
        capsys, "eval", "--hr", folder, "-s", 2, "-m", "hf:me/net", "--json", "-d", "cpu"
    )
    assert json.loads(out[-1])["method"] == "hf:me/net"
    assert (err, hub.log) == ([], [])


@pytest.mark.parametrize("mode", ["404", "corrupt", "portal"])
def test_a_fault_of_the_hub_is_one_line_and_exit_3(
    hub: Hub, photo: Path, capsys: Capture, mode: str
) -> None:
    hub.mode = mode
    out, err = said(capsys, "upscale", photo, "-m", "hf:me/net@main/tiny.safetensors", code=3)
    assert out == []
    assert len(err) == 1
    assert err[0].startswith(f"dcls: {NAME}: {hub.url}")
    assert not photo.with_name("photo_x2.png").exists()


def test_the_environment_is_honoured_and_bundled_weights_ask_nobody(
    hub: Hub, tmp_path: Path
) -> None:
    def dcls(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", "from dcls_cli.cli.app import main; main()", *arguments],
            env={**environment, **changes},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    kept = {key: text for key, text in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    root = str(Path(dcls_cli.__file__).parents[1])
    home = tmp_path / "elsewhere"
    environment = {**kept, "PYTHONPATH": root, "HF_ENDPOINT": hub.url, "HF_HOME": str(home)}
    assert dcls("models", "list").returncode == 0
    result = dcls("models", "download", NAME, HF_HUB_OFFLINE="1")
    assert (result.returncode, hub.log) == (3, [])
    assert len(result.stderr.splitlines()) == 1
    hub.mode = "gated"
    result = dcls("models", "download", NAME, HF_TOKEN=hub.token)
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()).is_relative_to(home)


def published(hub: Hub) -> tuple[dict[str, bytes], dict[str, object], str]:
    """Files, card metadata and card text of me/new."""
    files = hub.files["me/new"]
    _, head, body = files["README.md"].decode().split("---\n", 2)
    return files, yaml.safe_load(head), body


def test_publish_sends_weights_card_and_picture(
    hub: Hub, tiny: Path, photo: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hub.mode = "gated"
    arguments = ["--repo", "me/new", "-w", tiny, "--picture", photo]
    out, err = said(capsys, "models", "publish", *arguments, "--private")
    assert out == [f"hf:me/new@{hub.commits['me/new']}/tiny.safetensors"]
    assert err == []
    assert hub.private["me/new"]
    assert {request.authorization for request in hub.log if "/api/" in request.path} == {
        f"Bearer {hub.token}"
    }
    files, metadata, body = published(hub)
    assert files["tiny.safetensors"] == tiny.read_bytes()
    assert hashlib.sha256(tiny.read_bytes()).hexdigest() in body
    assert metadata["license"] == "mit"
    assert metadata["library_name"] == "dcls"
    assert metadata["pipeline_tag"] == "image-to-image"
    assert {"super-resolution", "x2"} <= set(metadata["tags"])
    assert "model-index" not in metadata  # nobody has measured these weights
    assert Image.open(io.BytesIO(files["picture.png"])).size == (4 * 32, 32)
    assert "](picture.png)" in body
    assert "-m hf:me/new/tiny.safetensors" in body
    (path,), _ = said(capsys, "models", "download", out[0])
    assert Path(path).read_bytes() == tiny.read_bytes()


def test_a_released_model_is_published_with_its_figures(hub: Hub, capsys: Capture) -> None:
    item = RELEASES[0]
    if not releases.location(item).is_file():
        pytest.skip("no released weights in this checkout")
    out, err = said(capsys, "models", "publish", "--repo", "me/new", "-m", item.name, "--dry-run")
    assert (err, hub.log) == ([], [])
    _, head, body = "\n".join(out).split("---\n", 2)
    (index,) = yaml.safe_load(head)["model-index"]
    figures = {entry["type"]: entry["value"] for entry in index["results"][0]["metrics"]}
    assert (index["name"], figures) == (item.name, {"psnr": item.psnr_y_db, "ssim": item.ssim_y})
    assert f"{item.psnr_y_db:.2f} dB" in body
    assert item.sha256 in body
    assert item.trained_on in body
    assert "validation set" in body


def test_all_publishes_every_release_and_the_page(
    hub: Hub, photo: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not all(releases.location(item).is_file() for item in RELEASES):
        pytest.skip("no released weights in this checkout")
    monkeypatch.setattr(publishing, "drawn", lambda *_: b"picture")
    page = built_page(tmp_path / "dist")
    arguments = ["models", "publish", "--repo", "me", "--all", "--space", page]
    out, err = said(capsys, *arguments, "--picture", photo)
    assert err == []
    assert out == [
        *(f"hf:me/{item.name}@{hub.commits[f'me/{item.name}']}/{item.file}" for item in RELEASES),
        f"spaces/me/dcls@{hub.commits['me/dcls']}",
    ]
    for item in RELEASES:
        files, repo = hub.files[f"me/{item.name}"], f"me/{item.name}"
        assert hub.kinds[repo] == ("model", None)
        assert hashlib.sha256(files[item.file]).hexdigest() == item.sha256
        assert json.loads(files["config.json"])["scale"] == item.scale
        beside = sorted(releases.location(item).parent.glob(f"{item.name}-*.onnx"))
        assert {name for name in files if name.endswith(".onnx")} == {x.name for x in beside}
        assert all(files[graph.name] == graph.read_bytes() for graph in beside)
        assert f"# {item.name}\n" in files["README.md"].decode()
        (path,), _ = said(capsys, "models", "download", f"hf:{repo}")
        assert Path(path).read_bytes() == files[item.file]
    assert hub.kinds["me/dcls"] == ("space", "static")
    assert hub.files["me/dcls"].keys() == {"index.html", "README.md", "ort/runtime.wasm"}
    assert yaml.safe_load(hub.files["me/dcls"]["README.md"].split(b"---")[1])["sdk"] == "static"


def built_page(folder: Path) -> Path:
    """A folder like the one that `npm run build` writes."""
    (folder / "ort").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "ort" / "runtime.wasm").write_bytes(b"\0asm")
    (folder / "README.md").write_bytes((WEB / "space.md").read_bytes())
    return folder


def test_a_page_alone_is_published_as_a_static_space(
    hub: Hub, tmp_path: Path, capsys: Capture
) -> None:
    page = built_page(tmp_path / "dist")
    out, _ = said(capsys, "models", "publish", "--repo", "me/page", "--space", page, "--json")
    event = json.loads(out[0])
    assert (event["repo"], event["revision"]) == ("me/page", hub.commits["me/page"])
    assert hub.kinds == {"me/page": ("space", "static")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repo", "me/new", "--all"], "--repo me/new: with --all, expected OWNER"),
        (["--repo", "me", "--all", "-m", "dcls-light-x4"], "exclude each other"),
        (["--repo", "me/new", "--space", ".", "-m", "dcls-light-x4"], "--space publishes a page"),
        (["--repo", "me/new", "--space", "empty"], "empty: not a built page"),
    ],
)
def test_what_cannot_be_published_is_refused_before_anything_is_sent(
    hub: Hub, capsys: Capture, arguments: list[str], message: str
) -> None:
    _, (line,) = said(capsys, "models", "publish", *arguments, code=2)
    assert message in line
    assert hub.log == []


@pytest.mark.parametrize("mode", ["401", "403", "500", "silent"])
def test_a_hub_that_refuses_is_told_in_one_line(
    hub: Hub, tiny: Path, photo: Path, capsys: Capture, mode: str
) -> None:
    hub.mode = mode
    arguments = ["--repo", "me/new", "-w", tiny, "--picture", photo]
    out, err = said(capsys, "models", "publish", *arguments, code=1)
    assert out == []
    assert len(err) == 1
    assert err[0].startswith("dcls: me/new: not published: ")


def test_damaged_weights_are_not_published(
    hub: Hub, tiny: Path, tmp_path: Path, capsys: Capture
) -> None:
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(tiny.read_bytes()[:-1] + b"\xff")
    _, err = said(capsys, "models", "publish", "--repo", "me/new", "-w", wrong, code=3)
    assert "damaged" in err[0]
    for repo in ("me", "me/new@v1", "me/new/x.safetensors"):
        _, err = said(capsys, "models", "publish", "--repo", repo, "-w", tiny, code=2)
        assert len(err) == 1
    assert hub.log == []
