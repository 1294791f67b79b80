"""EXIF data and TIFF tags: text keeps its bytes, numbers follow the picture."""

import io
import struct
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, PngImagePlugin

from dcls_cli.image import from_array, from_pil, read, to_pil, write
from dcls_cli.image.encoders import tiff
from dcls_cli.image.metadata import directories, exif
from dcls_cli.image.metadata.placement import Placement
from dcls_cli.image.resizing import Resized
from dcls_cli.jobs.existing_outputs import measure
from tests.pace import stretched

PICTURE = Image.fromarray(np.random.default_rng(1).integers(99, 120, (24, 40, 3), np.uint8))

FORMS = ["jpg", "png", "tif", "webp", "avif"]

#: Of ImageDescription, Artist, Copyright, LensModel, OwnerName: UTF-8, and Latin-1.
TEXTS = {
    270: "Größe 5 µm".encode(),
    315: "Jörg Müller".encode("latin-1"),
    33432: "© 2020 Jörg".encode(),
}
DETAILS = {0xA434: "Zoömlens é".encode(), 0xA430: "Jörg".encode("latin-1")}
COMMENT = b"UNICODE\0" + "Größe 日本".encode("utf-16-le")
WINDOWS_TITLE = "Größe".encode("utf-16-le") + b"\0\0"


def described(order: str = "<") -> bytes:
    """EXIF data with text of several encodings."""
    text = {tag: directories.Entry(2, len(data) + 1, data + b"\0") for tag, data in TEXTS.items()}
    title = directories.Entry(1, len(WINDOWS_TITLE), WINDOWS_TITLE)
    details = {tag: directories.Entry(2, len(t) + 1, t + b"\0") for tag, t in DETAILS.items()}
    details[0x9286] = directories.Entry(7, len(COMMENT), COMMENT)
    details[0x927C] = directories.Entry(7, 9, b"the maker")
    inner = directories.Directory(order, details)
    return directories.structure(
        directories.Directory(order, {**text, 40091: title}, {0x8769: inner})
    )


def says_all(content: bytes) -> bool:
    texts = [*TEXTS.values(), *DETAILS.values(), COMMENT, WINDOWS_TITLE, b"the maker"]
    return all(text in content for text in texts)


def source(path: Path, order: str = "<") -> Path:
    """A photo with this data, by Pillow or, as that alters text, by our own TIFF encoder."""
    if path.suffix in (".tif", ".avif"):
        photo = replace(from_array(np.asarray(PICTURE)), exif=described(order))
        write(photo, path, overwrite=False)
    else:
        PICTURE.save(path, exif=described(order))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", FORMS)
def test_text_keeps_its_bytes_in_every_pair_of_formats(
    form: str, order: str, tmp_path: Path
) -> None:
    photo = read(source(tmp_path / f"in.{form}", order))
    assert photo.notes == ()
    for output in FORMS:
        path = tmp_path / f"out.{output}"
        write(photo, path, overwrite=False)
        assert says_all(path.read_bytes()), output


def test_a_tiff_of_pillow_keeps_its_text(tmp_path: Path) -> None:
    with Image.open(source(tmp_path / "a.tif")) as image:
        photo = from_pil(image)
    assert photo.exif is not None
    for text in (*TEXTS.values(), *DETAILS.values()):
        assert text in photo.exif


def test_an_avif_that_is_turned_keeps_its_text(tmp_path: Path) -> None:
    """Pillow writes the data of such anew."""
    turned = tmp_path / "turned.avif"
    stored = Image.Exif()
    stored[274] = 6
    stored[315] = TEXTS[315]
    PICTURE.save(turned, exif=stored.tobytes())
    mended = turned.read_bytes().replace(b"J?rg M?ller", TEXTS[315])
    turned.write_bytes(mended)
    photo = read(turned)
    assert (photo.width, photo.height) == (24, 40)
    assert TEXTS[315] in (photo.exif or b"")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_bigtiff_is_little_endian_and_says_the_same(
    order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff, "_LARGEST_CLASSIC_BYTES", 100)
    stored = exif.Block(described(order))
    stored.put(0, exif.X_RESOLUTION, directories.RATIONAL, [72.5])
    photo = replace(from_array(np.asarray(PICTURE)), exif=stored.to_bytes())
    write(photo, tmp_path / "a.tif", overwrite=False)
    content = (tmp_path / "a.tif").read_bytes()
    assert content[:4] == b"II+\0"
    assert says_all(content)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].tags[282].value == (145, 2)  # type: ignore[union-attr]
    assert says_all(read(tmp_path / "a.tif").exif or b"")


def test_16_bits_are_right_in_either_byte_order(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).integers(0, 65536, (30, 20, 3), np.uint16)
    for order in "<>":
        photo = replace(from_array(samples), exif=described(order))
        path = tmp_path / f"{ord(order)}.tif"
        write(photo, path, overwrite=False)
        assert path.read_bytes()[:2] == (b"II" if order == "<" else b"MM")
        np.testing.assert_array_equal(tifffile.imread(path), samples)
        np.testing.assert_array_equal(read(path).samples, samples)


def test_what_is_not_edited_stays_in_its_place() -> None:
    """Notes of makers hold places of their own."""
    data = described(">")
    block = exif.Block(data)
    before = data.index(b"the maker")
    block.put(0, exif.ORIENTATION, directories.SHORT, [1])  # a new tag: the directory moves
    block.put(0x8769, 0xA002, directories.LONG, [7])
    block.put(0, exif.X_RESOLUTION, directories.RATIONAL, [300])
    block.remove(0, 315)
    edited = exif.Block(block.to_bytes())
    assert edited.to_bytes().index(b"the maker") == before
    assert edited.numbers(0, exif.ORIENTATION) == (1,)
    assert edited.numbers(0x8769, 0xA002) == (7,)
    assert edited.numbers(0, exif.X_RESOLUTION) == (300,)
    assert edited.entry(0, 315) is None
    assert edited.entry(0, 270) == directories.Entry(2, 14, TEXTS[270] + b"\0")
    stored = Image.Exif()
    stored.load(block.to_bytes())  # as another reader has it
    assert (stored[274], stored[282]) == (1, 300)
    assert stored.get_ifd(0x8769)[0xA002] == 7


def test_what_is_left_out_cannot_be_found_in_the_file() -> None:
    block = exif.Block(described())
    block.remove(0, 315)
    block.put_entry(0, 270, directories.Entry(2, 6, b"other\0"))
    assert TEXTS[315] not in block.to_bytes()
    assert TEXTS[270] not in block.to_bytes()
    assert TEXTS[33432] in block.to_bytes()


def test_a_value_that_tags_share_stays_for_the_others() -> None:
    block = exif.Block(shared(3, 20)[:-20] + b"twenty bytes of text")
    block.remove(0, 1001)
    entry = block.entry(0, 1000)
    assert entry is not None
    assert entry.data == b"twenty bytes of text"


@pytest.mark.parametrize("behind", [b"", b"something behind it"])
def test_the_thumbnail_of_the_stored_picture_is_erased(behind: bytes, tmp_path: Path) -> None:
    small = io.BytesIO()
    PICTURE.resize((8, 4)).save(small, "JPEG")
    data = described()[6:]
    second = struct.pack("<HHHIIHHII", 2, 0x201, 4, 1, len(data) + 30, 0x202, 4, 1, 0)
    second = second[:-4] + struct.pack("<II", len(small.getvalue()), 0)
    count = int.from_bytes(data[8:10], "little")
    at = 10 + 12 * count
    data = data[:at] + struct.pack("<I", len(data)) + data[at + 4 :] + second
    PICTURE.save(tmp_path / "a.jpg", exif=b"Exif\0\0" + data + small.getvalue() + behind)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)[0x202] == len(small.getvalue())
    photo = read(tmp_path / "a.jpg")
    assert small.getvalue()[:100] not in (photo.exif or b"")
    assert says_all(photo.exif or b"")
    assert (photo.exif or b"").endswith(behind)


def test_the_resolution_of_the_sensor_and_the_subject_follow_each_axis() -> None:
    block = exif.Block.empty()
    block.put(0, 0x920E, directories.RATIONAL, [100])
    block.put(0, 0x920F, directories.RATIONAL, [200])
    block.put(0, 0x9214, directories.SHORT, [10, 4])
    assert exif.place(block, Placement(8, (40, 24), (48, 120))) == []  # x2, and x3 after turning
    assert block.numbers(0, 0x920E) == (400,)
    assert block.numbers(0, 0x920F) == (300,)
    assert block.numbers(0, 0x9214) == (8, 90)  # (4, 30) of the turned picture


@pytest.mark.parametrize("area", [[50, 4], [1], [1, 2, 3, 4, 5], [30_000, 20_000]])
def test_a_subject_outside_of_the_picture_is_left_out(area: list[int]) -> None:
    block = exif.Block.empty()
    block.put(0, 0x9214, directories.SHORT, area)
    (note,) = exif.place(block, Placement(1, (40, 24), (80, 48)))
    assert note.startswith("left out of the EXIF data: the area of the subject")
    assert block.is_empty


@pytest.mark.parametrize(("unit", "dpi"), [(2, (30.0, 60.0)), (3, (76.2, 152.4))])
@pytest.mark.parametrize("form", FORMS)
def test_centimetres_are_no_inches(
    form: str, unit: int, dpi: tuple[float, float], tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.asarray(PICTURE), resolution=(30, 60), resolutionunit=unit, metadata=None
    )
    photo = read(path)
    assert photo.dpi == pytest.approx(dpi)
    write(photo, tmp_path / f"b.{form}", overwrite=False)
    assert read(tmp_path / f"b.{form}").dpi == pytest.approx(dpi, abs=0.5)


def test_a_jpeg_without_a_resolution_gets_none_from_exif_data_without_one(tmp_path: Path) -> None:
    """Pillow says 72, and takes one of EXIF's two for both."""
    PICTURE.save(tmp_path / "a.jpg", exif=described())
    assert read(tmp_path / "a.jpg").dpi is None
    block = exif.Block(described())
    exif.state_resolution(block, (100.0, 200.0), always=True)
    PICTURE.save(tmp_path / "b.jpg", exif=block.to_bytes())
    assert read(tmp_path / "b.jpg").dpi == (100, 200)


def test_minimal_keeps_the_resolution_in_every_format(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.jpg", exif=described(), dpi=(150, 150), comment=b"secret")
    photo = read(tmp_path / "a.jpg", kept="minimal")
    for form in FORMS:
        write(photo, tmp_path / f"b.{form}", overwrite=False)
        assert read(tmp_path / f"b.{form}").dpi == pytest.approx((150, 150), abs=0.1)
        assert b"secret" not in (tmp_path / f"b.{form}").read_bytes()
        assert not says_all((tmp_path / f"b.{form}").read_bytes())


def test_a_picture_for_pillow_has_metadata_of_its_size() -> None:
    block = exif.Block(described())
    block.put(0x8769, 0xA002, directories.LONG, [40])
    photo = replace(from_array(np.asarray(PICTURE)), exif=block.to_bytes())
    image = to_pil(Resized(photo, 120, 48))
    assert image.getexif().get_ifd(0x8769)[0xA002] == 120


def shared(count: int, size: int) -> bytes:
    """Tags that share one value: a reader of all values needs count times size bytes."""
    start = 8 + 2 + 12 * count + 4
    entries = [struct.pack("<HHII", 1000 + n, 7, size, start) for n in range(count)]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + b"".join(entries) + bytes(4 + size)


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("kind", ["png", "webp", "jpg", "mpf", "avif"])
def test_tags_that_share_one_value_take_no_memory(kind: str, tmp_path: Path) -> None:
    data = shared(2000, 2_000_000)
    path = tmp_path / f"a.{'jpg' if kind == 'mpf' else kind}"
    if kind == "png":
        PICTURE.save(path, pnginfo=PngImagePlugin.PngInfo(), exif=b"Exif\0\0" + data)
    elif kind == "webp":
        PICTURE.save(path, exif=b"Exif\0\0" + data)
    elif kind == "avif":
        stored = Image.Exif()
        stored[271] = "x" * len(data)  # takes the place of what Pillow would not write
        PICTURE.save(path, exif=stored.tobytes())
        content = path.read_bytes()
        at = content.rindex(b"MM\0*")
        path.write_bytes(content[:at] + data + content[at + len(data) :])
    else:
        jpeg = io.BytesIO()
        PICTURE.save(jpeg, "JPEG")
        if kind == "jpg":
            parts = [data[at : at + 65_000] for at in range(0, len(data), 65_000)]
            added = b"".join(segment(0xE1, b"Exif\0\0" + part) for part in parts)
        else:
            added = segment(0xE2, b"MPF\0" + shared(5000, 5000))
        path.write_bytes(jpeg.getvalue()[:2] + added + jpeg.getvalue()[2:])
    tracemalloc.start()
    photo = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    assert measure(path) == (40, 24)
    tracemalloc.stop()
    assert peak < 12 * path.stat().st_size + 20_000_000
    assert any("left out" in note for note in photo.notes)
    assert photo.exif is None


def test_a_directory_of_thousands_of_tags_is_left_out(tmp_path: Path) -> None:
    """Each edit walks over all of them."""
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, 7) for tag in range(65_535))
    data = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + entries + bytes(4)
    PICTURE.save(tmp_path / "a.png", exif=data)
    started = time.process_time()
    photo = read(tmp_path / "a.png")
    assert time.process_time() - started < stretched(1)
    assert photo.notes == ("the EXIF data is damaged and was left out",)


def test_a_pointer_that_leads_nowhere_costs_only_what_it_points_to() -> None:
    data = bytearray(described()[6:])
    at = data.index(struct.pack("<HHI", 0x8769, 4, 1))
    data[at + 8 : at + 12] = (10**9).to_bytes(4, "little")
    block = exif.Block(bytes(data))
    assert block.directories == (0,)
    assert block.entry(0, 270) is not None
    for damaged in (b"", b"II*\0", b"II*\0" + b"\xff" * 4, b"PK\x03\x04" + bytes(99)):
        with pytest.raises(directories.DamagedError):
            exif.Block(damaged)


def test_utf_8_of_exif_3_is_text_like_any_other(tmp_path: Path) -> None:
    directory = directories.Directory("<")
    directory.entries[315] = directories.Entry(129, 6, "Jörg".encode() + b"\0")
    directory.put(258, directories.SHORT, [16, 16, 16])  # how another file stored its samples
    PICTURE.save(tmp_path / "a.jpg", exif=directories.structure(directory))
    for form in FORMS:
        write(read(tmp_path / "a.jpg"), tmp_path / f"b.{form}", overwrite=False)
        block = exif.Block(read(tmp_path / f"b.{form}").exif or b"")
        assert block.entry(0, 315) == directory.entries[315]
        assert block.entry(0, 258) is None
