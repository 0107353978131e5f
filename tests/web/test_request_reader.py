"""What an audit event says of a request that was refused before it was understood; and what is cached of others."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_web_server import PASSWORDS, Server

from tokenserver.errors import InvalidRequest
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import DEFAULT_LIMITS, ScopeRequest, mark_new
from tokenserver.web import request_reader
from tokenserver.web.parameters import BYTES_PER_FIELD, Parameters, max_body
from tokenserver.web.request_reader import MAX_ASKED, token_request, unparsed

MAX_FIELDS = max_body(DEFAULT_LIMITS) // BYTES_PER_FIELD
FIX = "; fix: ask for fewer scopes at a time, or raise limits.scope_bytes of the token server"
FORM = "application/x-www-form-urlencoded"
ANN = {"Authorization": "Basic " + base64.b64encode(f"ann:{PASSWORDS['ann']}".encode()).decode()}


def ask(server: Server, query: str, form: str | bytes | None = None, **headers: str) -> dict[str, Any]:
    """The audit event of one request, without what all have."""
    sent = {"User-Agent": "tests/1", **headers}
    if form is None:
        server.client.get(f"/token?{query}", headers=sent)
    else:
        server.client.post(f"/token?{query}", headers=sent, data=form, content_type=FORM)
    (event,) = server.audit.events
    assert event["outcome"] == "invalid_request"
    assert b"canary" not in b"".join(server.audit.raw)
    names = ("asked", "asked_omitted", "registry", "username", "client_id", "user_agent", "reason")
    return {name: event[name] for name in names if name in event}


PULL = "repository:public/a:pull"


def test_a_query_with_a_secret(server: Server) -> None:
    """Who asked for what is recorded, and the secret is not."""
    event = ask(server, f"service=reg&password=canary&client_id=ui&scope={PULL}&account=ann", **ANN)
    assert event == {
        "asked": [PULL],
        "registry": "reg",
        "username": "ann",
        "client_id": "ui",
        "user_agent": "tests/1",
        "reason": "password: secrets do not belong in a URL; fix: send them in the header or the form",
    }


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param("service=reg&service=other", "service: is given twice", id="repeated"),
        pytest.param("service=reg&x=%ff", "the parameters are not UTF-8", id="not UTF-8"),
        pytest.param("service=reg&" + "x=1&" * MAX_FIELDS, f"more than {MAX_FIELDS} parameters", id="many"),
        pytest.param("service=reg&explain=2", "explain: must be explain=1, in the query of a GET", id="explain"),
        pytest.param(
            "service=reg&x=" + "y" * 140_000,
            f"the query is longer than 131072 bytes{FIX}",
            id="long",
        ),
    ],
)
def test_a_query_that_breaks_a_rule(server: Server, query: str, reason: str) -> None:
    """The first registry that is named; what a repeated one means is anybody's guess."""
    event = ask(server, query, **ANN)
    assert (event["registry"], event["username"], event["reason"]) == ("reg", "ann", reason)


FORMS = [
    pytest.param({"grant_type": "password", "username": "ann"}, "password: is missing", id="no password"),
    pytest.param({"username": "ann", "password": "canary"}, "grant_type: is missing", id="no grant type"),
    pytest.param(
        [("grant_type", "password"), ("username", "ann"), ("password", "canary"), ("password", "canary")],
        "password: is given twice",
        id="twice",
    ),
    pytest.param(
        {"grant_type": "code", "code": "canary", "username": "ann"},
        "this grant_type is not supported; supported are password, refresh_token, token-exchange and device_code",
        id="another grant",
    ),
]


@pytest.mark.parametrize(("form", "reason"), FORMS)
def test_a_form_that_breaks_a_rule(server: Server, form: Any, reason: str) -> None:
    """The user name as typed in the form, and nothing of the password."""
    pairs = [*(form.items() if isinstance(form, dict) else form), ("service", "reg"), ("client_id", "ctr")]
    event = ask(server, "", urlencode([*pairs, ("scope", f"{PULL} repository:b:push")]))
    assert event == {
        "asked": [PULL, "repository:b:push"],
        "registry": "reg",
        "username": "ann",
        "client_id": "ctr",
        "user_agent": "tests/1",
        "reason": reason,
    }


def test_a_form_that_is_not_utf_8(server: Server) -> None:
    """What can be read of it."""
    event = ask(server, "", b"service=reg&username=z\xf6&password=canary")
    assert (event["registry"], event["username"]) == ("reg", "z\ufffd")


def test_a_parameter_in_both_places(server: Server) -> None:
    """The form comes first."""
    event = ask(server, "service=one", urlencode({"grant_type": "password", "service": "two", "username": "ann"}))
    assert (event["registry"], event["username"]) == ("two", "ann")
    assert event["reason"] == "service: is given in both the query and the form"


def test_an_unknown_registry_has_a_program_as_well(server: Server) -> None:
    """A request that was understood, and refused afterwards, says no less."""
    event = ask(server, f"service=none&client_id=docker&scope={PULL}", **ANN)
    expected = {"asked": [PULL], "registry": "none", "username": "ann", "client_id": "docker", "user_agent": "tests/1"}
    assert {name: event[name] for name in expected} == expected


def test_an_event_stays_small(server: Server) -> None:
    """However much was sent: few scopes, each of them cut, and the number of the rest."""
    scopes = " ".join(f"repository:{number}/{'x' * 500}:pull" for number in range(99))
    event = ask(server, f"service={'s' * 999}&client_id={'c' * 999}&explain=2&scope={scopes.replace(' ', '+')}")
    assert len(event["asked"]) == MAX_ASKED
    assert event["asked_omitted"] == 99 - MAX_ASKED
    assert {len(text) for text in (*event["asked"], event["registry"], event["client_id"])} == {257}


def test_plain_http_is_not_read(server: Server) -> None:
    """Its event says where it came from, and nothing else."""
    sent = {"User-Agent": "canary", **ANN}
    server.client.get("/token?service=canary", headers=sent, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    (event,) = server.audit.events
    assert (event["asked"], event["registry"], event["username"]) == ([], None, None)
    assert b"canary" not in b"".join(server.audit.raw)


@given(query=st.text(max_size=60), agent=st.text(max_size=20), header=st.text(max_size=40) | st.none())
def test_whatever_was_sent(query: str, agent: str, header: str | None) -> None:
    """Reading what is left never fails, and finds no password."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET", "QUERY_STRING": query + "&password=canary", "HTTP_USER_AGENT": agent,
    }  # fmt: skip
    if header is not None:
        environ["HTTP_AUTHORIZATION"] = header
    found = unparsed(environ, InvalidRequest("x"), request_id="1", client=None)
    assert "canary" not in repr(found)
    assert len(found.asked) <= MAX_ASKED


@pytest.mark.parametrize(
    ("length", "is_kept"), [pytest.param(4000, True, id="short"), pytest.param(4001, False, id="long")]
)
def test_long_scopes_are_not_cached(length: int, is_kept: bool) -> None:
    """So that the cache is bounded in bytes as well."""
    request_reader._cached_scopes.clear()
    parsed = [_scopes_of(("repository:a:pull", " " * (length - len("repository:a:pull")))) for _ in range(2)]
    assert (parsed[0] == parsed[1], parsed[0] is parsed[1]) == (True, is_kept)


def test_scopes_that_nobody_asked_for_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full cache tells what comes once from what is repeated; both mean the same."""
    monkeypatch.setattr(request_reader, "_cached_scopes", BoundedCache(1))
    _scopes_of(("repository:other:pull",))
    found = [_scopes_of(("repository:new:pull",)) for _ in range(3)]
    assert [one.is_repeated for one in found] == [False, True, True]
    assert found[0] == found[1]
    assert hash(found[0]) == hash(found[1])
    assert found[1] is found[2]


def test_a_query_remembers_no_scopes_that_nobody_asked_for_lately() -> None:
    """Else its later rulings would never be remembered."""
    parameters = Parameters({}, ("repository:a:pull",))
    once, lately = ScopeRequest(), ScopeRequest()
    mark_new(once)
    answers = iter([once, lately])
    found = [parameters.asked(DEFAULT_LIMITS, lambda *_: next(answers)) for _ in range(3)]
    assert [one is lately for one in found] == [False, True, True]


def _scopes_of(values: tuple[str, ...]) -> ScopeRequest:
    form = Parameters({"grant_type": "password", "username": "ann", "password": "x"}, values)
    return token_request({"REQUEST_METHOD": "POST"}, Parameters({}, ()), form, request_id="1", client=None).scopes
