"""Downloads from a Hub that fails in every way: right weights, or one clear line and nothing."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download

import dcls_cli
from dcls_cli.errors import WeightsError
from dcls_cli.models import releases, weights
from dcls_cli.models.hub import HubFile, Listener, find, parse_hub_name
from dcls_cli.models.hub.resolving import fetch
from dcls_cli.models.hub.transfer import SILENT
from tests.hub_server import Hub, connect, serving, write_tiny
from tests.pace import stretched
from tests.posix import resource

COMMIT, OTHER = "a" * 40, "b" * 40
NAME = "hf:me/net/tiny.safetensors"
PROGRAM = [sys.executable, "-c", "from dcls_cli.cli.app import main; main()"]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def hub(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        hub.publish("me/net", {"tiny.safetensors": content, "README.md": b"# tiny"}, COMMIT)
        connect(monkeypatch, hub.url, tmp_path)
        yield hub


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_download_is_cached_as_huggingface_hub_caches(
    hub: Hub, content: bytes, tmp_path: Path
) -> None:
    path = find(NAME)
    assert path.read_bytes() == content
    assert [request.method for request in hub.log] == ["HEAD", "GET"]  # and no telemetry
    for revision in (COMMIT, "main"):  # the library itself finds it there
        theirs = hf_hub_download(
            "me/net", "tiny.safetensors", revision=revision, local_files_only=True
        )
        assert Path(theirs) == path
    assert len(files(tmp_path / "hub")) == 3  # content, link, reference


def test_what_huggingface_hub_cached_is_used(hub: Hub, content: bytes) -> None:
    theirs = hf_hub_download("me/net", "tiny.safetensors")
    hub.log.clear()
    assert find(NAME) == Path(theirs)
    assert hub.log == []


@pytest.mark.parametrize("name", ["hf:me/net", NAME, f"hf:me/net@{COMMIT}", "hf:me/net@main"])
def test_a_second_use_makes_no_network_call(hub: Hub, name: str) -> None:
    first = find(name)
    hub.log.clear()
    assert find(name) == first
    assert hub.log == []


def test_bundled_weights_make_no_network_call(hub: Hub) -> None:
    item = releases.RELEASES[0]
    if not releases.location(item).is_file():
        pytest.skip("no released weights in this checkout")
    assert find(item.name) == find(item.scale) == releases.location(item)
    assert hub.log == []


def test_a_connection_that_breaks_goes_on_where_it_was(hub: Hub, content: bytes) -> None:
    hub.mode = "cut"
    assert find(NAME).read_bytes() == content
    asked = [request.range for request in hub.gets()]
    assert asked == [None, f"bytes={len(content) * 6 // 10}-"]


@pytest.mark.parametrize(("mode", "failures"), [("500", 2), ("503", 1), ("429", 1)])
def test_a_busy_server_is_asked_again(hub: Hub, content: bytes, mode: str, failures: int) -> None:
    hub.mode, hub.failures = mode, failures
    assert find(NAME).read_bytes() == content


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("cut-always", "broke the connection off"),
        ("short", "sends only"),
        ("corrupt", "wrong bytes: its SHA-256 must be"),
        ("html", "a web page instead of the file"),
        ("portal", "does not speak the Hub's protocol"),
        ("slow", "came within 3 s"),
        ("silent", "no answer within 1 s"),
        ("401", "answers 401"),
        ("403", "answers 403"),
        ("404", "answers 404"),
        ("500", "answers 500"),
        ("503", "answers 503"),
    ],
)
def test_a_server_with_a_fault_costs_one_line_and_leaves_nothing(
    hub: Hub, tmp_path: Path, mode: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.mode = mode
    if mode in ("slow", "silent"):
        seconds = 3 if mode == "slow" else 1  # it has to begin in time, on a busy machine too
        monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", seconds)
    started = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        find(NAME)
    assert time.monotonic() - started < stretched(20)
    message = str(caught.value)
    assert message.startswith(f"{NAME}: ")
    assert said in message
    assert hub.url in message
    assert "\n" not in message
    assert files(tmp_path) == []


def test_no_server_costs_no_time(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    connect(monkeypatch, url, tmp_path)
    started = time.monotonic()
    with pytest.raises(WeightsError, match=r"cannot be reached: .*refused.*--weights FILE"):
        find(NAME)
    assert time.monotonic() - started < stretched(5)


def test_offline_asks_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE.*--weights FILE"):
        find(NAME)
    assert hub.log == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hf:me/other", "404"),
        ("hf:me/net@v9/tiny.safetensors", "no such revision"),
        ("hf:me/net/x.safetensors", "no such file"),
    ],
)
def test_what_the_hub_does_not_have_is_named(hub: Hub, name: str, said: str) -> None:
    with pytest.raises(WeightsError, match=said) as caught:
        find(name)
    assert str(caught.value).startswith(name)


def test_a_repository_without_one_weight_file_asks_for_a_name(hub: Hub, content: bytes) -> None:
    hub.publish("me/two", {"a.safetensors": content, "b.safetensors": content})
    with pytest.raises(WeightsError, match=r"add one of them: /a.safetensors, /b.safetensors"):
        find("hf:me/two")
    hub.publish("me/none", {"README.md": b"-"})
    with pytest.raises(WeightsError, match=r"no .safetensors file"):
        find("hf:me/none")
    hub.publish("me/bad", {"../../x.safetensors": content})
    with pytest.raises(WeightsError, match="not the path"):
        find("hf:me/bad")


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damage_in_the_cache_is_noticed_and_mended(
    hub: Hub, content: bytes, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = find(NAME)
    wrong = {"cut": content[:1000], "flipped": content[:-1] + b"\xff", "empty": b""}[damage]
    path.resolve().write_bytes(wrong)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=f"{path}: damaged: .*delete {path.resolve()} "):
        find(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    notes: list[str] = []
    mended = find(NAME, Listener(note=notes.append, progress=lambda _received, _total: None))
    assert mended.read_bytes() == content
    (note,) = notes
    assert str(path) in note


@pytest.mark.parametrize("etag", ["opaque", None])
def test_a_hub_that_lies_is_found_out_by_the_file_itself(
    hub: Hub, content: bytes, tmp_path: Path, etag: str | None
) -> None:
    """Damaged before it was uploaded: what the Hub states fits what it sends."""
    hub.etag = etag
    hub.files["me/net"]["tiny.safetensors"] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(WeightsError, match="does not match its own SHA-256"):
        find(NAME)
    assert files(tmp_path) == []


def test_the_registry_overrules_the_hub(
    hub: Hub, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole and well-formed weights, but not those that were released under the name."""
    item = replace(
        releases.RELEASES[0],
        name="tiny",
        file="tiny.safetensors",
        sha256=hashlib.sha256(content).hexdigest(),
        repo="me/net",
        revision=COMMIT,
    )
    monkeypatch.setattr(releases, "RELEASES", (item,))
    hub.files["me/net"]["tiny.safetensors"] = write_tiny(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(WeightsError, match=f"wrong bytes: .*{item.sha256[:12]}"):
        find("tiny")
    hub.files["me/net"]["tiny.safetensors"] = content
    path = find("tiny")
    assert path.read_bytes() == content
    assert all(f"/resolve/{COMMIT}/" in request.path for request in hub.log)
    hub.log.clear()
    assert find("tiny") == path
    assert hub.log == []


def test_a_release_names_repository_and_revision_together() -> None:
    with pytest.raises(ValueError, match="go together"):
        replace(releases.RELEASES[0], repo="me/net", revision=None)


def test_a_file_that_is_no_weights_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files["me/net"]["tiny.safetensors"] = b"PK\x03\x04" + bytes(2000)
    with pytest.raises(WeightsError, match="a PyTorch file, not safetensors"):
        find(NAME)
    assert files(tmp_path) == []


def test_an_etag_cannot_leave_the_cache(hub: Hub, tmp_path: Path) -> None:
    hub.etag = "../../../evil"
    with pytest.raises(WeightsError, match="does not speak the Hub's protocol"):
        find(NAME)
    assert files(tmp_path) == []


def test_the_token_goes_to_the_hub_and_not_to_its_storage(
    hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.mode = "gated"
    with pytest.raises(WeightsError, match="set HF_TOKEN"):
        find(NAME)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(WeightsError, match="the token in HF_TOKEN is not enough"):
        find(NAME)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hub.log.clear()
    with serving() as storage:
        storage.publish("me/net", hub.files["me/net"])
        hub.storage = storage.url
        assert find(NAME).read_bytes() == content
        assert {request.authorization for request in hub.log} == {f"Bearer {hub.token}"}
        assert [request.authorization for request in storage.log] == [None]


def test_a_branch_is_looked_up_again_after_its_removal_only(hub: Hub, content: bytes) -> None:
    """The cache answers for a branch; a commit that is named is fetched."""
    first = find(NAME)
    hub.commits["me/net"] = OTHER
    assert find(NAME) == first
    other = fetch(parse_hub_name(f"hf:me/net@{OTHER}/tiny.safetensors"))
    assert other.path != first
    assert other.content == first.resolve()  # the content is shared


def test_a_cache_that_cannot_be_written_is_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    with pytest.raises(WeightsError, match=r"file/hub cannot be written; set HF_HOME"):
        fetch(HubFile("me/net", "main", "tiny.safetensors"), None, SILENT)


@pytest.mark.skipif(os.name == "nt", reason="limits are POSIX")
def test_a_full_disk_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # every file ends there
    try:
        with pytest.raises(WeightsError, match="cannot be written; set HF_HOME"):
            find(NAME)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_a_killed_download_is_cleared_and_done_again(
    hub: Hub, content: bytes, tmp_path: Path
) -> None:
    hub.bytes_per_s = len(content) // 4
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(dcls_cli.__file__).parents[1]),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "",
    }
    environment.pop("HF_HUB_CACHE", None)
    process = subprocess.Popen([*PROGRAM, "models", "download", NAME], env=environment)
    deadline = time.monotonic() + 300
    while not any(path.stat().st_size for path in tmp_path.rglob("*.dcls-tmp")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = files(tmp_path)
    assert left.name.endswith(".dcls-tmp")
    assert 0 < left.stat().st_size < len(content)
    hub.bytes_per_s = None
    path = find(NAME)
    assert path.read_bytes() == content
    assert weights.check(path)[0].scale == 2
    assert not left.exists()
    assert sum(item.stat().st_size for item in files(tmp_path) if not item.is_symlink()) < (
        len(content) + 100
    )
