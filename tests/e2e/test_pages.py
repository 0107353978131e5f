"""The pages for people in a real browser: accessible, usable by the keyboard alone, and no burden on token requests."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.own_time import OwnTime
from harness.processes import plain_environment, run
from harness.programs import need
from harness.server import Setup, TokenServer, serving

SERVICE = "registry3.test"
POLICIES = {
    "root.yaml": """\
version: 1
administrators: ["user:ann"]
groups: {developers: {users: [ann]}}
robots:
  ci: {description: builds of the web team}
allow:
  - {id: ann, to: ["user:ann"], repositories: ["web/**"], role: writer}
"""
}
SETTINGS = {"storage": "state/tokenserver.db", "access_keys": {}, "refresh_tokens": {}}
SLOW = 60


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server with a storage."""
    made = replace(setup, policies=POLICIES, services={SERVICE: "universal"}, settings=SETTINGS)
    with serving(tmp_path_factory.mktemp("server"), made) as running:
        yield running


@pytest.fixture(scope="module")
def visit(server: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the visitor found on all pages."""
    folder = tmp_path_factory.mktemp("v")
    (folder / "tmp").mkdir()
    words: list[str | Path] = [need("page-visitor"), need("chromium"), f"http://localhost:{server.port}"]
    words += ["ann", server.people["ann"]]
    output = run(words, environment=plain_environment(folder), folder=folder, seconds=480)
    assert output.ok, str(output)
    found: dict[str, Any] = json.loads(output.stdout)
    return found


@pytest.mark.real("page-visitor")
@pytest.mark.real("chromium")
def test_every_page_is_accessible(visit: dict[str, Any]) -> None:
    """axe finds nothing, light or dark, on a phone, a tablet and a desk; and no page is wider than its window."""
    assert (visit["violations"], visit["wide"]) == ([], [])
    assert visit["examined"] == 6 * 19 + 3


@pytest.mark.real("page-visitor")
@pytest.mark.real("chromium")
def test_every_page_is_small(visit: dict[str, Any]) -> None:
    """With its style sheet, at most 30 kB, however it is transferred."""
    assert len(visit["bytes"]) == 19
    assert {name: size for name, size in visit["bytes"].items() if not 0 < size <= 30_000} == {}


@pytest.mark.real("page-visitor")
@pytest.mark.real("chromium")
def test_the_keyboard_is_enough(visit: dict[str, Any]) -> None:
    """From the login to a key, its end and the logout. A reload makes no second key, and the way back shows nothing."""
    met = {name: value for name, value in visit["met"].items() if name not in {"change", "forms"}}
    assert met.pop("key").startswith("tknp_")
    assert met == {
        "cookies": [{"name": "tokenserver", "httpOnly": True, "sameSite": "Lax"}],
        "reloaded": "Sent before",
        "ended": "The access key has ended. Nobody can use it any more.",
        "left": "/login",
        "back": "Log in",
    }


@pytest.mark.real("page-visitor")
@pytest.mark.real("chromium")
def test_every_form_is_sent_by_the_keyboard(visit: dict[str, Any]) -> None:
    """In a browser that runs no script."""
    assert visit["met"]["forms"] == {
        "wrong password": "The user name or the password is wrong.",
        "wrong pattern": "No key was made. Correct the marked fields, then try again.",
        "what is wrong": "'[a]': a segment consists of a-z 0-9 . _ - and the wildcards * and **",
        "rename": "The access key has its new name.",
        "replace": "Your new key",
        "secret": "The new secret of ci",
        "replace secret": "The new secret of ci",
        "end secret": "The secret has ended. Nobody can use it any more.",
        "end login": "The login has ended.",
        "end others": "All other logins have ended.",
        "access": "Answer",
        "who can": "Who can pull web/app",
        "wrong code": "There is no login with this code. It may have expired: start it again in your terminal.",
        "question": "Did you start this login yourself, just now?",
        "device": "You confirmed the login. Go back to your terminal: it goes on in a few seconds.",
        "person": "ann",
        "end key of somebody": "The access key has ended. Nobody can use it any more.",
        "end login of somebody": "The login has ended.",
        "end logins of somebody": "All logins of this person have ended.",
        "file": "root.yaml",
        "change": "What would happen",
    }


@pytest.mark.real("page-visitor")
@pytest.mark.real("chromium")
def test_a_change_of_policies_is_tried(visit: dict[str, Any], server: TokenServer) -> None:
    """The playground says who loses what, and writes nothing."""
    assert "user:ann" in visit["met"]["change"]
    assert "push" in visit["met"]["change"]
    assert "role: writer" in (server.config.parent / "policies" / "root.yaml").read_text("utf-8")


def test_slow_forms_take_nothing_from_tokens(server: TokenServer) -> None:
    """While many forms of the login page arrive a byte at a time, tokens and other pages are answered."""
    form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000"
    head = f"POST /login HTTP/1.1\r\nHost: x\r\n{form}\r\n\r\n"
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(SLOW)]
    try:
        for one in held:
            one.sendall(head.encode() + b"a")
        own = OwnTime(server.daemon.pid)
        answers = [web.request(server.port, "GET", "/login") for _ in range(5)]
        ann = web.basic("ann", server.people["ann"])
        token = web.request(server.port, "GET", web.token_target(SERVICE, []), headers=ann)
        assert [one.status for one in (*answers, token)] == [200] * 6
        assert own.seconds < 5
        assert held[0].recv(4096).startswith(b"HTTP/1.1 408 ")
    finally:
        for one in held:
            one.close()


@pytest.mark.parametrize("length", ["65537", "9" * 30, "x"])
def test_a_large_form_is_not_read(server: TokenServer, length: str) -> None:
    """Its announced length is enough to refuse it, and the connection ends."""
    form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one:
        one.sendall(f"POST /login HTTP/1.1\r\nHost: x\r\n{form}\r\n\r\n".encode())
        answer = one.recv(65536)
    assert answer.split()[1] in {b"413", b"400"}
    assert b"\r\nset-cookie" not in answer.lower()


def test_forms_arrive_whole_and_in_chunks(server: TokenServer) -> None:
    """Both are read before a thread works on them."""
    body = b"username=ann&password=x"
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = "POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    for more, sent in ((f"Content-Length: {len(body)}", body), ("Transfer-Encoding: chunked", chunked)):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one:
            one.sendall(f"{head}{more}\r\n\r\n".encode() + sent)
            answer = b"".join(iter(lambda: one.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"Form refused" in answer
