"""`python -m bench.frames`: how many of this project's frames one token request passes, in how many files, how deep.

Counted with `sys.setprofile` in an in-process server with one htpasswd user, from the WSGI application to the answer:
calls of functions whose code is below `tokenserver/`, generators and comprehensions included. What libraries call among
themselves is not counted. The table is the one in docs/architecture.md; with `--files`, each file and its calls follow.
"""

from __future__ import annotations

import sys
import tempfile
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import tokenserver
from bench.servers import QUERY, basic, write
from tokenserver.config.load import load_settings
from tokenserver.server.compose import build
from tokenserver.web.application import application

PACKAGE = f"{Path(tokenserver.__file__).parent}/"


@dataclass(slots=True)
class Passage:
    """What one request passed: calls by file, and the greatest number of own frames on the stack."""

    files: Counter[str] = field(default_factory=Counter)
    depth: int = 0
    _now: int = 0

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        """A profile function (`sys.setprofile`)."""
        if event not in ("call", "return") or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        if event == "return":
            self._now -= 1
            return
        self.files[frame.f_code.co_filename.removeprefix(PACKAGE)] += 1
        self._now += 1
        self.depth = max(self.depth, self._now)


class Sink:
    """An audit sink that keeps nothing."""

    def write(self, _line: bytes) -> None:
        """Take the line."""


def passages() -> dict[str, Passage]:
    """A first login, the same login repeated, and a wrong password, each as one GET of one scope."""
    with tempfile.TemporaryDirectory() as folder:
        app = application(build(load_settings(write(Path(folder) / "server", users=1)), sink=Sink()))
        found = {"first login": _ask(app, basic("u0"))}
        _ask(app, basic("u0"))
        found["repeated login"] = _ask(app, basic("u0"))
        found["wrong password"] = _ask(app, "Basic " + b64encode(b"u0:wrong").decode(), status="401")
        return found


def _ask(app: Any, authorization: str, status: str = "200") -> Passage:
    """One request, profiled."""
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/token", "QUERY_STRING": QUERY, "REMOTE_ADDR": "127.0.0.1",
        "HTTP_AUTHORIZATION": authorization,
    }  # fmt: skip
    statuses: list[str] = []
    passage = Passage()
    sys.setprofile(passage.profile)
    try:
        app.wsgi_app(environ, lambda line, _headers: statuses.append(line))
    finally:
        sys.setprofile(None)
    if not statuses[0].startswith(status):
        raise RuntimeError(f"the answer is {statuses[0]}, not {status}")
    return passage


def table(found: dict[str, Passage]) -> str:
    """The table as Markdown."""
    lines = ["| request | frames | files | depth |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {passage.files.total()} | {len(passage.files)} | {passage.depth} |"
        for name, passage in found.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table, and with `--files` what each file was called for."""
    found = passages()
    print(table(found))
    if "--files" in sys.argv[1:]:
        for name, passage in found.items():
            print(f"\n{name}")
            for file, calls in passage.files.most_common():
                print(f"{calls:5} {file}")


if __name__ == "__main__":
    main()
