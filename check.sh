#!/usr/bin/env bash
# Sets up the development environment in .venv and runs every check: style, types, import order,
# tests. Needs Python 3.11 or later; PYTHON names another one than python3.
set -euo pipefail
cd "$(dirname "$0")"

"${PYTHON:-python3}" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch,train,tensorboard,dev]'

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports
# As many tests at a time as there are processors, each with one thread.
export OMP_NUM_THREADS=1
exec .venv/bin/pytest -n auto --dist loadfile "$@"
