"""Measure what the plan of a large batch takes, in time and memory: docs/cluster.md.

    python docs/measure_plan.py 200000

Makes links to one small photo, two hundred a folder, below a temporary folder, and plans them;
nothing is restored.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from dcls_cli.jobs import plan
from dcls_cli.jobs.networks import Networks
from dcls_cli.jobs.records import Records
from dcls_cli.jobs.request import Request
from dcls_cli.machine import peak_bytes

PER_FOLDER = 200

#: File systems allow so many links to a file.
LINKS = 30_000


def make_photos(root: Path, count: int) -> None:
    """Link as many names as asked for to few small photos."""
    for number in range(count):
        original = root / f"{number // LINKS}.png"
        if not original.exists():
            Image.new("RGB", (40, 30)).save(original)
        folder = root / "in" / f"{number // PER_FOLDER:05}"
        folder.mkdir(parents=True, exist_ok=True)
        os.link(original, folder / f"IMG_{number % PER_FOLDER:05}.png")


def main() -> None:
    """Print photos, seconds, bytes for each photo."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--folder", type=Path, help="where the links are made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        make_photos(root, options.count)
        (root / "out").mkdir()
        inputs, out = (str(root / "in"),), root / "out"
        request = Request(inputs=inputs, output=str(out), model="dcls-light-x4")
        networks = Networks.of(request, "cpu")
        naming, records = plan.naming_of(request, networks), Records.of(request, networks)
        before, started = peak_bytes(), time.perf_counter()
        tasks = plan.plan_batch(request, out, naming, records, lambda _: None).tasks
        seconds = time.perf_counter() - started
        each = (peak_bytes() - before) / len(tasks)
        sys.stdout.write(
            f"{len(tasks)} photos: {seconds:.1f} s, {each:.0f} bytes of memory for each\n"
        )


if __name__ == "__main__":
    main()
