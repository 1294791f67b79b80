"""How this program was installed, and the command that adds what is missing from it."""

import json
import os
import shlex
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from dcls_cli.errors import BackendError

#: Name on PyPI. The name `dcls` belongs to another project there.
DISTRIBUTION = "dcls-cli"

_ON_WINDOWS = os.name == "nt"


def install_command(extra: str) -> str:
    """The command that adds an extra to this very installation.

    `pip` records where it took a distribution from (PEP 610), and that is where the extra is to be
    had: a checkout, a wheel file, a repository or the package index. A program that was never
    installed runs in a checkout.
    """
    try:
        origin = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return _from_folder(Path(__file__).resolve().parents[1], extra)
    if origin is None:
        return f"pip install {quoted(f'{DISTRIBUTION}[{extra}]')}"
    record = json.loads(origin)
    url = urlsplit(record["url"])
    if url.scheme == "file":
        editable = record.get("dir_info", {}).get("editable", False)
        return _from_folder(Path(url2pathname(url.path)), extra, editable=editable)
    prefix = f"{record['vcs_info']['vcs']}+" if "vcs_info" in record else ""
    requirement = f"{DISTRIBUTION}[{extra}] @ {prefix}{url.geturl()}"
    return f"pip install {quoted(requirement)}"


def quoted(text: str) -> str:
    """A word as the user's shell takes it: Windows' cmd knows double quotation marks alone."""
    return f'"{text}"' if _ON_WINDOWS else shlex.quote(text)


def _from_folder(path: Path, extra: str, *, editable: bool = False) -> str:
    """The same for a checkout, or a wheel file."""
    name = "." if path == Path.cwd() else str(path)
    option = "-e " if editable else ""
    return f"pip install {option}{quoted(f'{name}[{extra}]')}"


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    return find_spec("torch") is not None


def require_torch(what: str) -> None:
    """Refuse what needs PyTorch where it is not installed.

    Raises:
        BackendError: it is not.
    """
    if not has_torch():
        raise BackendError(f"{what} needs PyTorch: {install_command('torch')}")
