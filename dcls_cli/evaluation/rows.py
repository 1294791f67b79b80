"""Figures of restored images, their means, and their files.

An evaluation that was ended goes on where it was: one file for each method and image, named by what
its figures depend on: weights, arithmetic, version, the bytes of the image, protocol and scale.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from dcls_cli.errors import ImageError, UsageError
from dcls_cli.files.atomic import atomic_write, printable

MEAN = "mean"


@dataclass(frozen=True)
class Row:
    """Figures of one restored image, or their mean.

    Attributes:
        image: name of the image, or "mean".
        sigma: width of the blur in HR pixels; None if unknown, or for a mean over several.
        psnr_y: PSNR on Y, dB.
        ssim_y: SSIM on Y; None where it was left out.
        psnr_rgb: PSNR over all channels, dB.
        ssim_rgb: mean SSIM of the channels; None where it was left out.
        case: what was done to the image, in the benchmark's words; empty for a mean over several.
        lr_psnr: PSNR on Y of the original, degraded with the estimated kernel, against the LR
            image, dB. This and the next two are None where no kernel was estimated or none is
            known; see `kernel_metrics`.
        kernel_error_hr: of the kernel in HR space.
        kernel_error_lr: of the kernel in LR space.
        words_read: share of the words of a page that were read, 0 to 1. This and the next are None
            but for pages of text; see `reading`.
        letters_invented: letters that were read where there is another or none, as a share of the
            letters of the page.
    """

    image: str
    sigma: float | None
    psnr_y: float
    ssim_y: float | None
    psnr_rgb: float
    ssim_rgb: float | None = None
    case: str = ""
    lr_psnr: float | None = None
    kernel_error_hr: float | None = None
    kernel_error_lr: float | None = None
    words_read: float | None = None
    letters_invented: float | None = None


def mean_row(rows: Sequence[Row]) -> Row:
    """Mean of all rows; a figure is None unless every row has it.

    Raises:
        UsageError: there are no rows.
    """
    if not rows:
        raise UsageError("nothing was evaluated: there are no figures to average")
    sigmas, cases = {row.sigma for row in rows}, {row.case for row in rows}
    return Row(
        image=MEAN,
        sigma=sigmas.pop() if len(sigmas) == 1 else None,
        psnr_y=fmean(row.psnr_y for row in rows),
        ssim_y=_mean([row.ssim_y for row in rows]),
        psnr_rgb=fmean(row.psnr_rgb for row in rows),
        ssim_rgb=_mean([row.ssim_rgb for row in rows]),
        case=cases.pop() if len(cases) == 1 else "",
        lr_psnr=_mean([row.lr_psnr for row in rows]),
        kernel_error_hr=_mean([row.kernel_error_hr for row in rows]),
        kernel_error_lr=_mean([row.kernel_error_lr for row in rows]),
        words_read=_mean([row.words_read for row in rows]),
        letters_invented=_mean([row.letters_invented for row in rows]),
    )


def rows_by_sigma(rows: Sequence[Row]) -> list[Row]:
    """Mean over the images for each sigma, ascending."""
    sigmas = sorted({row.sigma for row in rows if row.sigma is not None})
    return [mean_row([row for row in rows if row.sigma == sigma]) for sigma in sigmas]


def rows_by_case(rows: Sequence[Row]) -> list[Row]:
    """Mean over the images for each case, in the order of the benchmark."""
    cases = dict.fromkeys(row.case for row in rows)
    return [mean_row([row for row in rows if row.case == case]) for case in cases]


def rows_by_image(rows: Sequence[Row]) -> list[Row]:
    """Mean over the cases for each image, under its name, in the order of the rows."""
    return rows_by(rows, lambda row: row.image)


def rows_by(rows: Sequence[Row], group: Callable[[Row], str]) -> list[Row]:
    """Mean over each group, under its name, in the order of the rows."""
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(group(row), []).append(row)
    return [replace(mean_row(of_group), image=name) for name, of_group in members.items()]


def json_fields(figures: Mapping[str, object]) -> dict[str, object]:
    """Figures as JSON can hold them: no infinity, which is the PSNR of a perfect restoration."""
    return {
        name: (round(value, 6) if math.isfinite(value) else None)
        if isinstance(value, float)
        else value
        for name, value in figures.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def key_of(**conditions: object) -> str:
    """Name of a result: a digest of everything that it depends on."""
    return hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:32]


class ResultStore:
    """Rows by key in a folder; without a folder nothing is kept."""

    def __init__(self, out: Path | None) -> None:
        """Keep results in `out`/results, which is made.

        Raises:
            ImageError: the folder cannot be made.
        """
        self._folder = None if out is None else out / "results"
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ImageError(f"{self._folder}: cannot be made: {error.strerror}") from error

    def get(self, key: str) -> list[Row] | None:
        """Rows of a key; None where there are none, or their file is damaged."""
        if self._folder is None:
            return None
        try:
            content = json.loads((self._folder / f"{key}.json").read_bytes())
            return [Row(**row) for row in content["rows"]]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def put(self, key: str, about: dict[str, object], rows: list[Row]) -> None:
        """Keep rows, with what they are about for people to read.

        Raises:
            ImageError: the file cannot be written.
        """
        if self._folder is None:
            return
        text = json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1)
        write_bytes(text.encode(), self._folder / f"{key}.json")


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file of an evaluation whole or not at all, in place of an earlier one.

    Raises:
        ImageError: it cannot be written.
    """
    try:
        atomic_write(path, lambda file: file.writelines([content]), overwrite=True)
    except OSError as error:
        raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error
