"""What broke under attack, each with its kind: streams, devices, links, hostile files."""

import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from dcls_cli.cli.app import run
from dcls_cli.data.sources import content_of
from dcls_cli.errors import ImageError
from dcls_cli.files.atomic import atomic_write
from dcls_cli.image import read
from dcls_cli.image.colour import from_cmyk
from dcls_cli.image.metadata.gathering import said_about
from dcls_cli.image.metadata.placement import Placement
from tests.faults.programs import ENVIRONMENT, PROGRAM, dcls
from tests.faults.test_disks import small_disk
from tests.jobs.files import picture
from tests.pace import stretched

pytestmark = pytest.mark.skipif(os.name == "nt", reason="files and signals of POSIX")

Capture = pytest.CaptureFixture[str]

UNBUFFERED = {**ENVIRONMENT, "PYTHONUNBUFFERED": "1"}


def noise(path: Path, side: int) -> Path:
    """A photo whose PNG is as large as its samples."""
    rng = np.random.default_rng(5)
    Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(path)
    return path


def test_a_photo_on_an_unbuffered_stdout_is_whole_or_the_command_fails(
    tmp_path: Path, x2: Path
) -> None:
    photo = noise(tmp_path / "a.png", 120)
    command = [*PROGRAM, "upscale", photo, "-o", "-", "-w", x2, "-d", "cpu"]
    whole = subprocess.run(command, env=UNBUFFERED, capture_output=True, check=True).stdout
    assert Image.open(io.BytesIO(whole)).size == (240, 240)
    with small_disk(tmp_path / "small", "100k") as small:
        with (small / "cut.png").open("wb") as file:
            cut = subprocess.run(
                command, env=UNBUFFERED, stdout=file, stderr=subprocess.PIPE, check=False
            )
        assert (small / "cut.png").stat().st_size < len(whole)
    assert cut.returncode == 1
    assert b"stdout: cannot be written: No space left on device" in cut.stderr


def test_a_reader_that_leaves_an_unbuffered_stdout_is_a_failure(tmp_path: Path, x2: Path) -> None:
    photo = noise(tmp_path / "a.png", 300)
    command = [*PROGRAM, "upscale", photo, "-o", "-", "-w", x2, "-d", "cpu"]
    with subprocess.Popen(
        command, env=UNBUFFERED, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 1
    assert b"stdout: cannot be written" in said


STEPS = """
import io, sys
from dcls_cli.jobs import streams
class Slow(io.RawIOBase):
    def __init__(self): self.taken = bytearray()
    def writable(self): return True
    def write(self, data):
        part = bytes(data[:1000]); self.taken += part; return len(part)
slow = Slow()
sys.stdout = type("Out", (), {"buffer": slow, "flush": slow.flush})()
from dcls_cli.image import from_array, Encoding
import numpy as np, pathlib
rng = np.random.default_rng(1)
photo = from_array(rng.integers(0, 256, (64, 64, 3), np.uint8))
streams.write_stdout(photo, pathlib.Path("stdout.png"), Encoding())
from PIL import Image
image = Image.open(io.BytesIO(bytes(slow.taken))); image.load()
assert (np.asarray(image) == photo.samples).all()
"""


def test_a_stream_that_takes_little_at_a_time_gets_all() -> None:
    subprocess.run([sys.executable, "-c", STEPS], env=ENVIRONMENT, check=True, timeout=120)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_is_written_at_home_and_no_name_is_looked_up(tmp_path: Path) -> None:
    """Of ONNX Runtime: a device id, a data base of events and a host of its vendor."""
    home, photo = tmp_path / "home", picture(tmp_path / "a.png")
    home.mkdir()
    names = ("XDG_CACHE_HOME", "HF_HOME", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in names}
    code = (
        "import sys, time; from dcls_cli import upscale_file; "
        "upscale_file(sys.argv[1], backend='onnx', precision='int8', model='dcls-light-x4'); "
        "time.sleep(3)"
    )
    log = tmp_path / "calls"
    subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", log]
        + [sys.executable, "-c", code, str(photo)],
        env={**environment, "HOME": str(home)},
        check=True,
        timeout=stretched(120),
    )
    assert (tmp_path / "a_x4.png").exists()
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert [line for line in log.read_text().splitlines() if "AF_INET" in line] == []


def test_a_home_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    photo = picture(tmp_path / "a.png")
    arguments = ["--backend", "onnx", "--precision", "int8", "-m", "dcls-light-x4"]
    result = dcls("upscale", photo, *arguments, env={**ENVIRONMENT, "HOME": "/proc"})
    assert (result.returncode, result.stderr) == (0, "")


def test_what_the_user_says_about_telemetry_stays() -> None:
    code = "import os, dcls_cli; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, kept in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        environment = {k: v for k, v in ENVIRONMENT.items() if k != "ORT_DISABLE_TELEMETRY"}
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, **given},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.strip() == kept


def test_a_photo_with_a_video_behind_it_is_a_photo(tmp_path: Path) -> None:
    """Phones write such; random bytes have the mark of a scan in every 64 kB of them."""
    image = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (3000, 16)))
    image.save(tmp_path / "a.jpg")
    behind = np.random.default_rng(0).integers(0, 256, 12_000_000, np.uint8).tobytes()
    assert behind.count(b"\xff\xda") > 100
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(behind)
    assert read(tmp_path / "a.jpg").width == 4096


def test_xmp_is_read_in_one_pass() -> None:
    for packet in (
        b"<x>" + b"<xmp:Thumbnails" * 60_000,
        b"<x>" + b"<xmp:Thumbnails></xap:Thumbnails>" * 30_000,
        b"<x>" + b"tiff:Orientation" + b" " * 900_000,
        b"<x>" + b"tiff:Orientation =" * 50_000,
        b"<x " + b" " * 900_000 + b"a='b'/>",
        _rdf(b"<tiff:Orientation>" * 50_000 + b"</tiff:Orientation>" * 50_000),
        _rdf(b"<mwg-rs:Regions>" * 50_000 + b"</mwg-rs:Regions>" * 50_000),
        _rdf(b"<tiff:Orientation>6</tiff:Orientation>" * 40_000),
        _rdf(b"".join(b"<GPano:a%d/>" % number for number in range(70_000))),
        _rdf(b"".join(b"<a:b xmlns:a%d='%d'>" % (n, n) for n in range(20_000))),
    ):
        started = time.process_time()
        said(packet)
        # The square of the length would be minutes.
        assert time.process_time() - started < stretched(6)


def _rdf(properties: bytes) -> bytes:
    """A packet with the namespaces of these tests."""
    return (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:a="b" '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        b'xmlns:xap="http://ns.adobe.com/xap/1.0/" '
        b'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
        b'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/">'
        b"<rdf:Description>" + properties + b"</rdf:Description></rdf:RDF>"
    )


def said(packet: bytes) -> tuple[bytes | None, list[str]]:
    """A packet after reading and the notes about it."""
    image = Image.new("RGB", (1, 1))
    image.info["xmp"] = packet
    found = said_about(image, Placement(6, (1, 1), (1, 1)), pages=1)
    return found.xmp, found.notes


def test_thumbnails_leave_xmp_and_nothing_else_does() -> None:
    packet, notes = said(
        _rdf(
            b'<a:c tiff:Orientation="6"/><xmp:Thumbnails a:d="b">x<a:y/></xmp:Thumbnails><a:b/>'
            b"<xmp:ThumbnailsOfMine>z</xmp:ThumbnailsOfMine><xap:Thumbnails></xap:Thumbnails>"
        )
    )
    kept = b'<a:c tiff:Orientation="1"/><a:b/><xmp:ThumbnailsOfMine>z</xmp:ThumbnailsOfMine>'
    assert (packet, notes) == (_rdf(kept), [])


@pytest.mark.parametrize(
    "packet",
    [
        b"<x>",
        b"<a:b/>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x SYSTEM "/etc/passwd"><x/>',
        b"<x>\xff\0</x>",
        b"<x>" + b"<a/>" * 300_000 + b"</x>",
    ],
)
def test_xmp_that_is_not_well_formed_or_defines_entities_is_left_out(packet: bytes) -> None:
    assert said(packet) == (None, ["the XMP data is damaged and was left out"])


def test_a_picture_with_hostile_xmp_is_restored_soon(tmp_path: Path, x2: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x>" + "<xmp:Thumbnails" * 62_000, zip=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    started = time.process_time()
    assert run(["upscale", str(tmp_path / "a.png"), "-w", str(x2), "-d", "cpu"]) == 0
    assert time.process_time() - started < stretched(10)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_a_folder_that_may_be_written_and_not_read_gets_its_file(tmp_path: Path, x2: Path) -> None:
    photo = picture(tmp_path / "a.png")
    (tmp_path / "box").mkdir()
    (tmp_path / "box").chmod(0o300)
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *PROGRAM, "upscale", photo]
    result = subprocess.run(
        [*command, "-o", tmp_path / "box" / "b.png", "-w", x2, "-d", "cpu"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    (tmp_path / "box").chmod(0o700)
    assert (result.returncode, [path.name for path in (tmp_path / "box").iterdir()]) == (
        0,
        ["b.png"],
    ), result.stderr


@pytest.mark.parametrize("kind", ["fifo", "link to a device", "link to a FIFO"])
def test_what_is_no_file_is_never_replaced(
    kind: str, tmp_path: Path, x2: Path, capsys: Capture
) -> None:
    photo, output = picture(tmp_path / "a.png"), tmp_path / "out.png"
    os.mkfifo(tmp_path / "fifo")
    match kind:
        case "fifo":
            os.mkfifo(output)
        case "link to a device":
            output.symlink_to("/dev/null")
        case _:
            output.symlink_to(tmp_path / "fifo")
    before = output.lstat()
    code = run(["upscale", str(photo), "-o", str(output), "-w", str(x2), "--overwrite"])
    assert code == 2
    assert "out.png: not a regular file; -o - writes to stdout" in capsys.readouterr().err
    after = output.lstat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    with pytest.raises(OSError, match="not a regular file"):
        atomic_write(output, lambda file: None, overwrite=True)
    for option, suffix in (("--save-kernel", ".npy"), ("--report", ".html")):
        other = output.with_suffix(suffix)
        os.mkfifo(other)
        arguments = ["upscale", str(photo), "-o", str(tmp_path / "b.png"), "-w", str(x2)]
        assert run([*arguments, option, str(other), "--overwrite"]) == 1
        assert stat.S_ISFIFO(other.lstat().st_mode)


def test_a_link_that_leads_nowhere_is_replaced(tmp_path: Path, x2: Path) -> None:
    output = tmp_path / "out.png"
    output.symlink_to(tmp_path / "nowhere" / "b.png")
    arguments = ["upscale", str(picture(tmp_path / "a.png")), "-o", str(output), "-w", str(x2)]
    assert run([*arguments, "--overwrite"]) == 0
    assert not output.is_symlink()


def test_no_pattern_leads_out_of_the_outputs(
    tmp_path: Path, x2: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "w" / "s").mkdir(parents=True)
    (tmp_path / "tree").mkdir()
    picture(tmp_path / "tree" / "b.png")
    monkeypatch.chdir(tmp_path / "w")
    assert run(["batch", "*/../../tree/*.png", "-o", "o", "-w", str(x2)]) == 2
    assert "'..' must stand before the first wildcard" in capsys.readouterr().err
    assert run(["batch", "../tree/*.png", "-o", "o", "-w", str(x2)]) == 0
    assert [path.name for path in (tmp_path / "w" / "o").iterdir()] == ["b_x2.png"]
    assert [path.name for path in (tmp_path / "tree").iterdir()] == ["b.png"]


@pytest.mark.parametrize("command", ["data check {}", "data prepare {} -o p.pack", "eval --hr {}"])
def test_a_fifo_among_images_is_named_and_nothing_waits(command: str, tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    noise(tmp_path / "i" / "a.png", 64)
    os.mkfifo(tmp_path / "i" / "x.png")
    arguments = [part.format(tmp_path / "i") for part in command.split()]
    result = subprocess.run(
        [*PROGRAM, *arguments],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=stretched(60),
        check=False,
    )
    assert result.returncode == 1
    assert "x.png" in result.stdout + result.stderr
    with pytest.raises(OSError, match="not a regular file"):
        content_of(tmp_path / "i" / "x.png")


def test_a_link_to_proc_does_not_hold_up_a_batch(tmp_path: Path, x2: Path) -> None:
    (tmp_path / "p").mkdir()
    picture(tmp_path / "p" / "a.png")
    (tmp_path / "p" / "kernel").symlink_to("/proc/sys/kernel")
    (tmp_path / "p" / "kmsg").symlink_to("/proc/kmsg")
    arguments = ["batch", tmp_path / "p", "-o", tmp_path / "o", "-w", x2, "-d", "cpu"]
    result = subprocess.run(
        [*PROGRAM, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=stretched(60),
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["a_x2.png"]


SLOW_IMPORT = """
import sys
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            print("importing", flush=True)
            import time; time.sleep(60)
sys.meta_path.insert(0, Slow())
from dcls_cli.cli import main
main()
"""


def test_an_interrupt_while_modules_are_imported_is_one_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=stretched(30))[1]
    assert (process.returncode, said) == (130, "dcls: interrupted\n")


def tiff(path: Path, samples: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, samples, **options)
    return path


def without_tag(path: Path, number: int) -> None:
    """Give a tag of a TIFF a number that nobody knows."""
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags[number].offset  # type: ignore[union-attr]
    content = bytearray(path.read_bytes())
    content[place : place + 2] = (65000).to_bytes(2, "little")
    path.write_bytes(content)


def test_a_tiff_that_names_no_colours_is_not_taken_for_grey(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = tiff(tmp_path / "a.tif", rng.integers(0, 256, (8, 9, 3), np.uint8), photometric="rgb")
    without_tag(path, 262)
    with pytest.raises(ImageError, match="does not say which colours its samples are"):
        read(path)
    grey = tiff(tmp_path / "b.tif", rng.integers(0, 256, (8, 9), np.uint8))
    without_tag(grey, 262)
    assert read(grey).channels == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_fourth_sample_of_which_a_tiff_says_nothing_is_alpha(dtype: type, tmp_path: Path) -> None:
    """As libvips, Pillow, OpenCV and tifffile have it."""
    samples = np.random.default_rng(2).integers(1, 256, (8, 9, 4)).astype(dtype)
    path = tiff(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read(path).samples, samples)
    without_tag(path, 338)
    np.testing.assert_array_equal(read(path).samples, samples)


def test_a_channel_that_is_left_out_is_reported(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).integers(1, 256, (8, 9, 4)).astype(np.uint8)
    options = {"photometric": "rgb", "extrasamples": ["unspecified"]}
    photo = read(tiff(tmp_path / "a.tif", samples, **options))
    np.testing.assert_array_equal(photo.samples, samples[..., :3])
    assert photo.notes == ("1 of its channels is no colour and left out",)


def test_samples_count_in_the_limit_of_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tiff(path, np.zeros((40, 40, 100), np.uint8), photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match="40x40 pixels of 100 bytes each are more than the limit"):
        read(path, max_pixels=2000)
    assert read(path, max_pixels=20_000).width == 40


def test_cmyk_is_converted_in_bands() -> None:
    inks = np.random.default_rng(4).integers(0, 256, (12_000, 500, 4), np.uint8)
    tracemalloc.start()
    values = from_cmyk(inks, None).values
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * inks.nbytes
    paper = 255 - inks.astype(np.float64)
    exact = np.rint(paper[..., :3] * paper[..., 3:] / 255)
    np.testing.assert_array_equal(values, exact)


def test_a_tiff_without_resolution_gets_none(tmp_path: Path, x2: Path) -> None:
    path = tiff(tmp_path / "a.tif", np.full((8, 9, 3), 90, np.uint8), photometric="rgb")
    for number in (282, 283, 296):
        without_tag(path, number)
    assert read(path).dpi is None
    assert run(["upscale", str(path), "-w", str(x2), "-o", str(tmp_path / "b.tif")]) == 0
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert {282, 283}.isdisjoint(tag.code for tag in file.pages[0].tags)  # type: ignore[union-attr]


def test_a_profile_of_which_a_piece_is_missing_is_reported(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", icc_profile=icc + bytes(70_000))
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    second = content.find(b"ICC_PROFILE\0\x02")
    del content[second - 4 : second - 2 + int.from_bytes(content[second - 2 : second])]
    (tmp_path / "a.jpg").write_bytes(content)
    photo = read(tmp_path / "a.jpg")
    assert (photo.icc, photo.notes) == (None, ("the colour profile is damaged and was left out",))


def test_what_no_frame_of_a_gif_covers_is_transparent(tmp_path: Path) -> None:
    Image.new("P", (4, 3), 1).save(tmp_path / "a.gif", palette=[0, 0, 0, 200, 10, 20])
    content = bytearray((tmp_path / "a.gif").read_bytes())
    content[6:10] = (9).to_bytes(2, "little") + (8).to_bytes(2, "little")  # a larger canvas
    (tmp_path / "a.gif").write_bytes(content)
    photo = read(tmp_path / "a.gif")
    assert photo.samples.shape == (8, 9, 4)
    assert photo.samples[:3, :4, 3].min() == 255
    assert photo.samples[3:, :, 3].max() == photo.samples[:, 4:, 3].max() == 0


@pytest.mark.parametrize("fault", ["password", "method", "lzma"])
def test_members_that_cannot_be_unpacked_are_named(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    image = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 199)).save(image, "PNG")
    kind = zipfile.ZIP_LZMA if fault == "lzma" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("a.png", image.getvalue())
    content = bytearray(path.read_bytes())
    central = content.find(b"PK\x01\x02")
    if fault == "password":
        content[6] |= 1
        content[central + 8] |= 1
    elif fault == "method":
        content[8:10] = content[central + 10 : central + 12] = b"\x09\0"
    else:
        content[50:60] = bytes(10)
    path.write_bytes(content)
    result = dcls("data", "check", path)
    assert result.returncode == 1
    assert "damaged: a.png: " in result.stdout + result.stderr
    assert "internal error" not in result.stderr


def test_no_limit_of_pixels_is_a_limit(tmp_path: Path, x2: Path) -> None:
    photo = picture(tmp_path / "a.png")
    assert run(["upscale", str(photo), "-w", str(x2), "--max-pixels", "inf"]) == 0
    assert run(["upscale", str(photo), "-w", str(x2), "--max-pixels", "nan"]) == 2


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_files_that_are_too_large_for_weights_are_not_read(
    suffix: str, tmp_path: Path, capsys: Capture
) -> None:
    weights = tmp_path / f"w{suffix}"
    with weights.open("wb") as file:
        file.truncate(30 << 30)
    assert run(["upscale", str(picture(tmp_path / "a.png")), "-w", str(weights)]) == 3
    assert "larger than 2 GiB: not weights of dcls" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"scale = 4\n\0", "not a TOML file"),
        (b"a = " + b"[" * 5000, "not a TOML file"),
        (b"a = " + b"{a=" * 5000, "not a TOML file"),
        (b"\xff\xfe", "not a TOML file"),
        (b"\xef\xbb\xbfnothing = 1\n", "nothing"),  # the mark that Windows' editor writes
    ],
)
def test_hostile_settings_get_one_line(
    content: bytes, reason: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    assert run(["train", str(tmp_path / "c.toml"), "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
    assert "internal error" not in line


def test_deeply_nested_json_is_no_weights(tmp_path: Path, capsys: Capture) -> None:
    header = b'{"__metadata__":{"dcls_config":"' + b"[" * 100_000 + b'"}}'
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    photo = picture(tmp_path / "a.png")
    assert run(["upscale", str(photo), "-w", str(tmp_path / "w.safetensors")]) == 3
    assert "internal error" not in capsys.readouterr().err


def test_what_has_no_images_is_not_whole(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "e").mkdir()
    with zipfile.ZipFile(tmp_path / "e.zip", "w"):
        pass
    for name in ("e", "e.zip"):
        assert run(["data", "check", str(tmp_path / name)]) == 1
        assert "contains no images" in capsys.readouterr().out


def test_members_that_are_too_large_are_named(tmp_path: Path, capsys: Capture) -> None:
    archive = zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("large.png", "w") as member:
        for _ in range(257):
            member.write(bytes(1 << 20))
    assert run(["data", "check", str(tmp_path / "a.zip")]) == 1
    assert "damaged: large.png: cannot be read: larger than 256 MiB" in capsys.readouterr().out
