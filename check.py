"""Set up the development environment in .venv and run every check: style, types, imports, tests.

    python3 check.py [OPTIONS OF PYTEST]

Needs Python 3.11 or later.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
TOOLS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
    # As many tests at a time as there are processors, each with one thread.
    ("pytest", "-n", "auto", "--dist", "loadfile"),
)


def main(options: list[str]) -> int:
    """Run the checks; returns the exit code of the first one that fails."""
    install = ("pip", "install", "--quiet", "--disable-pip-version-check", "-c", "constraints.txt")
    commands = [
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [str(TOOLS / "python"), "-m", *install, "-e", ".[torch,train,tensorboard,dev]"],
        *([str(TOOLS / name), *arguments] for name, *arguments in CHECKS),
    ]
    commands[-1] += options
    for command in commands:
        code = subprocess.call(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
