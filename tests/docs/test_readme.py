"""README is one page, its commands exist, and its figures are those of the benchmark's page."""

import re
import shlex

import pytest

from docs.make_options import Page, walk
from tests.cli.test_help import COMMANDS
from tests.test_packaging import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "docs"

#: The most that somebody reads in a minute.
LARGEST_BYTES = 9000

#: README's row, and the benchmark, scale and methods of the page's rows.
FIGURES = {
    "Gaussian8 ×2": ("gaussian8", "×2", "dcls-light-x2"),
    "Gaussian8 ×3": ("gaussian8", "×3", "dcls-light-x3"),
    "Gaussian8 ×4": ("gaussian8", "×4", "dcls-light-x4"),
    "damaged photographs ×4": ("photo", "×4", "dcls-photo-x4"),
}


def section(name: str) -> str:
    """The text below a heading."""
    return README.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of tables."""
    lines = (line for line in text.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_it_is_one_page() -> None:
    assert len(README.encode()) <= LARGEST_BYTES


def test_what_it_is_not_for_stands_above_the_installation() -> None:
    assert README.index("## What it is not for") < README.index("## Quick start")


def test_every_command_has_one_row_and_options_that_exist() -> None:
    pages = {page.name: page for page in walk()}
    names = []
    for row in rows(section("Commands"))[2:]:
        name, options = taken_apart(row[1].strip("`"), pages)
        names.append(name.removeprefix("dcls "))
        shown = {
            word
            for panel in pages[name].panels.values()
            for option in panel
            for word in re.findall(r"--?[\w-]+", option.names)
        }
        assert options <= shown, row
    assert sorted(names) == sorted(COMMANDS)


def taken_apart(line: str, pages: dict[str, Page]) -> tuple[str, set[str]]:
    """The command of a line, and its options."""
    words = shlex.split(line)
    name = " ".join(words[:3]) if " ".join(words[:3]) in pages else " ".join(words[:2])
    return name, {word for word in words if word.startswith("-")}


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_are_those_of_the_benchmark(name: str) -> None:
    (row,) = (row for row in rows(section("Figures")) if row[0] == name)
    benchmark, scale, method = FIGURES[name]
    measured = {
        (cells[0], cells[1], cells[2]): float(cells[3])
        for cells in rows((DOCS / "benchmark.md").read_text(encoding="utf-8"))
        if len(cells) == 7 and re.fullmatch(r"[\d.]+", cells[3])
    }
    for shown, who in ((row[1], "bicubic"), (row[2], method)):
        assert shown == f"{measured[benchmark, scale, who]:.1f} dB"


def test_the_figures_of_graphics_are_those_of_the_benchmark() -> None:
    (row,) = (row for row in rows(section("Figures")) if "eval --benchmark graphics" in row[-1])
    table = rows((DOCS / "benchmark.md").read_text(encoding="utf-8"))
    measured = next(cells for cells in table if cells[0] == "×4" and cells[1] == "648")
    assert row[1:3] == [f"{float(measured[index]):.1f} dB" for index in (3, 2)]
    assert f"over 648 drawn pictures, of which {measured[4]} come out worse" in section("Figures")


def test_the_figures_of_text_are_those_of_its_page() -> None:
    (row,) = (row for row in rows(section("Figures")) if "eval --benchmark text" in row[-1])
    table = rows((DOCS / "benchmark-text.md").read_text(encoding="utf-8"))
    (measured,) = (cells for cells in table if cells[:2] == ["blur 2.8", "words"])
    assert row[1:3] == [f"{measured[2]} %", f"{measured[5].strip('*')} %"]


def test_the_quick_start_in_powershell_is_that_of_bash() -> None:
    shell, windows = re.findall(r"```(?:bash|powershell)\n(.+?)\n```", section("Quick start"), re.S)
    expected = shell.replace(" && ", "; ").replace("python3", "py")  # PowerShell 5 knows no &&
    expected = expected.replace(".venv/bin/", ".venv/Scripts/").replace("/", "\\")
    assert windows == expected
    assert (ROOT / "check.py").is_file()


def test_pip_lines_work_in_cmd_and_powershell() -> None:
    for page in (ROOT / "README.md", *DOCS.glob("*.md"), *(ROOT / "export").glob("*.md")):
        assert not re.search(r"pip install [^`\n]*'", page.read_text(encoding="utf-8")), page


def test_the_words_that_other_programs_leave_readable_are_those_of_the_page() -> None:
    table = rows((DOCS / "benchmark-text.md").read_text(encoding="utf-8"))
    start = next(index for index, cells in enumerate(table) if cells[0] == "program")
    column = table[start].index("blur 2.8")
    words, letters = zip(
        *(cells[column].split(" / ") for cells in table[start + 2 :][:5]), strict=True
    )
    shares = [f"{float(share):.0f}" for share in words]
    text = " ".join(section("What it does to a picture").split())
    assert f"reads {', '.join(shares[:-1])} and {shares[-1]} %" in text
    assert f"Real-ESRGAN has {letters[3]} % of the letters wrong" in text


def test_every_page_is_in_the_contents() -> None:
    contents = (DOCS / "README.md").read_text(encoding="utf-8")
    assert "(docs/README.md)" in README
    for page in sorted(DOCS.glob("*.md")):
        assert page.name == "README.md" or f"]({page.name})" in contents
    for guide in DOCS.glob("guide-*.md"):
        assert f"(docs/{guide.name})" in README
