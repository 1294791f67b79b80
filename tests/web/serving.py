"""Servers of the page on this machine."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: What a server must send so that a page may use threads.
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Sends files with some headers more, and says nothing on stderr."""

    def __init__(self, *args: Any, headers: dict[str, str], **kwargs: Any) -> None:  # noqa: ANN401
        self.more = headers
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        for name, value in self.more.items():
            self.send_header(name, value)
        super().end_headers()

    def do_POST(self) -> None:
        """Take what should never have been sent."""
        self.server.posts += 1  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serve(
    folder: Path, headers: dict[str, str] | None = None
) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server on this machine; `posts` of it counts what was sent to it."""
    handler = functools.partial(Handler, directory=str(folder), headers=headers or {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.posts = 0  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(server: http.server.ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/"
