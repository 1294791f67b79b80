"""Runs the page's modules in Node, to compare them with their counterparts in Python."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "export" / "web" / "src"

#: Uses the page in a browser; options and results are those of `drive.mjs`.
Drive = Callable[..., dict[str, Any]]

#: Reads the arguments from stdin and prints what the function gives; typed arrays as arrays.
_CALL = """
const [address, code, ...given] = JSON.parse(await new Response(process.stdin).text());
const found = await new (async () => {}).constructor("module", "given", code)(
  await import(address), given);
console.log(JSON.stringify(found, (_, value) => ArrayBuffer.isView(value) ? [...value] : value));
"""


def node() -> str:
    """The Node executable, or skip the test."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    return found


def call(module: str, code: str, *given: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Run code with `module` and `given` in scope; what it returns, through JSON."""
    done = subprocess.run(
        [node(), "--input-type=module", "-e", _CALL],
        input=json.dumps([(SOURCE / module).as_uri(), code, *given]),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
