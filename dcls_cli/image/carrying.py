"""What of a photo's metadata goes into an output, which each format has room for or not."""

from dataclasses import replace

from dcls_cli.image import metadata
from dcls_cli.image.formats import Format
from dcls_cli.image.picture import Carried

#: What fits into one segment of a JPEG, of EXIF, XMP and IPTC data.
_LARGEST_JPEG_SEGMENT_BYTES = {"exif": 65533, "xmp": 65504, "iptc": 65505}

_METADATA_NAMES = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC"}


def for_output(
    carried: Carried, form: Format, width: int, height: int
) -> tuple[Carried, list[str]]:
    """Leave out what a format cannot hold, and state the output's size.

    Args:
        carried: the photo's metadata.
        form: of the output.
        width: of the output, pixels.
        height: of the output, pixels.

    Returns:
        The rest, and a sentence for each part that was left out.
    """
    left_out: dict[str, None] = {}
    notes = []
    for kind, name in _METADATA_NAMES.items():
        data = getattr(carried, kind)
        if data and form.name == "JPEG" and len(data) > _LARGEST_JPEG_SEGMENT_BYTES[kind]:
            notes.append(f"{len(data)} bytes of {name} data do not fit into JPEG and were left out")
            left_out[kind] = None
        elif data and kind == "iptc" and not form.iptc:
            notes.append(f"{form.name} cannot hold IPTC data, which were left out")
            left_out[kind] = None
    fitting = replace(carried, **left_out)
    if fitting.exif:
        fitting = replace(fitting, exif=metadata.with_size(fitting.exif, width, height))
    return fitting, notes
