"""Harbor's API v2.0 as far as an export needs it: lists in pages, and a login of a system administrator."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LOGIN = "admin:Harbor12345"


@contextmanager
def fake_harbor(export: dict[str, Any]) -> Iterator[int]:
    """The port of a server that has what this export has. Robots of a project are listed for the project alone."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            found = _answer(export, asked.path.removeprefix("/api/v2.0/"), query.get("q", ""))
            if self.headers.get("Authorization") != f"Basic {base64.b64encode(LOGIN.encode()).decode()}":
                self._send(401, {"errors": [{"code": "UNAUTHORIZED", "message": "unauthorized"}]})
            elif found is None:
                self._send(404, {"errors": [{"code": "NOT_FOUND", "message": "not found"}]})
            elif isinstance(found, list):
                size, page = int(query.get("page_size", 10)), int(query.get("page", 1))
                self._send(200, found[(page - 1) * min(size, 100) :][: min(size, 100)])
            else:
                self._send(200, found)

        def _send(self, status: int, answer: Any) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
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


def _answer(export: dict[str, Any], path: str, asked: str) -> Any:
    """The whole answer of a path, before it is cut into pages."""
    if path == "robots":
        of = re.fullmatch(r"Level=project,ProjectID=(\d+)", asked)
        names = {str(one["project_id"]): one["name"] for one in export["projects"]}
        name = names[of[1]] if of else None
        return [one for one in export["robots"] if _project_of(one["name"]) == name]
    members = re.fullmatch(r"projects/(\d+)/members", path)
    if members:
        return export["members"].get(members[1])
    immutable = re.fullmatch(r"projects/(\d+)/immutabletagrules", path)
    if immutable:
        return export["immutabletagrules"].get(immutable[1], [])
    return export.get(path) if path in ("projects", "users", "usergroups", "configurations") else None


def _project_of(robot: str) -> str | None:
    project, plus, _ = robot.removeprefix("robot$").partition("+")
    return project if plus else None
