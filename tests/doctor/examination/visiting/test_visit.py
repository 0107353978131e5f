"""Visits: what our server and a registry are asked, what each of them is sent, and what is never sent.

`e2e/test_doctor.py` and `e2e/test_doctor_hostile.py` visit real registries and hostile ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from doctor_worlds import ISSUER, SERVICE
from fake_registry import NO_ANSWER, URL, FakeSites, answered, asking, baseline, challenge, current_ring

from tokenserver.credentials import Secret
from tokenserver.doctor.examination.visiting import requests as module
from tokenserver.doctor.examination.visiting.requests import GivenToken, TimeLimit, Visit
from tokenserver.doctor.examination.visiting.visit import visit_registry, visit_server
from tokenserver.doctor.findings import Finding
from tokenserver.doctor.http import FailureReason, FetchFailure, Outcome
from tokenserver.identity import Identity, Kind
from tokenserver.scopes import Resource, Scope
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer

LOGIN = ("ann", Secret("correct horse"))
WEB = Scope(Resource("repository", "web/x"), frozenset({"pull", "push"}))


def visited(
    sites: FakeSites, monkeypatch: pytest.MonkeyPatch, *, skew: float | None = 0.0, **more: Any
) -> tuple[list[Finding], Secret | None]:
    """The findings of a visit to the registry, and the token that was used."""
    monkeypatch.setattr(module, "fetch", sites.fetch)
    values: dict[str, Any] = {"requests": asking(), "baseline": baseline(), "login": LOGIN, "wanted": (WEB,)} | more
    return visit_registry(Visit(URL, **values), skew)


def wrong(findings: list[Finding]) -> list[str]:
    """The checks that failed."""
    return [one.check for one in findings if one.ok is False]


def test_a_visit_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Challenge, login, token, and the wanted repository; the registry gets a token that can only read it."""
    sites = FakeSites()
    findings, token = visited(sites, monkeypatch)
    assert wrong(findings) == []
    assert {"registry", "login", "verdict", "pull"} <= {one.check for one in findings if one.ok}
    assert token is not None
    for claims in sites.claims_sent():
        assert (claims["aud"], claims["sub"]) == (SERVICE, "ann")
        assert [(one["name"], one["actions"]) for one in claims["access"]] == [("web/x", ["pull"])]
    assert token.reveal() not in sites.to_registry()


def test_the_password_goes_to_our_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only to the realm of our own configuration, whatever the registry's challenge says."""
    sites = FakeSites()
    visited(sites, monkeypatch)
    basic = [url for url, said in sites.sent if said is not None and said.startswith("Basic ")]
    assert len(basic) == 1
    assert basic[0].startswith("https://auth.example.com/token?service=registry.example.com&scope=repository")


@pytest.mark.parametrize(
    ("said", "check"),
    [
        pytest.param(challenge(realm="https://evil.example.com/token"), "realm", id="another realm"),
        pytest.param(challenge(service="other.example.com"), "service", id="another service"),
        pytest.param('Bearer realm="x', "challenge", id="no challenge"),
        pytest.param("Basic realm=x", "auth", id="another scheme"),
    ],
)
def test_a_registry_that_is_not_as_expected_gets_nothing(
    said: str, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No login is tried and no token is sent: the challenge is compared, and never followed."""
    sites = FakeSites(challenge=said)
    findings, token = visited(sites, monkeypatch)
    assert check in wrong(findings)
    assert token is None
    assert [url for url, authorization in sites.sent if authorization is not None] == []
    assert all(url.startswith(URL) for url, _ in sites.sent)


def test_a_registry_that_nobody_names_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--service` and without its address in the configuration, only the registry says who it is."""
    sites = FakeSites()
    unknown = baseline(registry=None)
    monkeypatch.setattr(module, "fetch", sites.fetch)
    elsewhere = Visit("https://registry.example.com.evil", unknown, asking(), login=LOGIN)
    sites.outcomes[f"{elsewhere.url}/v2/"] = answered(401, www_authenticate=challenge())
    findings, token = visit_registry(elsewhere, 0.0)
    assert token is None
    assert any("--service" in (one.fix or "") for one in findings)
    assert all(authorization is None for _, authorization in sites.sent)


@pytest.mark.parametrize(
    ("first", "check"),
    [
        pytest.param(NO_ANSWER, "registry", id="nothing listens"),
        pytest.param(answered(200), "auth", id="open to anyone"),
        pytest.param(answered(404), "registry", id="no registry"),
        pytest.param(answered(401), "auth", id="no challenge"),
    ],
)
def test_a_registry_that_does_not_ask_for_tokens(first: Outcome, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The visit ends with that."""
    sites = FakeSites(outcomes={f"{URL}/v2/": first})
    findings, token = visited(sites, monkeypatch)
    assert (wrong(findings), token, len(sites.sent)) == ([check], None, 1), findings


def test_a_registry_that_verifies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts a token that nobody signed; no real one is sent to it."""
    sites = FakeSites(accepts_anything=True)
    findings, token = visited(sites, monkeypatch)
    assert token is None
    assert any("invalid signature" in one.message for one in findings if one.ok is False)
    assert sites.to_registry() == []


def test_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The login fails, and the registry is still tried with an anonymous token, which allows nothing."""
    sites = FakeSites()
    findings, _ = visited(sites, monkeypatch, login=("ann", Secret("wrong battery")))
    assert wrong(findings) == ["login"]
    allowed = [claims["access"] for claims in sites.claims_sent()]
    assert allowed == [[]] * len(allowed) != []
    assert "wrong battery" not in str([*findings])


def test_a_registry_that_trusts_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rejection is diagnosed by probes that nobody signed, and the fix is about keys."""
    sites = FakeSites(ring=current_ring(5))
    findings, _ = visited(sites, monkeypatch)
    assert any(one.check == "verdict" and "rejects the token (401)" in one.message for one in findings)
    assert wrong(findings) != []
    unsigned = [said for _, said in sites.sent if said is not None and said.endswith("A" * 86)]
    assert len(unsigned) > 1


def test_clocks_that_differ_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that rejects our token because of that is not suspected of anything else."""
    sites = FakeSites(skew=7200.0, ring=current_ring(1))
    findings, _ = visited(sites, monkeypatch)
    assert wrong(findings)[0] == "clock"
    assert set(wrong(findings)) <= {"clock", "time", "key"}
    assert all(claims["exp"] < time.time() + 120 for claims in sites.claims_sent())


def test_the_verdict_counts_more_than_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `Date` of something else than the registry is no fault where the token is accepted."""
    findings, _ = visited(FakeSites(skew=7200.0), monkeypatch)
    assert wrong(findings) == []
    assert ["Date header may be that of a proxy" in one.message for one in findings if one.check == "clock"] == [True]


def test_a_clock_that_is_not_credible(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token is tried at a registry that claims to be days ahead."""
    sites = FakeSites(skew=3 * 86_400.0)
    findings, _ = visited(sites, monkeypatch)
    assert wrong(findings)[0] == "clock"
    assert sites.to_registry() == []
    assert any("because of the clocks" in one.message for one in findings)


def test_without_our_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is signed here is tried instead, and no password is sent anywhere."""
    sites = FakeSites()
    findings, token = visited(sites, monkeypatch, skew=None)
    assert wrong(findings) == []
    assert token is not None
    assert not any(said is not None and said.startswith("Basic") for _, said in sites.sent)


IsSilent = Callable[[str | None, str], bool]
STEPS: dict[str, tuple[IsSilent, str]] = {
    "the first request": (lambda said, _: said is None, "GET /v2/"),
    "junk": (lambda said, _: said is not None and said.endswith("A" * 86), "a token with an invalid signature"),
    "the login": (lambda said, _: said is not None and said.startswith("Basic"), "the login"),
    "our token": (lambda said, url: said is not None and "A" * 86 not in said and url.endswith("/v2/"), "a token that"),
    "a read": (lambda _, url: url.endswith("/tags/list"), "GET /v2/web/x/tags/list"),
}


@pytest.mark.parametrize("case", STEPS)
def test_the_step_that_is_not_answered(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the only fault, and nothing else is concluded or asked from then on."""
    is_silent, step = STEPS[case]
    sites = FakeSites()
    answers = sites.fetch

    def fetch(url: str, *, authorization: Secret | None = None, deadline: float, **more: Any) -> Outcome:
        said = None if authorization is None else authorization.reveal()
        if is_silent(said, url) and not (case == "the first request" and "auth." in url):
            requests.deadline = TimeLimit.in_(0)
            return FetchFailure(FailureReason.TIMEOUT, f"no answer in {deadline:.0f} s")
        assert deadline > 0
        return answers(url, authorization=authorization, **more)

    requests = asking()
    monkeypatch.setattr(sites, "fetch", fetch)
    findings, _ = visited(sites, monkeypatch, requests=requests)
    assert wrong(findings) == ["server" if case == "the login" else "registry"], findings
    (fault,) = [one for one in findings if one.ok is False]
    assert f"does not answer in time, to {step}" in fault.message
    assert "--timeout SECONDS" in (fault.fix or "")
    assert [one.check for one in findings if one.is_actionable] == [fault.check]


def test_silence_explains_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that rejects the token and then falls silent: the cause is not guessed."""
    sites = FakeSites(ring=current_ring(5))
    requests, answers = asking(), sites.fetch

    def fetch(url: str, *, authorization: Secret | None = None, **more: Any) -> Outcome:
        if authorization is not None and authorization.reveal() == "Bearer x x":
            requests.deadline = TimeLimit.in_(0)
            return FetchFailure(FailureReason.TIMEOUT, "no answer in 3 s")
        return answers(url, authorization=authorization, **more)

    monkeypatch.setattr(sites, "fetch", fetch)
    findings, _ = visited(sites, monkeypatch, requests=requests)
    assert wrong(findings) == ["registry"]
    assert "a malformed token" in next(one.message for one in findings if one.ok is False)


@pytest.mark.parametrize(("service", "is_sent"), [(SERVICE, True), ("other.example.com", False)])
def test_a_token_of_the_operator(service: str, is_sent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is presented as it is, but only to the registry that it is meant for."""
    sites = FakeSites()
    issuer = TokenIssuer(current_ring(), now=time.time, new_id=lambda: "id")
    registry = Registry(service, ISSUER, Compat.UNIVERSAL, 900)
    token = issuer.issue(Identity("ann", Kind.PASSWORD), registry, ()).text
    findings, used = visited(sites, monkeypatch, token=GivenToken.of(token.reveal()))
    assert used is not None
    assert used.reveal() == token.reveal()
    assert (token.reveal() in sites.to_registry()) is is_sent
    assert any("another audience" in one.message for one in findings) is not is_sent


@pytest.mark.parametrize(
    ("outcomes", "failed"),
    [
        pytest.param({}, [], id="well"),
        pytest.param({"/.well-known/jwks.json": NO_ANSWER}, ["server"], id="down"),
        pytest.param({"/.well-known/jwks.json": answered(200, {"keys": []})}, ["server"], id="other keys"),
        pytest.param({"/.well-known/jwks.json": answered(404)}, ["server"], id="something else"),
        pytest.param(
            {"/.well-known/jwks.json": answered(404), "/token": answered(400, {"errors": []}, x_request_id="1")},
            [],
            id="tokens alone",
        ),
        pytest.param({"/readyz": answered(503, {"parts": {"keys": "expired"}})}, ["ready"], id="not ready"),
    ],
)
def test_visit_server(outcomes: dict[str, Outcome], failed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own server, as clients reach it; without its keys there is no clock to compare."""
    sites = FakeSites(outcomes={f"https://auth.example.com{path}": one for path, one in outcomes.items()})
    monkeypatch.setattr(module, "fetch", sites.fetch)
    findings, skew = visit_server(baseline(), asking())
    assert wrong(findings) == failed
    assert (skew is None) is ("server" in failed)
    assert all(said is None for _, said in sites.sent)
