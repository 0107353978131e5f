"""Examination of a live registry: the steps of a client, and a diagnosis if the registry rejects the token.

The registry's challenge is compared and never followed: credentials only go to our own token endpoint, and the
registry only gets a probe token with the least access possible (`probe`).
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

from tokenserver.credentials import Secret
from tokenserver.doctor.challenge import UnreadableChallenge, parse_challenge
from tokenserver.doctor.checks.answerer import (
    check_answerer,
    check_login_seen,
    check_only_tokens,
    check_replicas,
    check_token_seen,
)
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
from tokenserver.doctor.checks.refusals import explain_other_way
from tokenserver.doctor.checks.setup import check_realm, check_service, find_registry
from tokenserver.doctor.checks.token import check_clock, outvoted_clock
from tokenserver.doctor.checks.token_size import explain_too_large
from tokenserver.doctor.commands import explain_access
from tokenserver.doctor.examination.token import Baseline, examine_token
from tokenserver.doctor.examination.visiting.probe import Probes, is_meant_for
from tokenserver.doctor.examination.visiting.refusal import diagnose_refusal, junk
from tokenserver.doctor.examination.visiting.requests import GivenToken, Requests, Visit
from tokenserver.doctor.examination.visiting.token_size import examine_token_size
from tokenserver.doctor.examination.visiting.trial import try_out
from tokenserver.doctor.facts import OurRegistry
from tokenserver.doctor.findings import Finding, failed, note, passed
from tokenserver.doctor.http import HttpAnswer, Outcome
from tokenserver.doctor.identification import check_asked_scopes, identify
from tokenserver.doctor.token import UnreadableToken
from tokenserver.scopes import in_order

_CREDIBLE = 86_400.0
"""Seconds by which a clock may differ for a token to be tried: one that claims more may want a token for that time."""

_PRESENTATIONS = 3
"""How often the token is presented: behind one address there may be replicas, one of which differs."""

_RIGHT = "a token that is right"

CATALOG = ("registry:catalog:*",)
"""zot up to 2.1.2 requires access to its catalog even for a login."""


def visit_server(baseline: Baseline, requests: Requests) -> tuple[list[Finding], float | None]:
    """Check our own server as clients reach it; also returns its clock skew against this machine, in seconds."""
    ours = baseline.ours
    outcome = requests.send("the published keys", ours.jwks_url)
    found = [check_published(outcome, ours)]
    if found[0].ok is False and isinstance(outcome, HttpAnswer):
        endpoint = requests.send("the token endpoint", ours.realm)
        if (alone := check_only_tokens(endpoint, outcome, ours)) is not None:
            return [alone], endpoint.skew if isinstance(endpoint, HttpAnswer) else None
    if found[0].ok is False:
        return found, None
    found += check_ready(requests.send("its readiness", f"{ours.url}/readyz"), ours)
    return found, outcome.skew if isinstance(outcome, HttpAnswer) else None


def visit_registry(visit: Visit, server_skew: float | None) -> tuple[list[Finding], Secret | None]:
    """Go through every step of a client and of the registry's verifier; also returns the token that was used.

    Unless the registry is identified and its challenge is as expected, no login is tried and no token is sent. A step
    that is not answered by the deadline is a finding, and the last one.

    `server_skew` is how far the token server's clock is ahead of this machine's; None if it did not answer.
    """
    found, token = _visit_registry(visit, server_skew)
    late = visit.requests.unanswered
    if late is not None and not any(one.theirs == late.detail for one in found):
        silent = check_transport("registry", visit.url, late)
        found += [] if silent is None else [silent]
    return found, token


def _visit_registry(visit: Visit, server_skew: float | None) -> tuple[list[Finding], Secret | None]:
    ours, url = visit.baseline.ours, visit.url
    first = visit.requests.send("GET /v2/", f"{url}/v2/")
    guess = visit.baseline.registry or identify(ours, None, url, "").registry or find_registry(ours, None, url)
    found = [check_registry(url, first, ours, guess)]
    if visit.baseline.files is not None and found[0].check == "auth":
        found = [explain_other_way(found[0], visit.baseline.files.setup)]
    challenge_text = first.bearer() if isinstance(first, HttpAnswer) else None
    if found[0].ok is False or challenge_text is None or not isinstance(first, HttpAnswer):
        return found, None
    place = place_of("" if guess is None else guess.compat)
    try:
        challenge = parse_challenge(challenge_text)
    except UnreadableChallenge as error:
        fix = f"set realm and service in {place}"
        return [*found, failed("challenge", f"the registry's challenge {error}", fix, theirs=challenge_text)], None
    identified = identify(ours, visit.baseline.registry, url, challenge.service)
    registry = identified.registry
    found += _check_challenge(visit, challenge.realm, place)
    meant = registry or visit.baseline.registry or find_registry(ours, challenge.service, url)
    found.append(check_service(challenge.service or None, ours, meant, place))
    found += check_asked_scopes(challenge.scopes.scopes, visit.wanted)
    if identified.why is not None and not any(one.ok is False for one in found):
        found.append(identified.why)
    if registry is None or any(one.ok is False for one in found):
        return [*found, note("verdict", "so no login was tried, and no token was sent to the registry")], None
    registry = registry.called(challenge.service)
    baseline = replace(visit.baseline, registry=registry, at=_time_at(first))
    tried, token = _visit_ours(replace(visit, baseline=baseline), registry, first, server_skew)
    return found + tried, token


def _visit_ours(
    visit: Visit, registry: OurRegistry, first: HttpAnswer, server_skew: float | None
) -> tuple[list[Finding], Secret | None]:
    """The second half of the visit, once the registry is identified: clocks, login, token."""
    answered_junk = visit.send("a token with an invalid signature", "/v2/", junk())
    if visit.requests.is_late():
        return [], None
    unseen = check_verifies(answered_junk, visit.baseline.ours, registry)
    unseen = unseen or check_token_seen(answered_junk, is_zot=registry.compat == "zot")
    if unseen is not None:
        return [unseen], None
    whose = "the token server's" if server_skew is not None else "ours"
    clock = check_clock(_difference(first, server_skew), registry.lifetime, whose=whose)
    is_off = any(one.ok is False for one in clock)
    skew = (server_skew or 0) if first.skew is None or is_off else first.skew
    found: list[Finding] = []
    given, judged = visit.token, []
    if given is None:
        more = CATALOG if registry.compat == "zot" else ()
        found, given = _get_token(visit, registry.service, server_skew, more=more)
        if given is not None and visit.login is not None:
            lost = check_login_seen(given.opened.claims, visit.baseline.ours.realm)
            if lost is not None:
                return [*clock, *found, lost], given.text
        if visit.requests.is_late():
            return [*clock, *found], None
    used = None if given is None else given.text
    if given is not None:
        judged = examine_token(given.opened, visit.baseline, visit.wanted, service=registry.service)
        found += judged
    if visit.token is not None and not is_meant_for(visit.token, registry):
        return [*clock, *found, note("verdict", "the token is for another audience, so it was not sent")], used
    if is_off and abs(_difference(first, server_skew) or 0) > _CREDIBLE:
        return [*clock, *found, note("verdict", "no token was tried because of the clocks")], used
    probes = Probes(visit.baseline.ring, registry, skew, given, visit.wanted)
    has_fault = any(one.ok is False for one in (*judged, *clock))
    tried, token = _at_the_registry(visit, probes, answered_junk, is_explained=has_fault)
    if any(one.check == "verdict" and one.ok for one in tried):
        clock = [outvoted_clock(one) for one in clock] if is_off else clock
        refuted = ({"time", "key"} if is_off else set()) | ({"key", "issuer"} if visit.baseline.files else set())
        found = [one for one in found if one.check not in refuted or one.ok is not False]
    return [*clock, *found, *tried], used or token


def _at_the_registry(
    visit: Visit, probes: Probes, answered_junk: Outcome, *, is_explained: bool
) -> tuple[list[Finding], Secret]:
    """Present a token to the registry, and find out why it is rejected unless that `is_explained` already."""
    registry, has_access = probes.registry, probes.given is not None
    token = probes.least() if visit.token is None else visit.token.text
    tried, refused = _present(visit, token, has_access=has_access)
    if visit.token is None and refused is not None and registry.compat == "zot" and refused.bearer() is not None:
        token = probes.least(with_catalog=True)
        tried, refused = _present(visit, token, has_access=has_access)
    is_faulty = any(one.ok is False for one in tried)
    if refused is not None:
        more = [] if is_explained or is_faulty else diagnose_refusal(visit, registry, token, refused, probes)
        return [*tried, *more], token
    if is_faulty:
        return tried, token
    tried += examine_token_size(
        lambda claims: visit.send("a large token", "/v2/", junk(claims), is_optional=True), answered_junk
    )
    for trial in visit.trials:
        allowed = probes.for_trial(trial) if visit.token is None else visit.token.text
        tried += [] if allowed is None else try_out(visit, trial, allowed, probes.to_cancel(trial))
    return tried, token


def _check_challenge(visit: Visit, realm: str, place: str) -> list[Finding]:
    redirected = check_realm_address(realm, visit.url, visit.baseline.ours, place)
    if redirected is not None:
        return [redirected]
    parts = urlsplit(visit.url)
    return check_realm(realm, visit.baseline.ours, place, registry_host=parts.netloc, is_https=parts.scheme == "https")


def _get_token(
    visit: Visit, service: str, server_skew: float | None, *, more: tuple[str, ...]
) -> tuple[list[Finding], GivenToken | None]:
    """Request a token from our server as a client would; `more` are extra scopes that may be denied."""
    ours = visit.baseline.ours
    if server_skew is None:
        return [note("login", "the token server did not answer, so a token signed here is tried")], None
    query = urlencode([("service", service), *(("scope", str(scope)) for scope in (*visit.wanted, *more))])
    sent = None
    if visit.login is not None:
        user, password = visit.login
        pair = f"{user}:{password.reveal()}".encode()
        sent = Secret("Basic " + base64.b64encode(pair).decode("ascii"))
    outcome = visit.requests.send("the login", f"{ours.realm}?{query}", authorization=sent)
    finding, text = check_token_answer(outcome, ours, with_login=visit.login is not None)
    if text is None:
        return [finding], None
    try:
        return [finding], GivenToken.of(text)
    except UnreadableToken as error:
        fix = "check that server.url leads to our server"
        return [finding, failed("token", f"the server's response {error}", fix)], None


def _present(visit: Visit, token: Secret, *, has_access: bool) -> tuple[list[Finding], HttpAnswer | None]:
    """Present the token to the registry; also returns the response if it was rejected."""
    outcome = visit.send(_RIGHT, "/v2/", token)
    fault = check_transport("registry", visit.url, outcome)
    if fault is not None or not isinstance(outcome, HttpAnswer):
        return ([] if fault is None else [fault]), None
    too_large = explain_too_large(outcome)
    if too_large is not None:
        return [too_large], None
    again = [visit.send(_RIGHT, "/v2/", token) for _ in range(_PRESENTATIONS - 1) if visit.token is None]
    uneven = check_replicas([one.status for one in (outcome, *again) if isinstance(one, HttpAnswer)])
    if uneven is not None:
        return [uneven], None
    if outcome.status >= 400:  # zot 1.4 answers 500 to a malformed token
        said = outcome.bearer() or str(outcome.status)
        return [note("verdict", f"the registry rejects the token ({outcome.status})", theirs=said)], outcome
    opened = _try_access(visit, token) if has_access else []
    return [*opened, passed("verdict", "the registry accepts the token", theirs=str(outcome.status))], None


def _try_access(visit: Visit, token: Secret) -> list[Finding]:
    """Check that the registry lets the token pull the wanted repositories. Reading changes nothing there."""
    found = []
    for scope in visit.wanted:
        if scope.resource.type != "repository" or "pull" not in scope.actions:
            continue
        target = f"/v2/{scope.resource.name}/tags/list"
        outcome = visit.send(f"GET {target}", target, token)
        if not isinstance(outcome, HttpAnswer):
            continue
        if outcome.status >= 400 and (proxy := check_answerer(outcome, target)) is not None:
            found.append(proxy)
            continue
        name = f"{scope.resource}:{','.join(in_order(scope.actions))}"
        if outcome.status in (401, 403, 500):
            message = f"the registry does not let the token pull {scope.resource.name}"
            user = visit.login[0] if visit.login is not None else None
            command = explain_access(visit.baseline.ours, visit.baseline.registry, scope, user)
            fix = f"see the finding about access; to see the rule: {command}"
            found.append(failed("pull", message, fix, ours=name, theirs=outcome.bearer() or str(outcome.status)))
        else:
            found.append(passed("pull", f"the token can pull {scope.resource.name}", theirs=str(outcome.status)))
    return found


def _time_at(registry: HttpAnswer) -> datetime:
    """The time on the registry's clock; this machine's if it sends no `Date`."""
    return datetime.now(UTC) + timedelta(seconds=registry.skew or 0)


def _difference(registry: HttpAnswer, server_skew: float | None) -> float | None:
    """How far the registry's clock is ahead of the token server's, or of this machine's if that is unknown."""
    return None if registry.skew is None else registry.skew - (server_skew or 0)
