"""A stand-in for the comments of GitHub's and GitLab's REST API, on loopback, since neither can be had in a test.

It keeps comments as both do, page by page, and records what it was asked.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

AUTHOR = {"login": "github-actions[bot]", "id": 7}
"""Whom the token belongs to, in the words of both."""


@dataclass
class ForgeApi:
    """The state: comments, the expected token, and every request as method and path. `refuse` answers everything."""

    port: int = 0
    token: str = ""
    refuse: int = 0
    comments: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[str]:
        """The text of all comments."""
        return [one["body"] for one in self.comments]

    @property
    def writes(self) -> list[str]:
        """The methods of requests that change something."""
        return [one.partition(" ")[0] for one in self.requests if not one.startswith("GET")]

    def add(self, body: str, author: dict[str, Any] | None = None) -> None:
        """A comment of this user; by default, of the token's."""
        user = AUTHOR if author is None else author
        self.comments.append({"id": len(self.comments) + 1, "body": body, "user": user, "author": user})

    def answer(self, method: str, target: str, token: str, body: dict[str, Any]) -> tuple[int, Any]:
        """What is sent back."""
        parts = urlsplit(target)
        self.requests.append(f"{method} {parts.path}")
        if self.refuse:
            return self.refuse, {"message": "no"}
        if token not in (f"Bearer {self.token}", self.token):
            return 401, {"message": "Bad credentials"}
        if parts.path == "/user":
            return 200, AUTHOR
        one = re.fullmatch(r"/.*/(?:comments|notes)/(\d+)", parts.path)
        if one is not None and method in ("PATCH", "PUT"):
            self.comments[int(one[1]) - 1]["body"] = body["body"]
            return 200, self.comments[int(one[1]) - 1]
        if method == "POST":
            self.add(body["body"])
            return 201, self.comments[-1]
        query = parse_qs(parts.query)
        size, page = int(query["per_page"][0]), int(query["page"][0])
        return 200, self.comments[(page - 1) * size : page * size]


@contextmanager
def forge_api(token: str) -> Iterator[ForgeApi]:
    """Such an API, for requests with this token."""
    api = ForgeApi(token=token)

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "{}")
            token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
            status, content = api.answer(self.command, self.path, token, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if 300 <= status < 400:
                self.send_header("Location", f"http://127.0.0.1:{api.port}/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = _do  # noqa: N815 - the base class looks for these

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
