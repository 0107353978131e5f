"""Checks of providers: each fault has the fix that removes it, and what a provider cannot say is no fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.doctor.checks.vouching.providers import (
    OurProvider,
    ProviderAnswers,
    check_provider,
    check_unreachable,
    check_unusable,
)
from tokenserver.doctor.findings import Finding, exit_code
from tokenserver.runtime.http.response import FailureReason, FetchFailure, HttpResponse

ISSUER, REDIRECT = "https://sso.example.com", "https://auth.example.com/login/callback/corp"
LOGOUT = "https://auth.example.com/logout/backchannel/corp"
OURS = OurProvider("corp", "t.yaml", ISSUER, "us", REDIRECT, LOGOUT, ("openid", "profile", "offline_access"), 30)


def answer(status: int, body: bytes = b"", *, skew: float | None = 0.0, **headers: str) -> HttpResponse:
    """An answer; names of headers are in lower case."""
    return HttpResponse(status, {name: (value,) for name, value in headers.items()}, body, skew)


KNOWN = answer(400, b'{"error": "invalid_grant"}')
GOOD = ProviderAnswers({"backchannel_logout_supported": True}, 2, answer(200), KNOWN)


def only_fault(found: list[Finding]) -> Finding:
    """The only finding that has a fix."""
    (fault,) = [one for one in found if one.is_actionable]
    return fault


def test_a_good_provider() -> None:
    """Everything passes; the URLs that the provider has to know are shown."""
    found = check_provider(OURS, GOOD)
    assert exit_code(found) == 0
    assert [(one.check, one.message, one.ours) for one in found] == [
        ("provider", f"corp: 2 keys of {ISSUER}", ISSUER),
        ("provider client", "corp: the provider knows this client and its secret", "us"),
        ("provider login", "corp: the provider takes the request of a login", REDIRECT),
        ("provider logout", f"corp: its URL for back-channel logout is {LOGOUT}", None),
    ]


REFUSED = FetchFailure(FailureReason.REFUSED, "Connection refused")


@pytest.mark.parametrize(
    ("changes", "check", "message", "fix"),
    [
        pytest.param(
            {"code": answer(401, b'{"error": "invalid_client"}')},
            "provider client",
            "does not accept this client and its secret: it answers invalid_client",
            "compare client_id and client_secret_file of corp in t.yaml with the client at the provider",
            id="secret",
        ),
        pytest.param(
            {"code": answer(400, b'{"error": "unauthorized_client"}'), "login": answer(400)},
            "provider client",
            "it answers unauthorized_client",
            "compare client_id and client_secret_file",
            id="client",
        ),
        pytest.param(
            {"code": answer(503, b'{"error": "temporarily_unavailable"}')},
            "provider client",
            "the token endpoint answers with status 503",
            "see the log of the provider",
            id="busy",
        ),
        pytest.param(
            {"code": answer(404, b"<html>")},
            "provider client",
            "the token endpoint answers with status 404 and no JSON",
            "see the log of the provider, or correct issuer of corp in t.yaml",
            id="page",
        ),
        pytest.param(
            {"code": REFUSED},
            "provider client",
            "the token endpoint of the provider does not answer: refused: Connection refused",
            "start the provider at sso.example.com",
            id="no token endpoint",
        ),
        pytest.param(
            {"login": REFUSED},
            "provider login",
            "the authorization endpoint of the provider does not answer",
            "start the provider at sso.example.com",
            id="no authorization endpoint",
        ),
        pytest.param(
            {"login": answer(400)},
            "provider login",
            "refuses the request of a login with status 400",
            f"register the redirect URI {REDIRECT} for the client us at the provider",
            id="redirect URI",
        ),
        pytest.param(
            {"login": answer(302, location=f"{REDIRECT}?error=invalid_scope&state=x")},
            "provider login",
            "answers the request of a login with the error invalid_scope",
            "at the provider, allow the client us the authorization code flow and its scopes",
            id="error",
        ),
        pytest.param(
            {"document": {"scopes_supported": ["openid", "profile"]}},
            "provider scopes",
            "does not list the scope offline_access, without which recheck has no effect",
            "at the provider, allow the scope offline_access, or leave out recheck of corp in t.yaml",
            id="offline_access",
        ),
        pytest.param(
            {"code": replace(KNOWN, skew=45.0)},
            "provider clock",
            "clock is +45 s against this machine's, and ID tokens from more than 30 s ahead are refused",
            "synchronize both clocks",
            id="ahead",
        ),
        pytest.param(
            {"code": replace(KNOWN, skew=-200.0)},
            "provider clock",
            "clock is -200 s against this machine's: its ID tokens expire that much earlier here",
            "synchronize both clocks",
            id="behind",
        ),
    ],
)
def test_faults(changes: Mapping[str, Any], check: str, message: str, fix: str) -> None:
    """One fault, with its fix."""
    found = only_fault(check_provider(OURS, replace(GOOD, **changes)))
    assert found.check == check
    assert message in found.message
    assert found.fix is not None
    assert found.fix.startswith(fix)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"login": answer(302, location=f"{ISSUER}/login?error=no")}, id="its own login page"),
        pytest.param({"login": answer(200)}, id="a page"),
        pytest.param({"document": {"scopes_supported": "openid"}}, id="no list"),
        pytest.param({"document": {"scopes_supported": ["offline_access"]}}, id="a short list"),
        pytest.param({"code": replace(KNOWN, skew=30.0)}, id="somewhat ahead"),
        pytest.param({"code": replace(KNOWN, skew=-90.0)}, id="somewhat behind"),
        pytest.param({"code": replace(KNOWN, skew=None), "login": answer(200, skew=None)}, id="no clock"),
        pytest.param({"code": answer(400, b'{"error": "invalid_request"}')}, id="another word for the code"),
    ],
)
def test_no_faults(changes: Mapping[str, Any]) -> None:
    """Nothing to fix."""
    assert exit_code(check_provider(OURS, replace(GOOD, **changes))) == 0


def test_a_public_client() -> None:
    """There is no secret to compare."""
    ours = replace(OURS, is_public=True)
    assert check_provider(ours, GOOD)[1].message == "corp: the provider knows this client"
    fault = only_fault(check_provider(ours, replace(GOOD, code=answer(401, b"{}"))))
    assert fault.fix == "compare client_id of corp in t.yaml with the client at the provider"


def test_no_back_channel_logout() -> None:
    """It is said, since people expect a logout to end everything."""
    assert check_provider(OURS, replace(GOOD, document={}))[-1].message.startswith("corp: the provider lists no")


@pytest.mark.parametrize(
    ("obstacle", "fix"),
    [
        (Obstacle(issuer="https://x"), "set issuer of corp in t.yaml to https://x, if people should log in there"),
        (Obstacle(issuer=""), "correct issuer of corp in t.yaml: it has to lead to the document of an OpenID provider"),
        (Obstacle("https://x/y", FailureReason.NAME), "correct issuer of corp in t.yaml, or the DNS of this machine"),
        (
            Obstacle("https://x/y", status=302),
            "correct issuer of corp in t.yaml: redirects such as that of https://x/y",
        ),
        (Obstacle("https://x/y", status=404), "correct issuer of corp in t.yaml: nothing is at https://x/y"),
        (Obstacle("https://x/y", status=500), "see the log of the provider, whose server answers so"),
        (Obstacle(), "correct issuer of corp in t.yaml: it has to lead to the document"),
    ],
)
def test_obstacles(obstacle: Obstacle, fix: str) -> None:
    """The reason, and what to do."""
    (found,) = check_unreachable(OURS, obstacle, "because")
    assert (found.check, found.ok, found.ours) == ("provider", False, ISSUER)
    assert found.message == "corp: the document or the keys of the provider cannot be fetched: because"
    assert found.fix is not None
    assert found.fix.startswith(fix)


def test_an_unusable_document() -> None:
    """The reason is that of the document."""
    (found,) = check_unusable(OURS, "the discovery document does not list S256 in x")
    assert found.message == "corp: the discovery document does not list S256 in x, so nobody can log in"
    assert found.fix is not None


@given(st.integers(100, 599), st.binary(max_size=200), st.text(max_size=100))
def test_any_answer(status: int, body: bytes, location: str) -> None:
    """Whatever a provider answers becomes findings, and a status of 401 is never taken for a client that it knows."""
    found = check_provider(OURS, replace(GOOD, code=answer(status, body), login=answer(status, location=location)))
    client = next(one for one in found if one.check == "provider client")
    assert not (client.ok and status in (401, 500))
