"""Quay's API v1 as far as an export needs it: repositories in pages, and a token of a superuser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-a-superuser"
PAGE = 2
"""Repositories of one page."""


@contextmanager
def fake_quay(export: dict[str, Any]) -> Iterator[int]:
    """The port of a server that has what this export has."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            found = _answer(export, asked.path.removeprefix("/api/v1/").strip("/").split("/"), query)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._send(401, {"error_message": "Requires authentication"})
            else:
                self._send(404 if found is None else 200, found)

        def _send(self, status: int, answer: Any) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _answer(export: dict[str, Any], path: list[str], query: dict[str, str]) -> Any:
    match path:
        case ["superuser", "users"]:
            return {"users": export["users"]}
        case ["superuser", "organizations"]:
            return {"organizations": [{"name": one["name"]} for one in export["organizations"]]}
        case ["organization", name]:
            return next((one for one in export["organizations"] if one["name"] == name), None)
        case ["organization", name, ("robots" | "prototypes") as part]:
            return {part: export[part].get(name, [])}
        case ["organization", name, "team", team, "members"]:
            members = export["members"].get(f"{name}/{team}")
            return None if members is None else {"members": members, "can_edit": True}
        case ["repository"]:
            return _page([one for one in export["repositories"] if one["namespace"] == query.get("namespace")], query)
        case ["repository", namespace, name, "permissions", sort]:
            return {"permissions": export["permissions"][f"{namespace}/{name}"][f"{sort}s"]}
    return None


def _page(found: list[Any], query: dict[str, str]) -> dict[str, Any]:
    start = int(query.get("next_page", "0"))
    more = {"next_page": str(start + PAGE)} if len(found) > start + PAGE else {}
    return {"repositories": found[start : start + PAGE], **more}
