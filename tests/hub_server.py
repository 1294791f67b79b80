"""A Hub on 127.0.0.1: the parts of its protocol that dcls uses, and the ways in which it fails."""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from dcls_cli.config import ModelConfig
from dcls_cli.models import weights
from dcls_cli.models.hub import transfer
from dcls_cli.network.dcls import DCLS

RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<revision>[^/]+))?")
PREUPLOAD = re.compile(r"/api/(?:models|spaces)/(?P<repo>[^/]+/[^/]+)/preupload/main")
COMMIT = re.compile(r"/api/(?:models|spaces)/(?P<repo>[^/]+/[^/]+)/commit/main")
BATCH = re.compile(r"/(?:spaces/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
PAGE = b"<!DOCTYPE html><html><body>Please log in to the network.</body></html>"


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class Hub:
    """What the server has and how it behaves.

    Attributes:
        mode: ok; cut, cut-always: the connection ends at 60 %, once or each time; short; corrupt;
            html; slow: a byte a second; silent: no answer; portal: no Hub at all; gated: 401
            without the right token; or a status such as 404.
        failures: how many requests fail with the status before all is well; None: all.
    """

    url: str = ""
    mode: str = "ok"
    failures: int | None = None
    token: str = "hf_right"
    etag: str | None = None
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    kinds: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    log: list[Request] = field(default_factory=list)
    storage: str | None = None  # another server that a file's address redirects to
    bytes_per_s: int | None = None

    def publish(self, repo: str, files: dict[str, bytes], commit: str = "a" * 40) -> None:
        """Have files in a repository, whose main branch is at a commit."""
        self.files[repo], self.commits[repo] = files, commit

    def gets(self) -> list[Request]:
        """The requests that wanted a file's content."""
        return [item for item in self.log if item.method == "GET" and "/resolve/" in item.path]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing on stderr."""

    def do_HEAD(self) -> None:  # noqa: N802
        self.serve()

    def do_GET(self) -> None:  # noqa: N802
        self.serve()

    def do_POST(self) -> None:  # noqa: N802
        self.serve()

    def do_PUT(self) -> None:  # noqa: N802
        self.serve()

    def serve(self) -> None:
        hub, headers = self.hub, self.headers
        self.body = self.rfile.read(int(headers.get("Content-Length") or 0))
        hub.log.append(
            Request(self.command, self.path, headers.get("Range"), headers.get("Authorization"))
        )
        with suppress(BrokenPipeError, ConnectionResetError):
            if not self.misbehave():
                self.route()

    def misbehave(self) -> bool:
        hub = self.hub
        if hub.mode == "silent":
            time.sleep(30)
        elif hub.mode == "portal":
            self.send(200, PAGE, {"Content-Type": "text/html"})
        elif self.path.startswith("/objects/"):
            return False  # a signed address needs no token
        elif hub.mode == "gated" and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self.send(401, b"", {"X-Error-Message": "Invalid username or password."})
        elif hub.mode.isdigit() and hub.failures != 0:
            hub.failures = None if hub.failures is None else hub.failures - 1
            self.send(int(hub.mode), b'{"error": "as told"}')
        else:
            return False
        return True

    def route(self) -> None:
        path = self.path.partition("?")[0]
        for method, pattern, answer in (
            ("HEAD", RESOLVE, self.resolve),
            ("GET", RESOLVE, self.resolve),
            ("GET", INFO, self.info),
            ("POST", PREUPLOAD, self.preupload),
            ("POST", COMMIT, self.commit),
            ("POST", BATCH, self.batch),
        ):
            match = pattern.fullmatch(path)
            if match and method == self.command:
                answer(**match.groupdict())
                return
        if self.command == "PUT" and path.startswith("/objects/"):
            self.hub.objects[path.rpartition("/")[2]] = self.body
            self.send(200, b"")
        elif path == "/api/repos/create":
            wanted = json.loads(self.body)
            repo = f"{wanted['organization']}/{wanted['name']}"
            self.hub.files.setdefault(repo, {})
            self.hub.kinds[repo] = (wanted.get("type") or "model", wanted.get("sdk"))
            self.hub.private[repo] = bool(
                wanted.get("private") or wanted.get("visibility") == "private"
            )
            self.send_json({"url": f"{self.hub.url}/{repo}"})
        elif path == "/api/validate-yaml":
            self.send_json({"errors": [], "warnings": []})
        else:
            self.send(404, b"")

    def resolve(self, repo: str, revision: str, file: str) -> None:
        hub = self.hub
        commit = hub.commits.get(repo)
        if commit is None:
            self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
            return
        if revision not in ("main", commit):
            self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        if file not in hub.files[repo]:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        content = hub.files[repo][file]
        etag = hub.etag or hashlib.sha256(content).hexdigest()
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{etag}"',
            "X-Linked-ETag": f'"{etag}"',
            "X-Linked-Size": str(len(content)),
        }
        if hub.storage is not None:
            self.send(302, b"", {**headers, "Location": f"{hub.storage}{self.path}"})
        elif self.command == "HEAD":
            self.send(200, content, headers)
        else:
            self.send_content(content, headers)

    def send_content(self, content: bytes, headers: dict[str, str]) -> None:
        hub, status = self.hub, 200
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if hub.mode == "html":
            self.send(200, PAGE, {**headers, "Content-Type": "text/html"})
            return
        if hub.mode == "corrupt":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if wanted:
            status, start = 206, int(wanted[1])
            if start >= len(content):
                self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        if hub.mode == "short":
            content = content[: len(content) // 2]
        sent = len(content)
        if hub.mode in ("cut", "cut-always"):
            sent = sent * 6 // 10
            hub.mode = "ok" if hub.mode == "cut" else hub.mode
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        rate = 1 if hub.mode == "slow" else hub.bytes_per_s
        step = sent if rate is None else max(1, rate // 20)
        for start in range(0, sent, step):
            self.wfile.write(content[start : min(start + step, sent)])
            self.wfile.flush()
            time.sleep(0 if rate is None else step / rate)
        self.close_connection = sent < len(content)

    def info(self, repo: str, revision: str | None) -> None:
        if repo not in self.hub.commits:
            self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
            return
        siblings = [{"rfilename": name} for name in self.hub.files[repo]]
        commit = self.hub.commits[repo]
        self.send_json({"id": repo, "sha": commit, "siblings": siblings, "revision": revision})

    def preupload(self, repo: str) -> None:
        assert repo in self.hub.files
        files = [
            {
                "path": item["path"],
                "uploadMode": "regular" if item["path"].endswith(".md") else "lfs",
                "shouldIgnore": False,
            }
            for item in json.loads(self.body)["files"]
        ]
        self.send_json({"files": files})

    def batch(self, repo: str) -> None:
        assert repo in self.hub.files
        objects = [
            {
                **item,
                "authenticated": True,
                "actions": {"upload": {"href": f"{self.hub.url}/objects/{item['oid']}"}},
            }
            for item in json.loads(self.body)["objects"]
        ]
        self.send_json({"transfer": "basic", "objects": objects})

    def commit(self, repo: str) -> None:
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.hub.files[repo][value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.hub.files[repo][value["path"]] = self.hub.objects[value["oid"]]
        commit = hashlib.sha1(self.body).hexdigest()
        self.hub.commits[repo] = commit
        self.send_json({"commitOid": commit, "commitUrl": f"{self.hub.url}/{repo}/commit/{commit}"})

    def send_json(self, value: object) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving(kind: type[Handler] = Handler) -> Iterator[Hub]:
    """Run a Hub, or another server made of its parts, until the end of the block."""
    hub = Hub()
    handler = type("HubHandler", (kind,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that goes away is what some tests want
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def connect(monkeypatch: pytest.MonkeyPatch, url: str, home: Path, patience_s: int = 5) -> None:
    """Make this process use a Hub and a cache, as HF_ENDPOINT and HF_HOME do at its start."""
    monkeypatch.setattr(transfer, "PAUSE_S", 0.05)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HOME", str(home))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", patience_s)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)


def write_tiny(path: Path, seed: int = 0, scale: int = 2) -> bytes:
    """Write the weights of a tiny network; return the file's bytes."""
    torch.manual_seed(seed)
    config = ModelConfig.light(
        scale, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    weights.write(DCLS(config), path)
    return path.read_bytes()
