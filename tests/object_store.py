"""An S3 server on 127.0.0.1 (moto's), and stores that answer wrongly or not at all."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from PIL import Image
from s3fs import S3FileSystem
from werkzeug.serving import WSGIRequestHandler, make_server


class _Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Say nothing on stderr."""


@dataclass
class Server:
    """A server, and the requests that it got.

    Attributes:
        url: its endpoint.
        requests: method and path with query, in order.
        bytes_sent: of the bodies of answers.
        refuses: whether a request is answered with 403.
    """

    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    bytes_sent: int = 0
    refuses: Callable[[str, str], bool] = lambda _method, _path: False

    def methods(self) -> list[str]:
        """The methods of the requests."""
        return [method for method, _ in self.requests]


@contextmanager
def serving() -> Iterator[Server]:
    """Run an S3 server until the end of the block."""
    application = DomainDispatcherApplication(create_backend_app)
    served = Server()

    def counted(environ: dict[str, Any], start: Any) -> Any:  # noqa: ANN401 - WSGI
        request = environ["REQUEST_METHOD"], environ["RAW_URI"]
        served.requests.append(request)
        if served.refuses(*request):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("403 Forbidden", [("Content-Type", "application/xml")])
            return [_refusal("AccessDenied")]
        answer = b"".join(application(environ, start))
        served.bytes_sent += len(answer)
        return [answer]

    server = make_server("127.0.0.1", 0, counted, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        served.url = f"http://127.0.0.1:{server.server_port}"
        yield served
    finally:
        server.shutdown()
        server.server_close()


def connect(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Make this process, and those that it starts, use an S3 server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    S3FileSystem.clear_instance_cache()


@dataclass
class Bucket:
    """A bucket, by an independent client."""

    name: str
    client: Any

    def put(self, key: str, content: bytes) -> None:
        """Make an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        """The content of an object."""
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def image(self, key: str) -> Image.Image:
        """An object, decoded."""
        image = Image.open(io.BytesIO(self.get(key)))
        image.load()
        return image

    def keys(self, prefix: str = "") -> list[str]:
        """The names of all objects."""
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [found["Key"] for found in listed.get("Contents", ())]

    def unfinished(self) -> list[str]:
        """The names of uploads that are neither complete nor aborted."""
        listed = self.client.list_multipart_uploads(Bucket=self.name)
        return [found["Key"] for found in listed.get("Uploads", ())]

    def stamps(self) -> dict[str, object]:
        """When each object was last written."""
        listed = self.client.list_objects_v2(Bucket=self.name)
        return {found["Key"]: found["LastModified"] for found in listed.get("Contents", ())}


def make_bucket(name: str) -> Bucket:
    """Make one on the server that this process is connected to."""
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    return Bucket(name, client)


def _refusal(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode()


@contextmanager
def refusing(status: int, code: str) -> Iterator[str]:
    """A store that answers every request with one error; yields its endpoint."""
    body = _refusal(code)

    class Refusal(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/xml")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent() -> Iterator[str]:
    """A store that takes connections and never answers; yields its endpoint."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def closed() -> str:
    """An endpoint that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"
