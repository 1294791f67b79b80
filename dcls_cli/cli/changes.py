"""What an output is otherwise than its photo, beyond what reading and writing tell themselves."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcls_cli.cli.restoring import Restored, Settings

#: Rounding to whole pixels changes the proportions by less, but for tiny outputs.
_EQUAL_PROPORTIONS = 0.02


def changes(restored: "Restored", settings: "Settings") -> list[str]:
    """Say what was chosen for the user, a sentence each."""
    return [*_of_format(restored, settings), *_of_size(restored, settings)]


def _of_format(restored: "Restored", settings: "Settings") -> list[str]:
    """That a photo which would have become a JPEG has become what holds its transparency."""
    photo = restored.loaded.photo
    if photo.format == "HEIF" and photo.has_alpha and settings.encoding.format is None:
        return ["HEIC is not written, and JPEG has no transparency: the output is another format"]
    return []


def _of_size(restored: "Restored", settings: "Settings") -> list[str]:
    """What resizing has done to a picture beyond making it smaller."""
    made, wanted = restored.upscaled, restored.picture
    photo, notes = restored.loaded.photo, []
    if wanted.width < photo.width and wanted.height < photo.height:
        notes.append(
            f"{wanted.width}x{wanted.height} is smaller than the photo: it was restored "
            f"x{restored.scale}, then reduced"
        )
    if wanted.width > made.width or wanted.height > made.height:
        notes.append(
            f"{wanted.width}x{wanted.height} is more than the {made.width}x{made.height} that were "
            "restored; the rest is plain enlargement"
        )
    changed = abs(wanted.width * made.height / (wanted.height * made.width) - 1)
    if settings.size.stretch and changed > _EQUAL_PROPORTIONS:
        notes.append("the proportions were changed")
    return notes
