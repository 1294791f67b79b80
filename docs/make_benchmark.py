"""Measures what docs/benchmark.md states and writes it there, between its markers.

    python docs/make_benchmark.py --set5 Set5/ [--ablations STUDY/] [--work build/benchmark]

Set5/ has x2/HR, x3/HR and x4/HR. Results are kept in the working folder, by weights: given again
after new weights were released, the command measures those alone.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmark.md"
PICTURES = ROOT / "docs" / "pictures"
PROGRAM = "from dcls_cli.cli.app import main; main()"


class Evaluation(NamedTuple):
    """One call of `dcls eval`: what it measures, and what with."""

    benchmark: str
    scale: int
    model: str
    against: str

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.benchmark}-x{self.scale}"


EVALUATIONS = (
    Evaluation("gaussian8", 2, "dcls-light-x2", "bicubic"),
    Evaluation("gaussian8", 3, "dcls-light-x3", "bicubic"),
    Evaluation("gaussian8", 4, "dcls-light-x4", "bicubic,dcls-photo-x4"),
    Evaluation("photo", 4, "dcls-photo-x4", "bicubic,dcls-light-x4"),
    Evaluation("div2krk-like", 2, "dcls-light-x2", "bicubic"),
    Evaluation("div2krk-like", 4, "dcls-light-x4", "bicubic,dcls-photo-x4"),
)

#: The graphics benchmark makes its own pictures; the network is the one that `auto` takes.
GRAPHICS_SCALES = (2, 3, 4)

Event = dict[str, Any]


def main() -> None:
    """Measure everything and rewrite the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--set5", type=Path, required=True, help="folder with x2/HR, x3/HR, x4/HR")
    parser.add_argument("--ablations", type=Path, help="a folder that `dcls ablate` wrote")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "benchmark")
    chosen = parser.parse_args()
    sections: dict[str, list[str]] = {}
    events = {one.name: evaluated(one, chosen.set5, chosen.work) for one in EVALUATIONS}
    sections["means"] = means(events)
    sections["photo"] = by_case(events["photo-x4"], "damage")
    sections["gaussian8-x4"] = by_case(events["gaussian8-x4"], "σ")
    sections["kernels"] = kernels(events)
    sections["graphics"] = graphics(chosen.work)
    if chosen.ablations is not None:
        sections["ablations"] = (chosen.ablations / "ablations.md").read_text().splitlines()
    PAGE.write_text(replaced(PAGE.read_text(), sections))
    for name, picture in (("gaussian8-x4", "curves"), ("photo-x4", "montage")):
        target = PICTURES / f"benchmark-{picture}.png"
        shutil.copyfile(chosen.work / name / f"{picture}.png", target)


def evaluated(one: Evaluation, set5: Path, work: Path) -> list[Event]:
    """Run `dcls eval`; its events."""
    options = ["--hr", f"{set5}/x{one.scale}/HR", "-s", str(one.scale), "-m", one.model]
    options += ["--benchmark", one.benchmark, "--against", one.against, "--kernels"]
    return run(options, work / one.name)


def run(options: list[str], out: Path) -> list[Event]:
    """Call `dcls eval` with a folder for its results; its events."""
    out.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(f"dcls eval {shlex.join(options)}\n")
    command = [sys.executable, "-c", PROGRAM, "eval", *options, "--json", "--out", str(out)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def means(events: dict[str, list[Event]]) -> list[str]:
    """One line for each benchmark, scale and method."""
    lines = table("benchmark", "scale", "method", "PSNR Y", "SSIM Y", "PSNR RGB", "SSIM RGB")
    for of_one in events.values():
        for event in of_kind(of_one, "mean"):
            figures = [f"{event['psnr_y']:.3f}", f"{event['ssim_y']:.4f}"]
            figures += [f"{event['psnr_rgb']:.3f}", f"{event['ssim_rgb']:.4f}"]
            lines.append(row(event["protocol"], f"×{event['scale']}", event["method"], *figures))
    return lines


def graphics(work: Path) -> list[str]:
    """The harm at each scale, and to each kind of picture and file at x4."""
    head = ("PSNR RGB", "bicubic", "below bicubic", "by more than 0.3 dB", "worst, dB", "where")
    totals, groups = table("scale", "results", *head), table("at ×4", "results", *head)
    for scale in GRAPHICS_SCALES:
        events = run(["--benchmark", "graphics", "-s", str(scale)], work / f"graphics-x{scale}")
        for event in of_kind(events, "harm"):
            if event["group"] == "all":
                totals.append(row(f"×{scale}", *harm(event)))
            if scale == 4:
                groups.append(row(event["group"], *harm(event)))
    return [*totals, "", *groups]


def harm(event: Event) -> list[str]:
    """Cells of one group of pictures."""
    return [
        str(event["count"]),
        f"{event['psnr_rgb']:.2f}",
        f"{event['bicubic_psnr_rgb']:.2f}",
        f"{100 * event['below']:.1f} %",
        f"{100 * event['noticed']:.1f} %",
        f"{-event['worst_db']:+.2f}",
        event["worst"],
    ]


def by_case(events: list[Event], kind: str) -> list[str]:
    """PSNR and SSIM on Y of each case, a column for each method."""
    methods = list(dict.fromkeys(event["method"] for event in of_kind(events, "mean")))
    lines = table(kind, *methods)
    cases = list(dict.fromkeys(event["case"] for event in of_kind(events, "sigma", "case")))
    for case in [*cases, "mean"]:
        cells = []
        for method in methods:
            wanted = ("mean",) if case == "mean" else ("sigma", "case")
            found = [
                event
                for event in of_kind(events, *wanted)
                if event["method"] == method and (case == "mean" or event["case"] == case)
            ]
            cells.append(f"{found[0]['psnr_y']:.3f} / {found[0]['ssim_y']:.4f}")
        lines.append(row(case, *cells))
    return lines


def kernels(events: dict[str, list[Event]]) -> list[str]:
    """Figures of the kernels of every method that estimates them."""
    lines = table("benchmark", "scale", "method", "LR-PSNR, dB", "error HR", "error LR")
    for of_one in events.values():
        for event in of_kind(of_one, "mean"):
            if event["lr_psnr"] is not None:
                figures = [f"{event['lr_psnr']:.2f}"]
                figures += [f"{event[f'kernel_error_{space}']:.1e}" for space in ("hr", "lr")]
                lines.append(
                    row(event["protocol"], f"×{event['scale']}", event["method"], *figures)
                )
    return lines


def of_kind(events: list[Event], *kinds: str) -> Iterator[Event]:
    """Events of some kinds."""
    return (event for event in events if event["event"] in kinds)


def table(*heads: str) -> list[str]:
    """The first two lines of a table."""
    return [row(*heads), row(*["---"] * len(heads))]


def row(*cells: str) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def replaced(text: str, sections: dict[str, Sequence[str]]) -> str:
    """The page with other lines between `<!-- NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: the page has no such marker.
    """
    for name, lines in sections.items():
        start, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(start)
        if not found or end not in rest:
            raise ValueError(f"{PAGE}: no marker {start.strip()} with an end")
        after = rest[rest.index(end) :]
        text = before + start + "\n" + "\n".join(lines).strip() + "\n\n" + after
    return text


if __name__ == "__main__":
    main()
