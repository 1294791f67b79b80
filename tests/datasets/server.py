"""A server of plain files, made of the parts of the Hub's."""

import hashlib

from tests.hub_server import Handler, Hub


class FileHandler(Handler):
    """A plain server of files; of those below /hub/ it states the digest, as the Hub does."""

    def route(self) -> None:
        content = self.hub.files["files"].get(self.path.rpartition("/")[2])
        if content is None:
            self.send(404, b"")
        elif self.path.startswith("/moved/"):
            self.send(302, b"", {"Location": self.path.replace("/moved/", "/files/")})
        elif self.command == "HEAD":
            stated = {"X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
            stated["X-Linked-Size"] = str(len(content))
            self.send(200, content, stated if self.path.startswith("/hub/") else None)
        else:
            self.send_content(content, {})


def gets(server: Hub) -> list[str | None]:
    """Ranges of the requests for content."""
    return [item.range for item in server.log if item.method == "GET"]
