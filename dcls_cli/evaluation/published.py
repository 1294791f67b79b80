"""Figures that others have published, to be printed beside ours; none of them was measured here.

Sources: Table 1-3 of the DCLS paper (Luo et al., CVPR 2022) and the papers of the methods named.
Parameters in millions. Only figures of the same protocol are listed: the `Bicubic` row of the
paper's Table 1 is of another one and is left out.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """One figure.

    Attributes:
        method: its name.
        parameters_m: of the network, millions; None if not stated.
        psnr_y: dB, on Y.
        ssim_y: on Y; None if not stated.
    """

    method: str
    parameters_m: float | None
    psnr_y: float
    ssim_y: float | None = None


#: Sets whose folders are recognised by name.
DATA_SETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109")
_ALIASES = {"b100": "BSD100", "bsds100": "BSD100"}

#: Gaussian8 x4, PSNR Y for each of `DATA_SETS`.
_X4: tuple[tuple[str, float, tuple[float, ...]], ...] = (
    ("RCAN (bicubic-trained)", 15.59, (26.60, 24.85, 25.01, 22.19, 23.52)),
    ("DASR", 5.84, (31.46, 28.11, 27.44, 25.36, 29.39)),
    ("IKC", 5.32, (31.67, 28.31, 27.37, 25.33, 28.91)),
    ("DANv1", 4.33, (31.89, 28.42, 27.51, 25.86, 30.50)),
    ("DANv2", 4.71, (32.00, 28.50, 27.56, 25.94, 30.45)),
    ("KDSR-M", 5.80, (32.02, 28.46, 27.52, 25.96, 30.58)),
    ("DCLS (paper)", 13.63, (32.12, 28.54, 27.60, 26.15, 30.86)),
    ("KDSR-L", 14.19, (32.11, 28.68, 27.64, 26.15, 30.99)),
)
_DCLS_M = 13.63
_DCLS = {
    2: (37.63, 33.46, 32.04, 31.69, 38.31),
    3: (34.21, 30.29, 29.07, 28.03, 33.54),
}
_NOISE_SET5_X4 = {"gaussian8-noise15": 27.14, "gaussian8-noise30": 25.49}
_DIV2KRK = {
    2: (
        Published("DCLS (paper)", None, 32.75, 0.9094),
        Published("PL-IDENet", None, 32.98),
    ),
    4: (Published("DCLS (paper)", None, 28.99, 0.7946),),
}

#: Bicubic up-sampling under Gaussian8, measured independently of this package: the protocol is the
#: same where it agrees. PSNR and SSIM on Y.
SELF_CHECK = {
    ("Set5", 2): (30.356, 0.8721),
    ("Set5", 3): (27.518, 0.7909),
    ("Set5", 4): (25.869, 0.7301),
    ("Set14", 2): (27.727, 0.7830),
    ("Set14", 3): (25.527, 0.6843),
    ("Set14", 4): (24.298, 0.6253),
    ("BSD100", 2): (27.379, 0.7482),
    ("BSD100", 3): (25.578, 0.6494),
    ("BSD100", 4): (24.598, 0.5949),
    ("Urban100", 2): (24.175, 0.7243),
    ("Urban100", 3): (22.184, 0.5946),
    ("Urban100", 4): (21.680, 0.5752),
}

#: Largest difference from `SELF_CHECK` of the same protocol, dB: published figures are rounded.
SELF_CHECK_TOLERANCE_DB = 0.002


def data_set_of(folder: Path) -> str | None:
    """The benchmark set that a folder is called after, the last such name in its path."""
    known = {name.casefold(): name for name in DATA_SETS} | _ALIASES
    for part in reversed(folder.resolve().parts):
        if part.casefold() in known:
            return known[part.casefold()]
    return None


def published(benchmark: str, scale: int, data_set: str | None) -> tuple[Published, ...]:
    """Figures under a benchmark's protocol, ascending in PSNR; none where none are known.

    Args:
        benchmark: its name.
        scale: up-scaling factor.
        data_set: one of `DATA_SETS`; DIV2KRK needs none.
    """
    rows: tuple[Published, ...] = ()
    if benchmark == "div2krk":
        rows = _DIV2KRK.get(scale, ())
    elif data_set is None:
        pass
    elif benchmark == "gaussian8" and scale == 4:
        place = DATA_SETS.index(data_set)
        rows = tuple(Published(name, size, figures[place]) for name, size, figures in _X4)
    elif benchmark == "gaussian8" and scale in _DCLS:
        figure = _DCLS[scale][DATA_SETS.index(data_set)]
        rows = (Published("DCLS (paper)", _DCLS_M, figure),)
    elif benchmark in _NOISE_SET5_X4 and (data_set, scale) == ("Set5", 4):
        rows = (Published("DCLS (paper)", _DCLS_M, _NOISE_SET5_X4[benchmark]),)
    return tuple(sorted(rows, key=lambda row: row.psnr_y))
