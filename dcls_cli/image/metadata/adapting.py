"""Metadata of a photo become those of an output: of its size, within what its format holds."""

from dataclasses import replace
from typing import Any

from dcls_cli.image.formats import Format
from dcls_cli.image.metadata import (
    directories,
    exif,
    extended_xmp,
    keywords,
    pixels,
    scientific,
    xmp,
)
from dcls_cli.image.metadata.placement import Placement
from dcls_cli.image.photo import Carried, Picture

#: What fits into one segment of a JPEG, of EXIF, XMP and IPTC data.
_LARGEST_JPEG_SEGMENT_BYTES = {"exif": 65533, "xmp": 65504, "iptc": 65505}

_METADATA_NAMES = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC"}

#: How the photo's file stored its samples: bits, compression, colours, samples, planes.
_STORAGE = (258, 259, 262, 277, 284)

#: Formats that have no place for a resolution but EXIF data.
_RESOLUTION_IN_EXIF = frozenset({"WEBP", "AVIF"})


def pass_through_metadata(
    picture: Picture, form: Format, bit_depth: int
) -> tuple[Carried, list[str]]:
    """Let metadata speak of the output, and leave out what a format cannot hold.

    Args:
        picture: what is written, with the photo's metadata.
        form: the format.
        bit_depth: of the samples that are written.

    Returns:
        The metadata, and a sentence for each part that was left out.
    """
    carried, notes = picture.carried, list[str]()
    size = (picture.width, picture.height)
    placement = Placement(1, carried.described or size, size)
    output = scientific.Output(
        placement=placement,
        channels=picture.channels,
        bit_depth=bit_depth,
        same_levels=carried.level_bits == bit_depth,
        form=form.name,
    )
    carried = _placed_exif(carried, output, notes)
    if carried.xmp:
        carried = replace(carried, **_placed_xmp(carried.xmp, placement, carried, form, notes))
    left_out: dict[str, Any] = {}
    if carried.code_points and not form.code_points:
        notes.append(
            f"{form.name} cannot state high dynamic range ({carried.code_points.name}): programs "
            "will show the picture flat and grey; write PNG or AVIF"
        )
        left_out["code_points"] = None
    for kind, name in _METADATA_NAMES.items():
        data = getattr(carried, kind)
        if data and form.name == "JPEG" and len(data) > _LARGEST_JPEG_SEGMENT_BYTES[kind]:
            notes.append(f"{len(data)} bytes of {name} data do not fit into JPEG and were left out")
            left_out[kind] = None
        elif data and kind == "iptc" and not form.iptc:
            notes.append(f"{form.name} cannot hold IPTC data, which were left out")
            left_out[kind] = None
    carried = replace(carried, **left_out)
    if carried.texts and form.name != "PNG":
        names = keywords(carried.texts)
        notes.append(f"{form.name} cannot hold text of a PNG, which was left out: {names}")
    if carried.comment and form.name != "JPEG":
        notes.append(f"{form.name} cannot hold a comment of a JPEG or GIF, which was left out")
    if carried.aspect and form.name in _RESOLUTION_IN_EXIF:
        across, down = carried.aspect
        notes.append(
            f"{form.name} cannot state that pixels are not square ({across:g}:{down:g}), which was "
            "left out"
        )
    return carried, notes


def _placed_exif(carried: Carried, output: scientific.Output, notes: list[str]) -> Carried:
    """Let EXIF data speak of the output, in its format; the resolution as well where ImageJ's."""
    needed = carried.dpi is not None and output.form in _RESOLUTION_IN_EXIF
    if carried.exif is None and not needed:
        return carried
    try:
        block = exif.Block(carried.exif) if carried.exif else exif.Block.empty()
    except directories.DamagedError:  # given by a caller of ours
        notes.append("the EXIF data is damaged and was left out")
        return replace(carried, exif=None)
    dpi = carried.dpi
    if scientific.is_imagej(block) and output.form == "TIFF":
        scientific.place_scale(block, output.placement)
        dpi = output.placement.density(*dpi) if dpi else None
    for tag in _STORAGE:
        block.remove(0, tag)
    notes += exif.place(block, output.placement)
    notes += scientific.place(block, output)
    if dpi is not None:
        exif.state_resolution(block, dpi, always=needed)
    elif output.form != "TIFF" or (carried.aspect and not scientific.is_imagej(block)):
        exif.drop_resolution(block, only_unitless=carried.aspect is None)
    if output.form == "AVIF":
        # An AVIF has properties that turn it; Pillow would rewrite the data, with its text.
        block.remove(0, directories.ORIENTATION)
    return replace(carried, dpi=dpi, exif=None if block.is_empty else block.to_bytes())


def _placed_xmp(
    data: bytes,
    placement: Placement,
    carried: Carried,
    form: Format,
    notes: list[str],
) -> dict[str, Any]:
    """Let an XMP packet speak of the output; of a JPEG, in two parts if it is long.

    Returns:
        Fields of `Carried`.
    """
    try:
        packet = xmp.Packet(data)
        notes += pixels.place(packet, placement)
        pixels.state_format(packet, form.name)
        pixels.state_resolution(packet, carried.dpi, contradicted=carried.aspect is not None)
        data = packet.edited()
    except xmp.DamagedError:  # given by a caller of ours
        notes.append("the XMP data is damaged and was left out")
        return {"xmp": None}
    longest = _LARGEST_JPEG_SEGMENT_BYTES["xmp"]
    if form.name != "JPEG" or len(data) <= longest:
        return {"xmp": data}
    try:
        data, extended = extended_xmp.parted(data, longest)
    except xmp.DamagedError:  # no property is large enough to be moved
        return {"xmp": data}
    return {"xmp": data, "extended_xmp": tuple(extended)}
