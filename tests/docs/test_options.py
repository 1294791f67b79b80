"""The reference of the command line and the man page say what the program says."""

import shutil
import subprocess

import pytest

from docs.make_options import MANUAL, PAGE, Option, markdown, option_of, plain, roff, walk
from tests.cli.test_help import COMMANDS, GROUPS

PAGES = list(walk())


def test_the_files_are_those_that_the_program_gives() -> None:
    """Otherwise: `python docs/make_options.py`."""
    assert PAGE.read_text(encoding="utf-8") == markdown(PAGES)
    assert MANUAL.read_text(encoding="utf-8") == roff(PAGES)


def test_every_command_has_a_page_and_an_example() -> None:
    names = {page.name.removeprefix("dcls").strip() for page in PAGES}
    assert names == {"", *COMMANDS, *GROUPS}
    assert all(page.examples for page in PAGES if not page.is_group)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("-s, --scale N", "Enlarge. [default: 4]", Option("-s, --scale", "N", "4", "Enlarge.")),
        (
            "--quality N",
            "Quality. [default: 95; or none]  [1 to 100]",
            Option("--quality", "N, 1 to 100", "95; or none", "Quality."),
        ),
        (
            "--side N",
            "Side.  [default: 8; at least 8]",
            Option("--side", "N, at least 8", "8", "Side."),
        ),
        ("--a / --no-a", "A.  [default: a]", Option("--a / --no-a", "", "a", "A.")),
        ("PHOTO...", "Photos.  [required]", Option("PHOTO...", "", "required", "Photos.")),
    ],
)
def test_an_option_is_taken_apart(name: str, text: str, expected: Option) -> None:
    assert option_of(name, text) == expected


def test_text_is_no_request_to_roff() -> None:
    assert plain(".npy, 'a\\b' and `x` ×2") == r"\&.npy, \(aqa\eb\(aq and x \[u00D7]2"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_man_page_is_without_fault() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", MANUAL], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
