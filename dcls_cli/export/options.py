"""What can be chosen when a network is exported."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from dcls_cli.config import ModelConfig
from dcls_cli.errors import UsageError
from dcls_cli.graphs import NEWEST_OPSET, Fft, Kind, parts_of
from dcls_cli.network.reformulation import LR_KERNEL_TAPS

DEFAULT_OPSET = 20

#: What can be asked for: `auto` is the one that is exact at the sizes that the graph is for.
FftChoice = Literal["auto"] | Fft

#: The oldest operator sets that have what is needed: DFT with its axis as an input, since 20.
OLDEST_OPSET = {"dft": 20, "matmul": 18}

#: Side of the spectra of fixed shapes, a power of two.
SPECTRUM_PX = 256

#: Images have at least so many pixels a side; smaller ones have no use for a network.
SMALLEST_PX = 8

LARGEST_PX = 8192

Side = int | None


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a network becomes graphs.

    Attributes:
        fft: `dft`: DFT operators of the standard; `matmul`: the same transforms as products with
            matrices of cosines, for providers without DFT. `auto`: `dft` where the spectra have
            one size, whose sides are powers of two, else `matmul`: of other lengths ONNX
            Runtime's DFT sums rounding errors up, beyond the tolerance at ordinary sizes.
        shape: height and width of the image; None is free. Without a pair, fused graphs have the
            sides that make spectra of SPECTRUM_PX, and the parts of a split one are free; those
            that gather smoothing filters and gates are always free.
        split: an estimator, a restorer and what else is needed for tiles that share one blur, in
            place of one fused graph.
        half: run the convolutions in fp16.
        opset: version of the ONNX operators.
        int8: folder of pictures; beside a restorer in fp32 comes one in int8, whose ranges are
            measured on them.
    """

    fft: FftChoice = "auto"
    shape: tuple[Side, Side] | None = None
    split: bool = False
    half: bool = False
    opset: int = DEFAULT_OPSET
    int8: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be exported.

        Raises:
            UsageError: an operator set or a shape that is not supported, or options that exclude
                each other.
        """
        if self.int8 is not None and (self.half or not self.split):
            raise UsageError("--int8 adds to parts in fp32: it needs --split and no --fp16")
        fft = self._fft_by_shape()
        oldest = OLDEST_OPSET[fft]
        if not oldest <= self.opset <= NEWEST_OPSET:
            raise UsageError(
                f"operator set {self.opset} is not supported: --fft {fft} needs "
                f"{oldest} to {NEWEST_OPSET}"
            )
        for side in self.shape or ():
            if side is not None and not SMALLEST_PX <= side <= LARGEST_PX:
                raise UsageError(
                    f"a side of {side} pixels is not supported: give {SMALLEST_PX} to {LARGEST_PX}"
                )

    def _fft_by_shape(self) -> Fft:
        """What `auto` can be said to be before the network is known, or what was asked for."""
        if self.fft != "auto":
            return self.fft
        # The usual shape of a fused graph is the one that makes spectra of SPECTRUM_PX.
        return "dft" if self.shape is None and not self.split else "matmul"

    def transform(self, config: ModelConfig) -> Fft:
        """How the graphs of a network transform."""
        if self.fft != "auto":
            return self.fft
        padding = 2 * _lr_taps(config)
        known = self.opset >= OLDEST_OPSET["dft"]
        for side in self.sides(config):
            spectrum = 0 if side is None else side + padding
            known = known and spectrum.bit_count() == 1  # a power of two
        return "dft" if known else "matmul"

    def kinds(self, config: ModelConfig) -> tuple[Kind, ...]:
        """The graphs that are made of a network."""
        return parts_of(config) if self.split else ("fused",)

    @property
    def precision(self) -> str:
        """Of the convolutions of the restorer."""
        return "fp16" if self.half else "fp32"

    def sides(self, config: ModelConfig) -> tuple[Side, Side]:
        """Height and width of the image, None where they are free."""
        if self.shape is not None:
            return self.shape
        if self.split:
            return None, None
        side = SPECTRUM_PX - 2 * _lr_taps(config)
        return side, side


def _lr_taps(config: ModelConfig) -> int:
    """Width of the LR kernel, by which the deconvolution pads an image on each side."""
    return LR_KERNEL_TAPS if config.kernel_space == "hr" else config.kernel_size


@dataclass(frozen=True)
class Shape:
    """`1x3xHxW` or with numbers in place of H and W."""

    sides: tuple[Side, Side]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a shape; the batch is free whatever is written.

        Raises:
            UsageError: it is none.
        """
        match = re.fullmatch(r"(?:1|N|B)x3x(H|\d{1,6})x(W|\d{1,6})", text)
        if match is None:
            raise UsageError(
                f"--shape {text}: expected 1x3xHxW, with numbers in place of H and W where the "
                "graph is for one size only, such as 1x3x214x214"
            )
        height, width = match.groups()
        return cls((None if height == "H" else int(height), None if width == "W" else int(width)))
