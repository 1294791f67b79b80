"""The page, built and served as its README says, and a browser that uses it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.nodes import Drive, node
from tests.web.serving import address, serve

WEB = Path(__file__).resolve().parents[2] / "export" / "web"


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built page."""
    node()
    if not (WEB / "node_modules").is_dir():
        pytest.skip("the page's packages are missing: run `npm ci` in export/web")
    folder = tmp_path_factory.mktemp("page") / "dist"
    dcls = os.environ.get("DCLS", str(Path(sys.executable).with_name("dcls")))
    subprocess.run(
        [node(), str(WEB / "build.mjs"), "--out", str(folder)],
        env={**os.environ, "DCLS": dcls},
        check=True,
        timeout=600,
    )
    return folder


@pytest.fixture(scope="session")
def site(dist: Path) -> Iterator[str]:
    """Address of the page."""
    with serve(dist) as server:
        yield address(server)


@pytest.fixture(scope="session")
def drive() -> Drive:
    """Use the page in a browser; options and results are those of `drive.mjs`."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is not installed")

    def order(**options: object) -> dict[str, Any]:
        given = {"browser": browser, **options}
        done = subprocess.run(
            [node(), str(Path(__file__).with_name("drive.mjs")), json.dumps(given, default=str)],
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    return order
