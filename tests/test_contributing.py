"""What CONTRIBUTING.md says about the code is true."""

import ast
import re
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STATIONS = re.findall(r"`(dcls_cli\.[\w.]+):(\w+)`", TEXT)


def test_the_way_of_a_photo_has_ten_stations() -> None:
    lines = re.findall(r"^(\d+)\. .*`dcls_cli\.", TEXT, re.MULTILINE)
    assert lines == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(("module", "name"), sorted(set(STATIONS)))
def test_each_station_is_there(module: str, name: str) -> None:
    assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:dcls_cli|weights)/[\w./]*)`", TEXT))))
def test_each_file_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_floor_plan_has_every_package() -> None:
    plan = TEXT.partition("```\n")[2].partition("```")[0]
    packages = {path.parent.name for path in (ROOT / "dcls_cli").glob("*/__init__.py")}
    assert packages == set(re.findall(r"(\w+)/", plan))


def test_no_module_needs_itself_by_way_of_others() -> None:
    """Not for types either: what may be imported while types are checked counts."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / "dcls_cli").rglob("*.py")
    }
    needs: dict[str, set[str]] = {}
    for name, path in paths.items():
        imported = {
            module if f"{module}.{part.name}" not in paths else f"{module}.{part.name}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and (module := node.module) in paths
            for part in node.names
        }
        # The package offers names of all modules, which are loaded on first use.
        needs[name] = set() if name == "dcls_cli" else imported - {name}
    TopologicalSorter(needs).prepare()  # raises CycleError
