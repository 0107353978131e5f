"""The protocol as bytes on a socket: what the contract promises to every client, and what no client may bring."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from harness import web
from harness.server import TokenServer

SERVICE = "registry2.test"
FLOOD = 120


def basic(raw: bytes) -> str:
    """A Basic header of these bytes."""
    return "Basic " + base64.b64encode(raw).decode()


UNUSABLE = [
    pytest.param("Basic !!!!", id="no base64"),
    pytest.param("Basic YW5uOng", id="no padding"),
    pytest.param("Basic", id="no value"),
    pytest.param("Basic ", id="empty value"),
    pytest.param(basic(b"ann"), id="no colon"),
    pytest.param(basic(b"\xff\xfe\xfa"), id="no colon, no UTF-8"),
    pytest.param(basic("ann:wröng".encode("latin-1")), id="Latin-1"),
    pytest.param(basic(b"ann:\x00"), id="NUL"),
    pytest.param(basic(b"ann:"), id="empty password"),
    pytest.param(basic(b":secret"), id="empty user"),
    pytest.param("Bearer x", id="Bearer"),
    pytest.param("Negotiate x", id="Negotiate"),
    pytest.param("Digest username=ann", id="Digest"),
    pytest.param(f"{basic(b'ann:x')}, {basic(b'ann:x')}", id="joined by a comma"),
    pytest.param("Basic\tYW5uOng=", id="a tab"),
    pytest.param("x", id="nonsense"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("value", UNUSABLE)
def test_an_unusable_header_is_never_anonymous(value: str, tokenserver: TokenServer) -> None:
    """Whoever brings credentials that cannot be read is refused, though anonymous clients are welcome."""
    target = web.token_target(SERVICE, ["repository:public/x:pull"])
    assert tokenserver.request("GET", target).status == 200
    answer = tokenserver.request("GET", target, headers={"Authorization": value})
    assert answer.status == 401
    assert "token" not in answer.json()


def test_two_authorization_headers_are_refused(tokenserver: TokenServer) -> None:
    """Neither of two headers wins, also where one of them is right."""
    good = web.basic("ann", tokenserver.people["ann"])["Authorization"]
    lines = [f"GET {web.token_target(SERVICE)} HTTP/1.1", "Host: localhost", f"Authorization: {good}"]
    received = web.raw(tokenserver.port, "\r\n".join([*lines, f"Authorization: {good}", "Connection: close", "", ""]))
    assert received.statuses == [401]


def test_empty_basic_credentials_are_none(tokenserver: TokenServer) -> None:
    """`Og==` is what some clients send for "nobody", so it is anonymous."""
    answer = tokenserver.request("GET", web.token_target(SERVICE), headers={"Authorization": "Basic Og=="})
    assert (answer.status, web.claims(answer.json()["token"])["sub"]) == (200, "")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_password_in_either_encoding(encoding: str, tokenserver: TokenServer) -> None:
    """Most clients send UTF-8; python-requests sends Latin-1, and is understood too."""
    value = basic(f"bob:{tokenserver.people['bob']}".encode(encoding))
    answer = tokenserver.request("GET", web.token_target(SERVICE), headers={"Authorization": value})
    assert (answer.status, web.claims(answer.json()["token"])["sub"]) == (200, "bob")


@pytest.mark.parametrize("path", ["/token", "/auth/token", "/auth"])
def test_the_answer_to_a_get(path: str, tokenserver: TokenServer) -> None:
    """200, both token fields alike, integers, a time with a zone, nothing cacheable, no refresh token."""
    target = web.token_target(SERVICE, ["repository:web/x:pull"], path) + "&offline_token=true"
    answer = tokenserver.request("GET", target, headers=web.basic("ann", tokenserver.people["ann"]))
    assert_is_token(answer, {"token", "access_token", "expires_in", "issued_at"})


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_the_answer_to_a_post(chunked: bool, tokenserver: TokenServer) -> None:
    """As for a GET, with the granted scope as one list; a body may come in chunks without a length."""
    form = {
        "grant_type": "password",
        "service": SERVICE,
        "client_id": "test",
        "username": "ann",
        "password": tokenserver.people["ann"],
        "scope": "repository:web/x:pull,push repository:secret/x:pull repository:web/y:pull",
    }
    body = web.form(**form)
    if chunked:
        sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
        headers = {**web.FORM, "Transfer-Encoding": "chunked"}
        answer = tokenserver.request("POST", "/token", headers=headers, body=sent)
    else:
        answer = tokenserver.request("POST", "/token", headers=web.FORM, body=body)
    assert_is_token(answer, {"token", "access_token", "expires_in", "issued_at", "scope"})
    granted = {scope.rpartition(":")[0]: set(scope.rpartition(":")[2].split(",")) for scope in scopes_of(answer)}
    assert granted == {"repository:web/x": {"pull", "push"}, "repository:web/y": {"pull"}}


def scopes_of(answer: web.Answer) -> list[str]:
    return str(answer.json()["scope"]).split(" ")


def assert_is_token(answer: web.Answer, fields: set[str]) -> None:
    """See that this is a successful answer in every detail that some client depends on."""
    assert answer.status == 200, answer
    body = answer.json()
    assert set(body) == fields
    assert body["token"] == body["access_token"]
    assert type(body["expires_in"]) is int
    assert body["expires_in"] >= 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["issued_at"])
    issued = datetime.fromisoformat(body["issued_at"])
    assert abs(datetime.now(UTC) - issued) < timedelta(seconds=5)
    assert answer.header("content-type") == "application/json"
    assert "no-store" in (answer.header("cache-control") or "")
    assert answer.header("x-request-id")


def test_refusals_are_the_same_byte_for_byte(tokenserver: TokenServer) -> None:
    """A wrong password and an unknown user differ in nothing but the request's id and the date."""
    answers = [tokenserver.ask(SERVICE, person=person) for person in ("ann-wrong", "nobody", "root")]
    known = tokenserver.request("GET", web.token_target(SERVICE), headers=web.basic("ann", "wrong"))
    seen = {
        (
            one.status,
            one.body,
            tuple(sorted((n, tuple(v)) for n, v in one.headers.items() if n not in ("x-request-id", "date"))),
        )
        for one in (*answers, known)
    }
    assert len(seen) == 1, seen
    assert known.status == 401
    challenge = known.header("www-authenticate") or ""
    assert re.fullmatch(r'Basic realm="[^"]+", charset="UTF-8"', challenge), challenge
    assert "no-store" in (known.header("cache-control") or "")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refusal_reads_well_in_every_client(method: str, tokenserver: TokenServer) -> None:
    """`errors` for crane, oras and buildkit, `details` for docker and containers/image, OAuth's fields for POST."""
    form = {"grant_type": "password", "service": SERVICE, "client_id": "t", "username": "ann", "password": "wrong"}
    answer = (
        tokenserver.request("POST", "/token", headers=web.FORM, body=web.form(**form))
        if method == "POST"
        else tokenserver.ask(SERVICE, person="nobody")
    )
    body = answer.json()
    assert answer.status == 401
    assert [set(error) for error in body["errors"]] == [{"code", "message", "detail"}]
    assert body["errors"][0]["code"] == "UNAUTHORIZED"
    assert body["details"] == body["errors"][0]["message"]
    oauth = {"error", "error_description"}
    assert set(body) - {"errors", "details"} == (oauth if method == "POST" else set())


@pytest.mark.parametrize("path", ["/token", "/token/", "/auth/token", "/auth"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_nothing_is_ever_redirected(method: str, path: str, tokenserver: TokenServer) -> None:
    """A redirected POST becomes a bare GET, which is an anonymous token: no answer has a Location."""
    answer = tokenserver.request(method, path)
    assert not 300 <= answer.status < 400
    assert "location" not in answer.headers
    assert answer.status < 500


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_named(method: str, tokenserver: TokenServer) -> None:
    """405 says what is allowed."""
    answer = tokenserver.request(method, "/token")
    assert answer.status == 405
    assert {"GET", "POST"} <= set((answer.header("allow") or "").replace(" ", "").split(","))


@pytest.mark.parametrize(
    ("headers", "absent"),
    [
        pytest.param({"Host": "evil.example"}, "evil", id="Host"),
        pytest.param({"X-Forwarded-Host": "evil.example"}, "evil", id="X-Forwarded-Host"),
        pytest.param({"X-Forwarded-Prefix": "/evil", "X-Script-Name": "/evil"}, "evil", id="prefix"),
        pytest.param({"Forwarded": "host=evil.example"}, "evil", id="Forwarded"),
    ],
)
def test_no_header_changes_what_the_server_calls_itself(
    headers: Mapping[str, str], absent: str, tokenserver: TokenServer
) -> None:
    """Issuer, realm and links come from the configuration."""
    for person in ("ann", "nobody"):
        sent = {**web.basic(person, tokenserver.people.get(person, "x")), **headers}
        answer = tokenserver.request("GET", web.token_target(SERVICE), headers=sent)
        token = answer.json().get("token")
        claims = json.dumps(web.claims(token)) if token else ""
        assert absent not in f"{answer.headers} {answer.body!r} {claims}"


def test_a_body_in_chunks_has_a_limit(tokenserver: TokenServer) -> None:
    """200 kB in chunks, without a length that would give it away: refused, and not read to the end."""
    part = b"x" * 10_000
    body = b"scope=" + b"".join([part] * 20)
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    answer = tokenserver.request("POST", "/token", headers={**web.FORM, "Transfer-Encoding": "chunked"}, body=sent)
    assert answer.status == 413


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(f"GET /token?x={'a' * 70_000} HTTP/1.1\r\n", 414, id="a line of 70 kB"),
        pytest.param(f"GET /token?x={'a' * 300_000} HTTP/1.1\r\n", 414, id="a line of 300 kB"),
        pytest.param(f"GET /token?{'&scope=repository:a:pull' * 10_000} HTTP/1.1\r\n", 414, id="10,000 scopes"),
        pytest.param("GET /token HTTP/1.1\r\n" + "X: y\r\n" * 1_000, 431, id="1,000 headers"),
    ],
)
def test_a_head_has_a_limit(head: str, status: int, tokenserver: TokenServer) -> None:
    """Refused at once, the connection ends, and no exchange comes of it (docs/design/threats.md#threat-41)."""
    mark = tokenserver.audit.mark()
    received = web.raw(tokenserver.port, f"{head}Host: localhost\r\n\r\n", seconds=10)
    assert received.statuses == [status]
    assert received.closed
    assert tokenserver.audit.events(mark, seconds=0) == []
    assert tokenserver.ask(SERVICE, person="ann").status == 200


def test_a_form_that_ends_early_is_no_login(tokenserver: TokenServer) -> None:
    """A client that goes away in the middle of its password has not typed a wrong one."""
    mark = tokenserver.audit.mark()
    body = web.form(grant_type="password", service=SERVICE, username="ann", password=tokenserver.people["ann"])
    head = "POST /token HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"{n}: {v}\r\n" for n, v in web.FORM.items())
    with socket.create_connection(("127.0.0.1", tokenserver.port), timeout=5) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-3])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 ")
    (event,) = tokenserver.audit.events(mark)
    assert (event.outcome, event.subject) == ("invalid_request", None)


def test_many_equal_wrong_logins(tokenserver: TokenServer) -> None:
    """A flood of them, a form and then a GET each as containerd sends them: refused or shed, and never an error."""
    mark = tokenserver.audit.mark()
    form = {"grant_type": "password", "service": SERVICE, "client_id": "t", "username": "eve", "password": "wrong"}

    def login(_: int) -> list[int]:
        post = tokenserver.request("POST", "/token", headers=web.FORM, body=web.form(**form))
        get = tokenserver.request("GET", web.token_target(SERVICE), headers=web.basic("eve", "wrong"))
        return [post.status, get.status]

    with ThreadPoolExecutor(40) as pool:
        counted = Counter(status for statuses in pool.map(login, range(FLOOD // 2)) for status in statuses)
    assert set(counted) <= {401, 429, 503}, counted
    assert counted.total() == FLOOD
    assert counted[401] > 0
    assert len(tokenserver.audit.events(mark, lambda events: len(events) >= FLOOD)) == FLOOD
    # Nobody else is kept out by it.
    assert tokenserver.ask(SERVICE, person="ann").status == 200
