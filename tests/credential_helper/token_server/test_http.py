"""Requests against servers that answer badly. See docs/design/threats.md#threat-167."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path

import pytest
from harness.authority import Authority, served_by
from harness.misfits import Reply, answering
from harness.own_time import OwnTime

from tokenserver.credential_helper.token_server.http import MAX_BODY, Web


@contextmanager
def raw(answer: bytes, *, pause: float = 0.0, times: int = 1) -> Iterator[int]:
    """A server that sends these bytes, so many times, with a pause after each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                connected, _ = listener.accept()
                with connected:
                    connected.recv(65536)
                    for _ in range(times):
                        connected.sendall(answer)
                        time.sleep(pause)
            except OSError:  # the client has enough
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join()


def test_a_form_and_a_get() -> None:
    """What is sent, and what comes back."""
    seen: list[tuple[str, str | None]] = []

    def reply(path: str, headers: Message) -> Reply:
        seen.append((path, headers.get("content-type")))
        return Reply(401, (("WWW-Authenticate", "A"), ("WWW-Authenticate", "B")), b"body")

    with answering(reply) as port:
        web = Web()
        found = web.fetch(f"http://localhost:{port}/x?y=z", headers={"Authorization": "bearer x"})
    assert found is not None
    assert (found.status, found.body, found.challenges) == (401, b"body", ("A", "B"))
    assert seen == [("/x?y=z", None)]


def test_a_redirect_is_not_followed() -> None:
    """Neither to another host nor on the same one."""
    paths: list[str] = []

    def reply(path: str, _: Message) -> Reply:
        paths.append(path)
        return Reply(302, (("Location", "/elsewhere"),))

    with answering(reply) as port:
        found = Web().fetch(f"http://localhost:{port}/token")
    assert found is not None
    assert (found.status, paths) == (302, ["/token"])


@pytest.mark.parametrize(
    ("answer", "times"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1), 1, id="long"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 1_000_000, 1, id="a gigabyte"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000, 1, id="many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000, 1, id="a long header"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", 1, id="another protocol"),
        pytest.param(b"", 1, id="nothing"),
    ],
)
def test_answers_that_are_none(answer: bytes, times: int) -> None:
    """They are not read to their end."""
    with raw(answer, times=times) as port:
        assert Web().fetch(f"http://localhost:{port}/") is None


def test_a_slow_answer() -> None:
    """A byte now and then is no reason to wait longer."""
    own = OwnTime(os.getpid())
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", pause=0.1, times=50) as port:
        assert Web().fetch(f"http://localhost:{port}/", seconds=0.3) is None
        assert own.seconds < 0.8


@pytest.mark.parametrize("url", ["http://registry.example.com/v2/", "file:///etc/passwd", "https://a@b/"])
def test_unprotected(url: str) -> None:
    """Nothing is sent."""
    assert Web().fetch(url) is None


def test_plain_http_leaves_the_machine_for_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` that is resolved to elsewhere gets nothing, and no proxy gets what is for this machine."""
    connected: list[object] = []

    class Elsewhere:
        def getpeername(self) -> tuple[str, int]:
            return ("192.0.2.1", 80)

        def close(self) -> None:
            connected.append("closed")

        def sendall(self, _: bytes) -> None:
            connected.append("sent")

    monkeypatch.setattr(HTTPConnection, "connect", lambda self: setattr(self, "sock", Elsewhere()))
    monkeypatch.setenv("http_proxy", "http://proxy.example.com:3128")
    assert Web().fetch("http://localhost:1/token", [("refresh_token", "x")]) is None
    assert connected == ["closed"]


def test_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """https goes through the proxy of the environment, unless it is for this machine."""
    lines: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connected, _ = listener.accept()
            with connected:
                lines.append(connected.recv(4096).partition(b"\r\n")[0])
                connected.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert Web().fetch("https://localhost:1/") is None
        assert Web().fetch("https://registry.example.com/v2/", seconds=5) is None
        thread.join()
    assert [line.split()[:2] for line in lines] == [[b"CONNECT", b"registry.example.com:443"]]


def test_certificates(tmp_path: Path) -> None:
    """Those of the system, and those that are named; a file that is none is none."""
    authority = Authority(tmp_path, "test")
    context = served_by(*authority.issue(tmp_path))
    (tmp_path / "broken.crt").write_text("x")
    files = [str(tmp_path / "absent.crt"), str(tmp_path / "broken.crt"), str(authority.file)]
    with answering(lambda _, __: Reply(200), context=context) as port:
        assert Web().fetch(f"https://localhost:{port}/") is None
        found = Web(files).fetch(f"https://localhost:{port}/")
    assert found is not None
    assert found.status == 200
