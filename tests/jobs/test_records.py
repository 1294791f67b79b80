"""Outputs that were made with other options are not taken for those of this command."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli import __version__
from dcls_cli.cli.app import run
from dcls_cli.errors import UsageError
from dcls_cli.files.addresses import local
from dcls_cli.image.metadata import Kept
from dcls_cli.image.metadata.xmp import record_of, with_record
from dcls_cli.jobs.existing_outputs import xmp_in
from dcls_cli.jobs.networks import Networks, sha256_of
from dcls_cli.jobs.records import NAME, Records, recipe_of
from dcls_cli.jobs.request import Request
from dcls_cli.models import releases, weights
from dcls_cli.models.releases import location, release
from dcls_cli.upscaler import upscale_files
from tests.jobs.files import picture

Capture = pytest.CaptureFixture[str]

LIGHT = ("-m", "dcls-light-x4", "-d", "cpu")
SAID = "1 of the skipped outputs were made with other options ("


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[0x9286] = "a secret"
    exif.get_ifd(0x8825)[1] = "N"
    path = picture(Path("in/a.jpg"), (16, 12))
    Image.open(path).save(path, exif=exif)
    return path


def batch(*options: str) -> int:
    return run(["batch", "in", "-o", "out", *options])


def test_positions_do_not_stay_without_a_word(capsys: Capture) -> None:
    """A person who asks for `--metadata strip` publishes what comes out."""
    assert batch() == 0
    assert not Path("out", NAME).exists()  # the usual options leave no file
    for metadata in ("strip", "minimal"):
        capsys.readouterr()
        assert batch("--metadata", metadata) == 0
        said = capsys.readouterr().err
        assert "0 done, 0 failed, 1 skipped" in said
        assert f"{SAID}--metadata)" in said and "--redo-changed replaces them" in said
    assert Image.open("out/a_x4.jpg").getexif()
    assert batch("--metadata", "strip", "--redo-changed") == 0
    assert not Image.open("out/a_x4.jpg").getexif()
    capsys.readouterr()
    assert batch("--metadata", "strip") == 0
    said = capsys.readouterr().err
    assert "1 skipped" in said and SAID not in said
    assert batch("-q") == 0  # also where it is quiet
    assert f"{SAID}--metadata)" in capsys.readouterr().err
    assert batch("--redo-changed") == 0
    assert Image.open("out/a_x4.jpg").getexif()
    capsys.readouterr()
    assert batch() == 0
    assert SAID not in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ("--quality", "50"),
        ("--precision", "fp32"),
        ("--kernel-mode", "tile"),
        ("--fidelity", "0.4"),
        ("--noise", "3"),
        ("--kernel", "blur.npy"),
        ("--bit-depth", "8"),
        LIGHT[:2],
    ],
)
def test_every_option_that_changes_pixels_is_noticed(
    options: tuple[str, str], capsys: Capture
) -> None:
    taps = np.zeros((5, 5))
    taps[1:4, 1:4] = 1
    np.save("blur.npy", taps)
    assert batch("-d", "cpu") == 0
    capsys.readouterr()
    assert batch("-d", "cpu", *options) == 0
    named = "--model" if options[0] == "-m" else options[0]
    assert f"{SAID}{named})" in capsys.readouterr().err
    before = Path("out/a_x4.jpg").read_bytes()
    assert batch("-d", "cpu", *options, "--redo-changed") == 0
    capsys.readouterr()
    for again in range(2):
        if options[0] == "--kernel" and again:  # another blur in a file of the same name
            np.save("blur.npy", taps.T + np.eye(5))
        assert batch("-d", "cpu", *options) == 0
        other = options[0] == "--kernel" and again
        assert (SAID in capsys.readouterr().err) == other
    if options[0] in ("--quality", "--kernel", "--fidelity", "-m"):
        assert Path("out/a_x4.jpg").read_bytes() != before


def test_weights_are_known_by_their_content(capsys: Capture) -> None:
    shutil.copy(location(release("dcls-light-x4")), "mine.safetensors")
    assert batch("-w", "mine.safetensors") == 0
    shutil.copy("mine.safetensors", "same.safetensors")
    capsys.readouterr()
    assert batch("-w", "same.safetensors") == 0
    assert SAID not in capsys.readouterr().err
    shutil.copy(location(release("dcls-photo-x4")), "mine.safetensors")
    assert batch("-w", "mine.safetensors") == 0
    assert f"{SAID}--weights)" in capsys.readouterr().err


def other_weights(path: Path) -> Path:
    """The same network in a file of other bytes, as a later release would be."""
    network = weights.load(location(release("dcls-light-x4")))
    weights.write(network, path, {"note": "trained longer"})
    return path


OLDER = "1 of the skipped outputs were made by other weights; --redo-older replaces them"


@pytest.mark.parametrize("metadata", ["keep", "strip"])
def test_outputs_of_earlier_weights_are_reported_and_redone(
    metadata: Kept, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """After an update, the model of the same name is another file."""
    options = ("--metadata", metadata)
    assert batch(*options) == 0
    capsys.readouterr()
    assert batch(*options, "--redo-older") == 0
    said = capsys.readouterr().err
    assert "1 skipped" in said and OLDER not in said
    (done,) = list(upscale_files("in", "out", metadata=metadata, overwrite=True))
    updated = tuple(replace(item, sha256="0" * 64) for item in releases.RELEASES)
    monkeypatch.setattr(releases, "RELEASES", updated)
    records = Records.of(
        Request(inputs=(), metadata=metadata), Networks.of(Request(inputs=()), "cpu")
    )
    assert records.earlier(local(done.output)) == ((), True, False)


@pytest.mark.parametrize("metadata", ["keep", "strip"])
def test_redo_older_restores_with_the_weights_of_now(metadata: str, capsys: Capture) -> None:
    options = ("--metadata", metadata, "-w", "mine.safetensors", "-d", "cpu", "--precision", "fp32")
    shutil.copy(location(release("dcls-light-x4")), "mine.safetensors")
    assert batch(*options) == 0
    other = sha256_of(other_weights(Path("mine.safetensors")))
    capsys.readouterr()
    assert batch(*options) == 0
    assert f"{SAID}--weights)" in capsys.readouterr().err  # said once, as another option
    assert batch(*options, "--redo-older", "--json") == 0
    done, summary = map(json.loads, capsys.readouterr().out.splitlines()[-2:])
    assert (done["event"], done["weights_sha256"], summary["skipped"]) == ("done", other, 0)
    assert batch(*options, "--redo-older") == 0
    assert "1 skipped" in capsys.readouterr().err


def test_outputs_without_a_record_count_as_older(capsys: Capture) -> None:
    """Nobody knows which weights made them."""
    assert batch(*LIGHT, "--metadata", "strip") == 0
    Path("out", NAME).unlink()
    capsys.readouterr()
    assert batch() == 0
    assert OLDER not in capsys.readouterr().err  # it is not known
    assert batch("--redo-older") == 0
    assert "1 done" in capsys.readouterr().err
    assert batch("--redo-older") == 0
    assert "1 skipped" in capsys.readouterr().err


def test_redo_older_in_object_stores_needs_records_there() -> None:
    with pytest.raises(UsageError, match="--redo-older needs --metadata keep"):
        Request(inputs=("in",), output="s3://b/out/", redo_older=True, metadata="strip")


def test_a_photo_by_name_says_how_it_was_made(capsys: Capture) -> None:
    for metadata, count in (("keep", 1), ("strip", 0), ("minimal", 0)):
        output = Path(f"{metadata}.jpg")
        assert run(["upscale", "in/a.jpg", "-o", str(output), "--metadata", metadata]) == 0
        assert output.read_bytes().count(b"urn:dcls") == count
    assert not Path(NAME).exists()


def test_programs_are_told(capsys: Capture) -> None:
    assert batch() == 0
    capsys.readouterr()
    assert batch("--metadata", "strip", "--json", "--report", "rows.jsonl") == 0
    skip, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert skip["message"] == "made with other options (--metadata)"
    row = json.loads(Path("rows.jsonl").read_text())
    assert (row["status"], row["message"]) == ("skipped", skip["message"])
    done = list(upscale_files("in", "out", metadata="strip", redo_changed=True))
    assert [outcome.output for outcome in done] == [Path("out/a_x4.jpg")]
    assert list(upscale_files("in", "out", metadata="strip")) == []


def test_damaged_records_lose_nothing_but_themselves(capsys: Capture) -> None:
    options = ("--quality", "50", "--metadata", "minimal")
    assert batch(*options) == 0
    records = Path("out", NAME)
    whole = records.read_bytes()
    damaged = (b"", b"\xff\0{", b"[1]\n{}\nnull\n" + b"[" * 100_000, whole[: len(whole) // 2])
    for content in damaged:
        records.write_bytes(content)
        capsys.readouterr()
        assert batch(*options) == 0
        assert f"{SAID}--metadata, --quality)" in capsys.readouterr().err
    for content in damaged:
        records.write_bytes(content + b"\n" + whole)
        assert batch(*options) == 0
        assert SAID not in capsys.readouterr().err


PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<r:Description r:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a &amp; b"/>'
    b"</r:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize("has_xmp", [False, True])
@pytest.mark.parametrize("form", ["jpg", "png", "webp", "tiff", "avif"])
def test_outputs_that_keep_metadata_say_themselves_how_they_were_made(
    form: str, has_xmp: bool, photo: Path, capsys: Capture
) -> None:
    if has_xmp:
        Image.open(photo).save(photo, xmp=PACKET)
    options = ("-f", form, *LIGHT)
    assert batch(*options) == 0
    assert not Path("out", NAME).exists()
    (output,) = Path("out").iterdir()
    packet = xmp_in(output)
    assert packet is not None and (b'dc:source="a &amp; b"' in packet) == has_xmp
    said = record_of(packet)
    blur_px = float(said.pop("blur_px"))
    assert 0.3 < blur_px < 6 and said.pop("precision") in ("fp32", "bf16", "int8")
    assert said == {
        "version": __version__,
        "model": "dcls-light-x4",
        "weights": release("dcls-light-x4").sha256,
        "scale": "4",
        "options": '{"model": "dcls-light-x4"}',
    }
    for model, same in (("dcls-light-x4", True), ("auto", False)):
        capsys.readouterr()
        assert batch("-f", form, "-m", model) == 0
        assert (f"{SAID}--model)" in capsys.readouterr().err) is not same
    # A photo that is itself an output does not hand its record on.
    shutil.move(output, "in/b" + output.suffix)
    assert batch("-f", form, "--include", "b.*", "--name", "c") == 0
    (later,) = Path("out").iterdir()
    assert later.read_bytes().count(b"urn:dcls") == 1
    assert "options" not in record_of(xmp_in(later) or b"")
    assert (b"dc:source" in (xmp_in(later) or b"")) == has_xmp


@pytest.mark.parametrize(
    "packet",
    [
        PACKET.replace(b"a &amp; b", b"urn:dcls").replace(b"</r:RDF>", b""),
        with_record(None, {"options": "[1]"}),
        with_record(None, {"options": "{"}),
        with_record(None, {"options": "[" * 100_000}),
    ],
)
def test_records_of_others_say_nothing(packet: bytes, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save("a.png", xmp=packet)
    records = Records(recipe_of(Request(inputs=())))
    assert records.earlier(tmp_path / "a.png") == ((), False, False)


def test_processes_write_lines_beside_each_other() -> None:
    """Each line of many is whole."""
    code = (
        "import sys; from pathlib import Path; from dcls_cli.jobs.request import Request\n"
        "from dcls_cli.jobs.records import Records, recipe_of\n"
        "records = Records(recipe_of(Request(inputs=(), quality=50)))\n"
        "for i in range(300): records.add(Path('out') / f'{sys.argv[1]}-{i}.png', 'ab')"
    )
    Path("out").mkdir()
    programs = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [program.wait() for program in programs] == [0, 0, 0]
    records = Records(recipe_of(Request(inputs=(), quality=50)))
    for name in "abc":
        for i in range(300):
            assert records.earlier(Path(f"out/{name}-{i}.png")) == ((), True, False)
    assert records.earlier(Path("out/d.png")) == (("quality",), False, False)
