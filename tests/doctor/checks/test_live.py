"""Checks of live responses: each kind of failure has its own finding and its own fix."""

from __future__ import annotations

import json
from typing import Any

import pytest
from doctor_worlds import REALM, SERVICE, ours_of, ring_of
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.checks.live import (
    check_published,
    check_ready,
    check_realm_address,
    check_registry,
    check_token_answer,
    check_transport,
    check_verifies,
    place_of,
)
from tokenserver.doctor.checks.refusals import (
    explain_despite_files,
    explain_refusal,
    explain_zot_login,
    generation,
    is_key_known,
)
from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome
from tokenserver.keys.jwk import jwk_set

URL = "https://registry.example.com"
OURS = ours_of()
BEARER = 'Bearer realm="https://a/token",service="s"'


def answer(status: int = 200, body: Any = b"", **headers: str) -> HttpAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return HttpAnswer(status, found, content, 0.0)


@pytest.mark.parametrize(
    ("outcome", "check", "ok"),
    [
        pytest.param(answer(401, www_authenticate=BEARER), "registry", True, id="a challenge"),
        pytest.param(answer(200), "auth", False, id="open"),
        pytest.param(answer(401, www_authenticate='Basic realm="x"'), "auth", False, id="basic"),
        pytest.param(answer(401), "auth", False, id="no challenge"),
        pytest.param(answer(404), "registry", False, id="no registry"),
        pytest.param(answer(500), "registry", False, id="broken"),
        pytest.param(answer(307, location="/x"), "redirect", False, id="redirect"),
        pytest.param(answer(400, b"Client sent an HTTP request to an HTTPS server.\n"), "scheme", False, id="Go's TLS"),
        pytest.param(answer(400, b"The plain HTTP request was sent to HTTPS port"), "scheme", False, id="nginx's TLS"),
        pytest.param(answer(400), "registry", False, id="another 400"),
        pytest.param(FetchFailure(FailureReason.NAME, "x"), "registry", False, id="no name"),
        pytest.param(FetchFailure(FailureReason.REFUSED, "x"), "registry", False, id="refused"),
        pytest.param(FetchFailure(FailureReason.TIMEOUT, "x"), "registry", False, id="silent"),
        pytest.param(FetchFailure(FailureReason.CLOSED, "x"), "registry", False, id="closed"),
        pytest.param(FetchFailure(FailureReason.OTHER, "x"), "registry", False, id="other"),
        pytest.param(FetchFailure(FailureReason.CERTIFICATE, "expired"), "tls", False, id="certificate"),
        pytest.param(FetchFailure(FailureReason.TLS, "x"), "tls", False, id="TLS"),
        pytest.param(FetchFailure(FailureReason.PLAIN, "x"), "scheme", False, id="no TLS"),
    ],
)
def test_a_registrys_first_answer(outcome: Outcome, check: str, ok: bool) -> None:
    """Exactly one finding, with a fix if it is a fault."""
    found = check_registry(URL, outcome, OURS, OURS.registries[0])
    assert (found.check, found.ok, found.is_actionable) == (check, ok, not ok)


@pytest.mark.parametrize(
    ("compat", "generation"),
    [
        ("universal", "distribution3"),
        ("distribution2", "distribution2"),
        ("distribution3", "distribution3"),
        ("jwks", "distribution3"),
        ("zot", "zot"),
    ],
)
def test_the_command_fits_the_registry(compat: str, generation: str) -> None:
    """What it prints is for a registry of that kind."""
    ours = ours_of(compat=compat)
    found = check_registry(URL, answer(200), ours, ours.registries[0])
    assert f"`tokenserver registry-config {SERVICE} --for {generation}`" in str(found.fix)
    unknown = check_registry(URL, answer(200), ours, None)
    assert "`tokenserver registry-config SERVICE --for distribution3`" in str(unknown.fix)
    assert place_of(compat) == ("zot's http.auth.bearer" if compat == "zot" else "the registry's auth.token")


@pytest.mark.parametrize(
    ("outcome", "is_open"),
    [
        pytest.param(answer(200), True, id="taken"),
        pytest.param(answer(401), False, id="refused"),
        pytest.param(answer(307, location="/x"), False, id="redirected"),
        pytest.param(answer(500), False, id="broken"),
        pytest.param(FetchFailure(FailureReason.CLOSED, ""), False, id="no answer"),
    ],
)
def test_a_registry_that_looks_at_no_signature(outcome: Outcome, is_open: bool) -> None:
    """It lets in everybody."""
    found = check_verifies(outcome, OURS, OURS.registries[0])
    assert (found is not None and found.is_open) is is_open


@pytest.mark.parametrize(
    ("url", "outcome", "fix"),
    [
        pytest.param(
            URL, FetchFailure(FailureReason.PLAIN, ""), "write http://registry.example.com", id="https at http"
        ),
        pytest.param("http://a:1/v2/", FetchFailure(FailureReason.CLOSED, ""), "write https://a:1", id="http at https"),
        pytest.param(URL, FetchFailure(FailureReason.CLOSED, ""), "see its log", id="closed"),
        pytest.param(
            URL, FetchFailure(FailureReason.CERTIFICATE, "Hostname mismatch, x"), "use the name that", id="name"
        ),
        pytest.param(
            URL, FetchFailure(FailureReason.CERTIFICATE, "IP address mismatch, x"), "use the name that", id="address"
        ),
        pytest.param(URL, FetchFailure(FailureReason.CERTIFICATE, "self-signed"), "by --ca-file", id="authority"),
        pytest.param("http://a/v2/", FetchFailure(FailureReason.EXPOSED, ""), "use https there", id="plain text"),
        pytest.param(f"{URL}/a", answer(301, location="https://b/c"), "everywhere: https://b/c", id="redirect"),
        pytest.param(f"{URL}/a", answer(301), f"everywhere: {URL}/a", id="a redirect to nowhere"),
        pytest.param(f"{URL}/a", answer(301, location="http://[x"), "everywhere: http://[x", id="a redirect to no URL"),
    ],
)
def test_fixes_of_the_transport(url: str, outcome: Outcome, fix: str) -> None:
    """The fix has the right URL."""
    found = check_transport("registry", url, outcome)
    assert found is not None
    assert fix in str(found.fix)


def test_a_healthy_transport_has_no_finding() -> None:
    """Any final answer will do."""
    assert check_transport("registry", URL, answer(401)) is None


@pytest.mark.parametrize(
    ("realm", "is_own"),
    [
        pytest.param("https://registry.example.com/auth/token", True, id="its own host"),
        pytest.param("http://registry.example.com/auth/token", True, id="by another scheme"),
        pytest.param("https://registry.example.com/token", False, id="another path"),
        pytest.param(REALM, False, id="ours"),
        pytest.param("https://auth.example.com/auth/token", False, id="ours by another path"),
        pytest.param("http://[x/auth/token", False, id="no URL"),
    ],
)
def test_autoredirect_from_outside(realm: str, is_own: bool) -> None:
    """The registry announces itself."""
    found = check_realm_address(realm, URL, ours_of(), "there")
    assert (found is not None) == is_own


def test_autoredirect_to_a_host_that_is_ours() -> None:
    """One host for both, a proxy in front: that is right."""
    assert (
        check_realm_address("https://auth.example.com/auth/token", "https://auth.example.com", ours_of(), "x") is None
    )


@pytest.mark.parametrize(
    ("outcome", "ok", "message"),
    [
        pytest.param(answer(200, jwk_set(ring_of()).encode()), True, "with the keys on this disk", id="ours"),
        pytest.param(answer(200, jwk_set(ring_of(number=7)).encode()), False, "has different keys", id="other keys"),
        pytest.param(answer(200, {"keys": [1, {"kid": 1}]}), False, "has different keys", id="strange keys"),
        pytest.param(answer(200, b"<html>"), False, "not lead to a tokenserver", id="a web page"),
        pytest.param(answer(404, {"keys": []}), False, "not lead to a tokenserver", id="not found"),
        pytest.param(answer(301, location="https://x/"), False, "redirects", id="redirect"),
        pytest.param(FetchFailure(FailureReason.REFUSED, ""), False, "nothing listens", id="down"),
    ],
)
def test_our_own_server(outcome: Outcome, ok: bool, message: str) -> None:
    """It answers, and it is the one of these keys."""
    found = check_published(outcome, ours_of())
    assert (found.ok, message in found.message) == (ok, True)


@pytest.mark.parametrize(
    ("outcome", "with_login", "check", "ok", "token"),
    [
        pytest.param(answer(200, {"token": "t"}), False, "login", True, "t", id="a token"),
        pytest.param(answer(200, {"token": 1}), False, "login", False, None, id="no token"),
        pytest.param(answer(401, {"details": "d"}), False, "login", None, None, id="no anonymous access"),
        pytest.param(answer(401, {"details": "d"}), True, "login", False, None, id="wrong password"),
        pytest.param(answer(400, {"details": "service"}), True, "login", False, None, id="unknown service"),
        pytest.param(answer(400, {"details": "service: is missing"}), True, "proxy", False, None, id="no query"),
        pytest.param(answer(429), True, "login", False, None, id="throttled"),
        pytest.param(answer(503), True, "login", False, None, id="overloaded"),
        pytest.param(answer(404, b"[]"), True, "login", False, None, id="elsewhere"),
        pytest.param(answer(308, location="/token/"), True, "redirect", False, None, id="redirect"),
        pytest.param(FetchFailure(FailureReason.TIMEOUT, ""), True, "server", False, None, id="silent"),
    ],
)
def test_the_token_endpoint(outcome: Outcome, with_login: bool, check: str, ok: bool | None, token: str | None) -> None:
    """A token, or what is in its way."""
    found, text = check_token_answer(outcome, ours_of(), with_login=with_login)
    assert (found.check, found.ok, text) == (check, ok, token)


@pytest.mark.parametrize(
    ("outcome", "count"),
    [
        pytest.param(answer(200, {"parts": {"keys": "ok"}}), 0, id="ready"),
        pytest.param(answer(503, {"parts": {"keys": "x", "corp": "y", "files": "ok"}}), 2, id="two parts are not"),
        pytest.param(answer(503, b"x"), 0, id="no JSON"),
        pytest.param(answer(404), 0, id="no such page"),
        pytest.param(FetchFailure(FailureReason.CLOSED, ""), 0, id="no answer"),
    ],
)
def test_readiness(outcome: Outcome, count: int) -> None:
    """Each part that is not well is a finding."""
    assert [one.ok for one in check_ready(outcome, OURS)] == [False] * count


@pytest.mark.parametrize(
    ("notes", "messages"),
    [
        pytest.param({"configuration": "x.yaml has changed (issuer)"}, ["x.yaml has changed (issuer)"], id="pending"),
        pytest.param({"throttle": "alone"}, [], id="another note"),
        pytest.param({}, [], id="none"),
        pytest.param([], [], id="no notes"),
        pytest.param({"configuration": 7}, [], id="no text"),
    ],
)
def test_a_configuration_that_is_not_in_force(notes: object, messages: list[str]) -> None:
    """A warning with what the server says about it, and what to do."""
    found = check_ready(answer(200, {"parts": {"keys": "ok"}, "notes": notes}), OURS)
    assert [one.message.removeprefix("not what the server runs with: ") for one in found] == messages
    assert all(one.ok is None and one.is_actionable and "restart" in (one.fix or "") for one in found)


# --- what refusals give away -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "is_known", "kind"),
    [
        pytest.param(answer(401, www_authenticate=BEARER), True, RegistryKind.DISTRIBUTION2, id="no word"),
        pytest.param(
            answer(401, www_authenticate=BEARER + ',error="invalid_token"'),
            False,
            RegistryKind.DISTRIBUTION3,
            id="a word",
        ),
        pytest.param(answer(401), False, RegistryKind.ZOT, id="no challenge"),
        pytest.param(answer(200), False, None, id="taken"),
        pytest.param(FetchFailure(FailureReason.CLOSED, ""), False, None, id="no answer"),
    ],
)
def test_oracles(outcome: Outcome, is_known: bool, kind: RegistryKind | None) -> None:
    """One answer, read by two questions."""
    assert is_key_known(outcome) is is_known
    assert generation(outcome) is kind


@pytest.mark.parametrize(
    ("kind", "known_by", "compat", "check", "fix"),
    [
        pytest.param(RegistryKind.DISTRIBUTION3, {"ES256"}, "universal", "issuer", "set issuer to auth", id="issuer"),
        pytest.param(RegistryKind.DISTRIBUTION3, {"RS256"}, "universal", "algorithm", "add ES256", id="algorithm"),
        pytest.param(RegistryKind.DISTRIBUTION3, set(), "universal", "rootcertbundle", "/ca.pem", id="the CA"),
        pytest.param(
            RegistryKind.DISTRIBUTION3, set(), "distribution3", "rootcertbundle", "registry-config", id="the leaf"
        ),
        pytest.param(RegistryKind.DISTRIBUTION3, set(), "jwks", "jwks", "/.well-known/jwks.json", id="the jwks"),
        pytest.param(RegistryKind.DISTRIBUTION2, set(), "universal", "trust or issuer", "--registry-config", id="2.8"),
        pytest.param(None, set(), "distribution2", "trust or issuer", "--registry-config", id="unknown"),
        pytest.param(RegistryKind.ZOT, set(), "universal", "cert", "--for zot", id="zot"),
        pytest.param(None, {"ES256"}, "zot", "cert", "--for zot", id="meant for zot"),
    ],
)
def test_why_a_right_token_is_refused(
    kind: RegistryKind | None, known_by: set[str], compat: str, check: str, fix: str
) -> None:
    """What is left, when audience and times fit."""
    ours = ours_of(compat=compat)
    found = explain_refusal(kind, frozenset(known_by), ours, ours.registries[0], URL)
    assert (found.check, found.ok, fix in str(found.fix)) == (check, False, True)


def test_zot_says_what_access_it_misses() -> None:
    """With a challenge it is the access, without one the key; other registries are not judged by that."""
    zot, other = (ours_of(compat=compat).registries[0] for compat in ("zot", "universal"))
    found = explain_zot_login(answer(401, www_authenticate=BEARER), zot)
    assert found is not None
    assert (found.check, found.ok) == ("access", False)
    assert explain_zot_login(answer(401), zot) is None
    assert explain_zot_login(answer(401, www_authenticate=BEARER), other) is None


def test_a_right_configuration_that_does_not_run() -> None:
    """It has to be restarted."""
    found = explain_despite_files(ours_of().registries[0], "config.yml:3")
    assert (found.check, found.theirs) == ("restart", "config.yml:3")


_HEADERS = st.dictionaries(
    st.sampled_from(["www-authenticate", "location", "date"]), st.tuples(st.text(max_size=40)), max_size=3
)


@given(status=st.integers(100, 599), headers=_HEADERS, body=st.binary(max_size=60))
def test_any_answer_is_judged(status: int, headers: dict[str, tuple[str]], body: bytes) -> None:
    """Any response gives a finding and never an exception."""
    unknown_keys = HttpAnswer(status, headers, body, None)
    ours = ours_of()
    found = [
        check_registry(URL, unknown_keys, ours, ours.registries[0]),
        check_published(unknown_keys, ours),
        check_token_answer(unknown_keys, ours, with_login=True)[0],
        *check_ready(unknown_keys, ours),
    ]
    assert all(one.message.isprintable() for one in found)
    assert check_published(unknown_keys, ours).ok is False


def test_an_authorization_that_was_not_sent() -> None:
    """A zot that complains of a token that nobody sent has a proxy in front of it."""
    outcome = HttpAnswer(401, {}, b'{"errors":[{"code":"UNSUPPORTED"}]}', None)
    found = check_registry(URL, outcome, OURS, OURS.registries[0])
    assert (found.check, found.ok) == ("proxy", False)
    assert "an Authorization that was not sent" in found.message


def test_a_login_page_is_neither() -> None:
    """It is the proxy's, at the registry and at the token endpoint."""
    page = HttpAnswer(200, {"content-type": ("text/html",)}, b"<html>", None)
    assert check_registry(URL, page, OURS, OURS.registries[0]).check == "proxy"
    finding, token = check_token_answer(page, OURS, with_login=True)
    assert (finding.check, finding.ok, token) == ("proxy", False, None)
