"""What XMP says about pixels: sizes, resolutions, panoramas, cameras; made that of the output.

Sources of the namespaces: XMP part 2, sections 3.3 and 3.4 (tiff, exif) and 3.6 (crs); Google's
Photo Sphere and Depthmap XMP metadata (GPano, GDepth); DJI's drones (drone-dji).
"""

import math
from collections.abc import Callable

from dcls_cli.image.metadata.placement import Placement, are_alike
from dcls_cli.image.metadata.properties import (
    decimal,
    fraction,
    names_in,
    numbers_of,
    set_all,
    values_of,
)
from dcls_cli.image.metadata.regions import place_iptc, place_mwg, place_people, place_subjects
from dcls_cli.image.metadata.xmp import Name, Packet, remove_record

_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
_CAMERA_RAW = "http://ns.adobe.com/camera-raw-settings/1.0/"
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
_DEPTH = "http://ns.google.com/photos/1.0/depthmap/"
_DRONE = "http://www.dji.com/drone-dji/1.0/"

#: Depth maps, the picture before its background was blurred, the point of focus; ACDSee's regions.
_UNTURNED = (
    _DEPTH,
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/focus/",
    "http://ns.acdsee.com/regions/",
)

#: How a file stores its samples, which is no matter of the photo.
_STORAGE = (
    "BitsPerSample",
    "Compression",
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "YCbCrSubSampling",
    "YCbCrPositioning",
)


def orientation_of(packet: Packet) -> int | None:
    """The orientation that a packet states; None without one."""
    for value in values_of(packet, Name(_TIFF, "Orientation")):
        return int(value.text) if value.text.isdecimal() and len(value.text) < 3 else None
    return None


def clean(packet: Packet) -> None:
    """Reset the orientation; take out small pictures of the stored one and how that was made."""
    for value in values_of(packet, Name(_TIFF, "Orientation")):
        packet.replace(value.span, "1")
    packet.remove_properties([Name(_XMP, "Thumbnails")])
    remove_record(packet)


def state_format(packet: Packet, form: str) -> None:
    """Let a packet that states a format of files (dc:format) state that of the output."""
    set_all(packet, Name(_DUBLIN_CORE, "format"), f"image/{form.lower()}")


def place(packet: Packet, placement: Placement) -> list[str]:
    """Let all that a packet says about pixels and places speak of another picture.

    Returns:
        What had to be left out, a sentence each.
    """
    width, height = placement.after
    for space, across, down in (
        (_TIFF, "ImageWidth", "ImageLength"),
        (_EXIF, "PixelXDimension", "PixelYDimension"),
        (_DEPTH, "ImageWidth", "ImageHeight"),  # of the picture, not of the map
    ):
        set_all(packet, Name(space, across), str(width))
        set_all(packet, Name(space, down), str(height))
    notes = [rule(packet, placement) for rule in _RULES]
    return [f"left out of the XMP data: {note}" for note in notes if note]


def state_resolution(
    packet: Packet, dpi: tuple[float, float] | None, *, contradicted: bool
) -> None:
    """Let a packet that states a resolution, in pixels per inch, state that of the file.

    Without one it stays, unless it is `contradicted`.
    """
    if dpi is None:
        if contradicted:
            names = ("XResolution", "YResolution", "ResolutionUnit")
            packet.remove_properties([Name(_TIFF, name) for name in names])
        return
    unit = next((v.text for v in values_of(packet, Name(_TIFF, "ResolutionUnit"))), "2")
    per_inch = {"2": 1.0, "3": 2.54}.get(unit, 0.0)
    stated = [list(values_of(packet, Name(_TIFF, f"{axis}Resolution"))) for axis in "XY"]
    same = all(
        math.isclose((value.number or 0) * per_inch, right, rel_tol=2e-3)
        for values, right in zip(stated, dpi, strict=True)
        for value in values
    )
    if same:
        return
    for values, right in zip(stated, dpi, strict=True):
        for value in values:
            packet.replace(value.span, fraction(right))
    set_all(packet, Name(_TIFF, "ResolutionUnit"), "2")


def _focal_plane(packet: Packet, placement: Placement) -> str | None:
    """Place the resolution of the sensor, fractions."""
    axes = [
        list(values_of(packet, Name(_EXIF, f"FocalPlane{axis}Resolution")))[:1]
        for axis in ("X", "Y")
    ]
    values = [value for axis in axes for value in axis]
    numbers = numbers_of([*values])
    if not values:
        return None
    if len(values) == 2 and numbers is not None:
        for value, number in zip(values, placement.density(*numbers), strict=True):
            packet.replace(value.span, fraction(number))
        return None
    packet.remove_properties([Name(_EXIF, f"FocalPlane{axis}Resolution") for axis in "XY"])
    return "the resolution of the sensor, which is incomplete"


def _resolution(packet: Packet, placement: Placement) -> str | None:
    """Turn the resolution of prints."""
    if not placement.swapped:
        return None
    axes = [list(values_of(packet, Name(_TIFF, f"{axis}Resolution"))) for axis in "XY"]
    if len(axes[0]) == len(axes[1]) == 1:
        packet.replace(axes[0][0].span, axes[1][0].text)
        packet.replace(axes[1][0].span, axes[0][0].text)
    return None


#: Of a panorama: sizes and places in pixels, along x and along y.
_PANORAMA_PIXELS = (
    ("FullPanoWidthPixels", 0),
    ("CroppedAreaImageWidthPixels", 0),
    ("CroppedAreaLeftPixels", 0),
    ("LargestValidInteriorRectLeft", 0),
    ("LargestValidInteriorRectWidth", 0),
    ("FullPanoHeightPixels", 1),
    ("CroppedAreaImageHeightPixels", 1),
    ("CroppedAreaTopPixels", 1),
    ("LargestValidInteriorRectTop", 1),
    ("LargestValidInteriorRectHeight", 1),
)


def _panorama(packet: Packet, placement: Placement) -> str | None:
    """Scale the sizes of a panorama.

    Where its area is not as large as the picture, which was resized before, the picture counts.
    """
    found = {
        local: values
        for local, _ in _PANORAMA_PIXELS
        if (values := list(values_of(packet, Name(_PANORAMA, local))))
    }
    if placement.orientation != 1:
        removed = packet.remove_properties(names_in(packet, _PANORAMA))
        return "the description of a panorama, as the picture was turned" if removed else None
    if not found:
        return None
    area = [found.get(f"CroppedAreaImage{side}Pixels", [None])[0] for side in ("Width", "Height")]
    sizes = numbers_of([*area])
    if area != [None, None] and (
        sizes is None or min(sizes) < 1 or not are_alike((sizes[0], sizes[1]), placement.before)
    ):
        packet.remove_properties(names_in(packet, _PANORAMA))
        return "the description of a panorama, which is for another picture"
    scales = [
        after / (sizes[axis] if sizes else before)
        for axis, (before, after) in enumerate(zip(placement.before, placement.after, strict=True))
    ]
    for local, axis in _PANORAMA_PIXELS:
        for value in found.get(local, []):
            if (number := value.number) is not None:
                packet.replace(value.span, str(round(number * scales[axis])))
    return None


def _crop(packet: Packet, placement: Placement) -> str | None:
    """Scale Camera Raw's size of a crop in pixels; a crop, in shares, of a turned picture goes."""
    if placement.orientation == 1:
        units = next((v.text for v in values_of(packet, Name(_CAMERA_RAW, "CropUnits"))), "0")
        if units == "0":
            for name, scale in zip(("CropWidth", "CropHeight"), placement.scales, strict=True):
                for value in values_of(packet, Name(_CAMERA_RAW, name)):
                    if value.number is not None:
                        packet.replace(value.span, decimal(value.number * scale))
        return None
    names = {
        name
        for name in names_in(packet, _CAMERA_RAW)
        if any(part in name.local for part in _CAMERA_RAW_PLACES)
    }
    packet.remove_properties(names)
    return "Camera Raw's crop and local settings, as the picture was turned" if names else None


#: In names of settings of Camera Raw that have places, as shares of the stored picture.
_CAMERA_RAW_PLACES = ("Crop", "BasedCorrections", "Retouch", "RedEye", "UprightFourSegments")


def _unturned(packet: Packet, placement: Placement) -> str | None:
    """Take out what a turned picture has no use for: depth maps, ACDSee's regions."""
    if placement.orientation == 1:
        return None
    names = names_in(packet, *_UNTURNED)
    packet.remove_properties(names)
    return "depth maps and ACDSee's regions, as the picture was turned" if names else None


def _drone(packet: Packet, placement: Placement) -> str | None:
    """Scale the calibration of a drone's camera, pixels; its other terms have no simple rule."""
    names = ("CalibratedOpticalCenterX", "CalibratedOpticalCenterY", "CalibratedFocalLength")
    found = [next(iter(values_of(packet, Name(_DRONE, name))), None) for name in names]
    numbers = numbers_of([*found])
    if numbers is not None:
        placed = (
            *placement.point(numbers[0], numbers[1]),
            numbers[2] * math.sqrt(math.prod(placement.scales)),
        )
        for value, number in zip(found, placed, strict=True):
            if value is not None:
                packet.replace(value.span, decimal(number))
    lost = {name for name in names_in(packet, _DRONE) if name.local in _DEWARPING}
    if numbers is None:
        lost |= {name for name in names_in(packet, _DRONE) if name.local in names}
    packet.remove_properties(lost)
    return "the calibration of a drone's camera, which is in pixels" if lost else None


_DEWARPING = frozenset({"DewarpData", "DewarpHMatrix", "CalibratedHMatrix"})


def _storage(packet: Packet, placement: Placement) -> str | None:  # noqa: ARG001
    """Remove how the photo's file stores its samples, which says nothing about the output."""
    packet.remove_properties([Name(_TIFF, name) for name in _STORAGE])
    return None


_RULES: tuple[Callable[[Packet, Placement], str | None], ...] = (
    place_subjects,
    _focal_plane,
    _resolution,
    _panorama,
    place_mwg,
    place_people,
    place_iptc,
    _crop,
    _drone,
    _unturned,
    _storage,
)
