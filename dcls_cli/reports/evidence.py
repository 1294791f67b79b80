"""The page of `dcls upscale --report`: what came in, what came out, why, and whether it fits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from string import Template

import numpy as np

from dcls_cli import __version__
from dcls_cli.backends import Raster
from dcls_cli.config import KernelSpace
from dcls_cli.kernels import shape_of
from dcls_cli.reports.consistency import Consistency, consistency
from dcls_cli.reports.pictures import (
    Picture,
    kernel_picture,
    page_resource,
    residual_picture,
    slider,
    spectrum_picture,
    white_of,
)
from dcls_cli.reports.views import thumbnail, views

_PIXELS: dict[KernelSpace, str] = {"hr": "output", "lr": "input"}

#: Rounder kernels have no direction to speak of.
_ROUND = 0.05


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """A restored picture and what it was made from.

    Attributes:
        source: name of the input, for people.
        output: name of the result.
        model: name of the network.
        lr: the input, (3, H, W) in [0, 1].
        sr: the result, (3, scale H, scale W).
        scale: of the result.
        kernel: the blur, (k, k), sum 1.
        space: whose pixels the kernel's taps are.
        known: whether the user gave the kernel; otherwise it was estimated.
        confidence: share of the estimate in the kernel, 0 to 1; None where the kernel is given.
        estimated_px: width of the estimate, in those pixels; None where it is not known.
        noise: power of noise over power of the photo, where the network estimates it.
        fidelity: 0 to 1, that was asked for.
        before_db: consistency of the network's result before that; None if it is not known.
        bit_depth: of the input's samples, whose rounding bounds the consistency.
        provenance: how the result was made: names and values, such as SHA-256 of the files.
    """

    source: str
    output: str
    model: str
    lr: np.ndarray | Raster
    sr: np.ndarray | Raster
    scale: int
    kernel: np.ndarray
    space: KernelSpace
    known: bool = False
    confidence: float | None = None
    estimated_px: float | None = None
    noise: float | None = None
    fidelity: float = 0.0
    before_db: float | None = None
    bit_depth: int = 8
    provenance: Mapping[str, str] = field(default_factory=dict)


def evidence_page(evidence: Evidence) -> str:
    """Build the page: one HTML document with everything in it."""
    found = consistency(evidence.lr, evidence.sr, evidence.kernel, evidence.space, evidence.scale)
    template = Template(page_resource("evidence.html"))
    return template.substitute(
        title=escape(f"Evidence: {evidence.source}"),
        css=page_resource("page.css") + page_resource("slider.css"),
        js=page_resource("slider.js"),
        summary=_summary(evidence, found),
        input=_image(thumbnail(evidence.lr), "The input"),
        comparisons=_comparisons(evidence),
        kernel=_image(kernel_picture(evidence.kernel), "The kernel: white is its largest tap"),
        kernel_facts=_kernel_facts(evidence),
        spectrum=_image(
            spectrum_picture(evidence.kernel, evidence.space, evidence.scale),
            "Magnitude of the kernel's spectrum, zero frequency in the middle",
        ),
        spectrum_text=_spectrum_text(evidence),
        verdict=_verdict(evidence, found),
        residual=_image(residual_picture(found.residual), "Map of the differences"),
        residual_text=_residual_text(found),
        provenance=_table(evidence.provenance),
        version=escape(__version__),
    )


def _summary(evidence: Evidence, found: Consistency) -> str:
    how = "given" if evidence.known else "estimated from the photo"
    return _table(
        {
            "Input": f"{evidence.source}, {_size(evidence.lr)} pixels",
            "Output": f"{evidence.output}, {_size(evidence.sr)} pixels, x{evidence.scale}",
            "Network": evidence.model,
            "Blur": f"{how}; width {shape_of(evidence.kernel).width_px:.2f} "
            f"{_PIXELS[evidence.space]} pixels",
            "Fidelity": f"{evidence.fidelity:g} (0 is the network alone)",
            "Consistency": f"{_db(found.psnr_db)} ({_alone(evidence)}bicubic enlargement: "
            f"{_db(found.bicubic_psnr_db)})",
        }
    )


def _alone(evidence: Evidence) -> str:
    """The consistency before the fidelity that was asked for, where that changed something."""
    known = evidence.fidelity > 0 and evidence.before_db is not None
    return f"the network alone: {evidence.before_db:.1f} dB; " if known else ""


def _comparisons(evidence: Evidence) -> str:
    labels = ("input, enlarged bicubically", "output")
    parts = [
        f'<div class="view">{slider(view.before, view.after, labels)}\n'
        f"<p>{escape(view.caption)}</p></div>"
        for view in views(evidence.lr, evidence.sr, evidence.scale)
    ]
    return '<div class="views">\n' + "\n".join(parts) + "\n</div>"


def _kernel_facts(evidence: Evidence) -> str:
    shape, side = shape_of(evidence.kernel), len(evidence.kernel)
    facts = {
        "Taps": f"{side} x {side}, each one {_PIXELS[evidence.space]} pixel",
        "Where from": "given by the user" if evidence.known else "estimated from the photo",
        "Width": f"{shape.width_px:.2f} px (sigma, if it is a Gaussian)",
        "Along and across": f"{shape.major_px:.2f} px and {shape.minor_px:.2f} px",
        "Anisotropy": f"{shape.anisotropy:.2f} (0 is round, 1 a line)",
    }
    if shape.anisotropy >= _ROUND:
        facts["Widest at"] = f"{shape.angle_deg:.0f} degrees (0 is to the right, 90 up)"
    if evidence.confidence is not None and evidence.estimated_px is not None:
        facts["Certainty"] = _certainty(evidence.confidence, evidence.estimated_px)
    if evidence.noise is not None:
        facts["Noise"] = f"{10 * math.log10(evidence.noise):.1f} dB of the photo's power"
    return _table(facts)


def _certainty(confidence: float, estimated_px: float) -> str:
    if confidence == 1:
        return "the estimate is used as it is"
    return (
        f"{confidence:.0%} of an estimate of {estimated_px:.2f} px is used: with more of it the "
        "result has stripes, as the photo does not show enough of its blur"
    )


def _spectrum_text(evidence: Evidence) -> str:
    if evidence.space == "lr":
        return "Its edges are the highest frequencies that input pixels can carry."
    return (
        "Its edges are the highest frequencies of the output; the orange square holds those that "
        "the input's pixels could carry. What lies outside the square came into the input only as "
        "aliases, or not at all."
    )


def _verdict(evidence: Evidence, found: Consistency) -> str:
    order = (
        f"blurred with the kernel above and made {evidence.scale} times smaller (antialiased "
        "bicubic)"
        if evidence.space == "hr"
        else f"made {evidence.scale} times smaller (antialiased bicubic) and blurred with the "
        "kernel above"
    )
    doubt = (
        " <strong>The output explains the input less well than plain enlargement does: the kernel "
        "is probably not the blur of this photo.</strong>"
        if found.psnr_db < found.bicubic_psnr_db
        else ""
    )
    return (
        f"The output was {order}, and compared with the input: "
        f"<strong>{_db(found.psnr_db)}</strong> PSNR over all pixels and RGB. The bicubic "
        f"enlargement of the input, put through the same, reaches {_db(found.bicubic_psnr_db)}. "
        f"{_rounding_db(evidence.bit_depth):.1f} dB is the rounding of {evidence.bit_depth}-bit "
        "samples; noise and JPEG damage in the input, which a "
        f"good restoration does not reproduce, lower the figure too.{doubt}"
    )


def _rounding_db(bit_depth: int) -> float:
    """PSNR of samples that were rounded: errors have a variance of 1 / 12 of a step."""
    return 10 * math.log10(12 * (2**bit_depth - 1) ** 2)


def _residual_text(found: Consistency) -> str:
    peak = 255 * white_of(found.residual)
    block = f" and over {found.block} x {found.block} pixels" if found.block > 1 else ""
    return (
        f"Root mean square difference over RGB{block}: black is none, white is {peak:.1f} of 255 "
        f"levels or more; the largest is {255 * float(found.residual.max()):.1f}."
    )


def _table(facts: Mapping[str, str]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>'
        for name, text in facts.items()
    )
    return f"<table>\n{rows}\n</table>"


def _image(picture: Picture, alt: str) -> str:
    return (
        f'<img class="taps" src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(alt)}">'
    )


def _size(image: np.ndarray | Raster) -> str:
    return f"{image.shape[2]} x {image.shape[1]}"


def _db(value: float) -> str:
    return "no difference" if math.isinf(value) else f"{value:.1f} dB"
