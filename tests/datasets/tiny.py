"""A data set of three small images, and archives of it."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from dcls_cli.data.catalogue import Archive, Dataset

ZIP, TAR = "Tiny_HR.zip", "Tiny.tar"
FOLDER = "Tiny_HR"
NAMES = ("0001.png", "0002.png", "0003.png")


def arrays() -> dict[str, np.ndarray]:
    """Pixels of the images, (H, W, 3) uint8, of different sizes."""
    random = np.random.default_rng(5)
    return {
        name: random.integers(0, 256, (70 + 9 * index, 64 + 5 * index, 3), dtype=np.uint8)
        for index, name in enumerate(NAMES)
    }


def encoded() -> dict[str, bytes]:
    """The images as PNG."""
    files = {}
    for name, pixels in arrays().items():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        files[name] = buffer.getvalue()
    return files


def zipped() -> bytes:
    """An archive as DIV2K's: a folder with the images, and what macOS adds."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in encoded().items():
            archive.writestr(zipfile.ZipInfo(f"{FOLDER}/{name}"), content)
            archive.writestr(zipfile.ZipInfo(f"__MACOSX/{FOLDER}/._{name}"), b"no image")
    return buffer.getvalue()


def tarred() -> bytes:
    """An archive as Flickr2K's: sharp images, and small ones that are not wanted."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in (FOLDER, "Tiny_LR_bicubic/X2"):
            for name, content in encoded().items():
                member = tarfile.TarInfo(f"Tiny/{folder}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def unpacked(folder: Path) -> Path:
    """A folder with the images."""
    folder.mkdir(parents=True)
    for name, content in encoded().items():
        (folder / name).write_bytes(content)
    return folder


def dataset(*mirrors: str, published: bool = True, size: bool = True) -> Dataset:
    """The data set, with the ZIP archive at these addresses."""
    content = zipped()
    archive = Archive(
        name=ZIP,
        mirrors=mirrors,
        size=len(content) if published and size else None,
        sha256=hashlib.sha256(content).hexdigest() if published else None,
    )
    return Dataset(name="tiny", archives=(archive,), folders=(FOLDER,), first=1, last=3, digits=4)
