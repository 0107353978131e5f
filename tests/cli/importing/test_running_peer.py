"""A running docker_auth: what it is asked, and what its answers are compared with."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from site_commands import Run

CONFIG = """\
server: {addr: ":5001"}
token: {issuer: us, expiration: 900}
users:
  "": {}
  ann: {password: "$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC"}
acl: [{match: {account: ann, service: one}, actions: ["*"]}]
"""


class _Peer(BaseHTTPRequestHandler):
    """Grants ann everything, and answers as `mode` says."""

    mode = "faithful"

    def do_GET(self) -> None:
        """A token, or what the mode says."""
        kind, name, actions = parse_qs(urlsplit(self.path).query)["scope"][0].split(":")
        basic = base64.b64decode(self.headers.get("Authorization", "Basic ").partition(" ")[2]).decode()
        granted = actions.split(",") if basic == "ann:a word" or self.mode == "generous" else []
        if self.mode == "refusing" or (basic and basic != "ann:a word"):
            self._send(401, b"Auth failed.")
            return
        claims = {"sub": "", "aud": "one", "access": [{"type": kind, "name": name, "actions": granted}]}
        middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        body = json.dumps({"token": f"e30.{middle}.e30"}) if self.mode != "broken" else "hello"
        self._send(200, body.encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url(run: Run, tmp_path: Path) -> Iterator[str]:
    """The running server; its configuration is imported."""
    (tmp_path / "auth.yml").write_text(CONFIG)
    assert run("import", "docker-auth", "auth.yml", "site").exit_code == 0
    (tmp_path / "words").write_text("ann:a word\n\n")
    (tmp_path / "words").chmod(0o600)
    server = HTTPServer(("127.0.0.1", 0), _Peer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/auth"
    server.shutdown()
    thread.join()
    server.server_close()


MODES = {
    "faithful": (0, "20 asked of"),
    "generous": (1, "by its file, and running pull"),
    "refusing": (1, "are answered otherwise"),
    "broken": (2, "answers with status 200"),
}


@pytest.mark.parametrize(("mode", "expected"), MODES.items(), ids=MODES)
def test_modes(run: Run, url: str, monkeypatch: pytest.MonkeyPatch, mode: str, expected: tuple[int, str]) -> None:
    """It does what its file says, or it is said what it does."""
    monkeypatch.setattr(_Peer, "mode", mode)
    options = [
        "--docker-auth",
        "auth.yml",
        "--with",
        "site",
        "--random",
        "20",
        "--url",
        url,
        "--password-file",
        "words",
    ]
    result = run("import", "verify", *options)
    assert (result.exit_code, expected[1] in result.stderr) == (expected[0], True), result.stderr


def test_faults(run: Run, url: str, tmp_path: Path) -> None:
    """A file of another form, addresses, and a server that is not there."""
    options = ["import", "verify", "--docker-auth", "auth.yml", "--with", "site", "--random", "20"]
    (tmp_path / "words").write_text("ann\n")
    result = run(*options, "--url", url, "--password-file", "words")
    assert "words:1: is not NAME:PASSWORD" in result.stderr
    assert "does not answer" in run(*options, "--url", "http://127.0.0.1:1/auth").stderr
    (tmp_path / "auth.yml").write_text(CONFIG.replace("service: one", "service: one, ip: 10.0.0.0/8"))
    assert "entries have conditions on the address" in run(*options, "--url", url).stderr
