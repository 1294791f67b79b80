"""The name of the distribution, and the commands that add an extra to an installation."""

import json
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from dcls_cli import installation
from dcls_cli.installation import DISTRIBUTION, install_command

ROOT = Path(__file__).resolve().parent.parent

#: Installs a stranger's package: `dcls` is another project's name on PyPI.
WRONG = re.compile(r"pip install (?:-\S+ )*['\"]?dcls(?![-_\w])")

#: Of a checkout, as README names it.
HINT = re.compile(r"pip install '\.\[(\w+)\]'")


def texts() -> list[Path]:
    """Everything that people read or run, as git tracks it or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:  # an unpacked source distribution
        pytest.skip("not a git checkout")
    suffixes = {".py", ".md", ".toml", ".txt", ".sh", ".ts", ".mjs", ".html", ""}
    paths = (ROOT / name for name in listed.stdout.splitlines())
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def test_no_hint_installs_the_package_of_another_project() -> None:
    wrong = {
        str(path.relative_to(ROOT)): WRONG.findall(path.read_text(encoding="utf-8"))
        for path in texts()
        if path != Path(__file__)
    }
    assert not {name: found for name, found in wrong.items() if found}
    assert WRONG.search("pip install " + "'dcls[torch]'")
    assert WRONG.search("pip install -U dcls")
    assert not WRONG.search("pip install 'dcls-cli[torch]'")


def test_the_pages_name_extras_that_exist() -> None:
    extras = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra")
    named = {extra for path in texts() for extra in HINT.findall(path.read_text(encoding="utf-8"))}
    assert named
    assert named <= set(extras or ())


def installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, object] | None
) -> None:
    """A distribution as pip leaves it, found before the real one."""
    about = folder / f"{DISTRIBUTION.replace('-', '_')}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 1.0\n")
    if record is not None:
        (about / "direct_url.json").write_text(json.dumps(record))
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.parametrize(
    ("record", "command"),
    [
        (None, "pip install 'dcls-cli[torch]'"),
        (
            {"url": "file:///src/dcls", "dir_info": {}},
            "pip install '/src/dcls[torch]'",
        ),
        (
            {"url": "file:///my%20src/dcls", "dir_info": {"editable": True}},
            "pip install -e '/my src/dcls[torch]'",
        ),
        (
            {"url": "file:///dl/dcls_cli-1.0-py3-none-any.whl", "archive_info": {}},
            "pip install '/dl/dcls_cli-1.0-py3-none-any.whl[torch]'",
        ),
        (
            {
                "url": "https://example.org/dcls.git",
                "vcs_info": {"vcs": "git", "commit_id": "1"},
            },
            "pip install 'dcls-cli[torch] @ git+https://example.org/dcls.git'",
        ),
    ],
    ids=["index", "folder", "editable", "wheel", "repository"],
)
def test_an_extra_comes_from_where_the_program_came_from(
    record: dict[str, object] | None,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed(tmp_path, monkeypatch, record)
    assert install_command("torch") == command


def test_in_the_checkout_itself_a_dot_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    record = {"url": tmp_path.as_uri(), "dir_info": {}}
    installed(tmp_path / "site", monkeypatch, record)
    assert install_command("heif") == "pip install '.[heif]'"


def test_what_was_never_installed_runs_in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "DISTRIBUTION", "dcls-cli-that-nobody-installed")
    monkeypatch.chdir(ROOT)
    assert install_command("torch") == "pip install '.[torch]'"


def test_windows_takes_double_quotation_marks_in_every_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installation, "_ON_WINDOWS", True)
    assert installation.quoted("dcls-cli[torch]") == '"dcls-cli[torch]"'
    assert "'" not in install_command("torch")
