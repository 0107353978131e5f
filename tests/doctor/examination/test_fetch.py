"""Requests of the doctor: its name, and answers as its checks read them."""

from __future__ import annotations

import ssl

import pytest
from harness.misfits import Reply, impostor
from harness.processes import free_port

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.live import check_transport
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer
from tokenserver.runtime.http import fetch as bounded

PLAIN = ssl.create_default_context()


def test_an_answer() -> None:
    """Status, headers, body, and what the checks ask of it."""
    reply = Reply(401, (("WWW-Authenticate", "Basic x"), ("WWW-Authenticate", "Bearer y")), b"body")
    with impostor(reply) as server:
        found = fetch(f"http://localhost:{server.port}/x?y=z", context=PLAIN)
    assert isinstance(found, HttpAnswer)
    assert (found.status, found.body, found.skew, found.is_cut) == (401, b"body", None, False)
    assert (found.header("www-authenticate"), found.bearer(), found.header("none")) == ("Basic x", "Bearer y", None)


def test_redirects_are_not_followed() -> None:
    """They are answers, and the other server is never asked."""
    with impostor(Reply()) as other:
        reply = Reply(307, (("Location", f"http://localhost:{other.port}/"),))
        with impostor(reply) as server:
            outcome = fetch(f"http://localhost:{server.port}/", context=PLAIN, authorization=Secret("Basic eDp5"))
            assert isinstance(outcome, HttpAnswer)
            assert outcome.is_redirect
            assert server.authorizations == ["Basic eDp5"]
        assert other.authorizations == []


def test_a_large_body_says_so() -> None:
    """The checks see its beginning."""
    with impostor(Reply(200, (), b"x" * (bounded.MAX_BODY + 1))) as server:
        found = fetch(f"http://localhost:{server.port}/", context=PLAIN)
    assert isinstance(found, HttpAnswer)
    assert (len(found.body), found.is_cut) == (bounded.MAX_BODY, True)


def test_a_failure() -> None:
    """It stays what it is."""
    outcome = fetch(f"http://localhost:{free_port()}/", context=PLAIN, deadline=2)
    assert isinstance(outcome, FetchFailure)
    assert outcome.reason is FailureReason.REFUSED


def test_no_credential_leaves_this_machine_in_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding says what can be done."""
    monkeypatch.setattr(bounded, "_is_local_peer", lambda _: False)
    with impostor(Reply()) as server:
        url = f"http://localhost:{server.port}/"
        found = check_transport("registry", url, fetch(url, context=PLAIN, authorization=Secret("Bearer x")))
    assert found is not None
    assert (found.check, found.ok, found.is_actionable) == ("transport", None, True)
    assert server.authorizations == []
