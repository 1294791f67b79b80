"""Links between the pages lead to files and headings that exist."""

import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.test_packaging import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """All Markdown that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:  # an unpacked source distribution
        return sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md")])
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@cache
def text_of(page: Path) -> str:
    """Without blocks of code."""
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    """As GitHub makes them: lower case, no punctuation, hyphens for spaces."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@cache
def anchors(page: Path) -> set[str]:
    """What `#...` may name."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE):
        name, number = anchor(heading), 0
        while (own := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(own)
    return found


def fault(page: Path, target: str) -> str | None:
    """What is wrong with a link."""
    if re.match(r"[a-z]+:", target):
        return None
    path, _, heading = unquote(target).partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.exists():
        return f"{target}: no such file"
    if heading and heading not in anchors(there):
        return f"{target}: no such heading"
    return None


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = LINK.findall(text_of(page))
    assert [found for target in links if (found := fault(page, target))] == []


def test_faults_are_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# The `--json` *events*, twice\n## Twice\n## Twice\n")
    assert anchors(page) == {"the---json-events-twice", "twice", "twice-1"}
    assert fault(page, "#twice-1") is None
    assert fault(page, "https://example.org/none") is None
    assert fault(page, "a.md#thrice") == "a.md#thrice: no such heading"
    assert fault(page, "b.md") == "b.md: no such file"
