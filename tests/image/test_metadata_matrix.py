"""No kind of metadata is lost on any way between formats, and the documentation says what becomes.

The table of docs/formats.md is that of the matrix.
"""

import shutil
from pathlib import Path

import pytest

from tests.image import metadata_matrix

pytestmark = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed"
)

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> metadata_matrix.Result:
    return metadata_matrix.made(tmp_path_factory.mktemp("matrix"))


def test_every_kind_is_kept_adapted_or_noted(matrix: metadata_matrix.Result) -> None:
    assert matrix.lost == []
    counted = matrix.counted()
    assert min(counted[state] for state in ("kept", "adapted", "noted")) > 500


def test_the_documentation_has_the_table(matrix: metadata_matrix.Result) -> None:
    """`python -m tests.image.metadata_matrix` prints it."""
    assert matrix.table() in DOCS.read_text("utf-8")


def test_a_cell_that_says_something_else_is_lost(matrix: metadata_matrix.Result) -> None:
    """The matrix can fail."""
    case = metadata_matrix.Case("jpg", 6, "png")
    (kind,) = (each for each in metadata_matrix.KINDS if each.name == "regions of MWG")
    stale = {
        "XMP-mwg-rs:RegionInfo": {
            "RegionList": [{"Area": {"X": 0.25, "Y": 0.25, "W": 0.2, "H": 0.5}}],
            "AppliedToDimensions": {"W": 40, "H": 24},
        }
    }
    assert kind.state(case, stale, b"", ()).startswith("lost")
    assert kind.state(case, {}, b"", ("a note about something else",)).startswith("lost")
