"""The doctor's visit to a live registry: take a client's steps, and ask why, where it refuses.

Its challenge is compared and never followed: credentials go to our own token endpoint and nowhere else, and what the
registry itself is sent is as little as will do (`doctor_probe`).
"""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

from tokenserver.credentials import Secret
from tokenserver.doctor.challenge import PastedError, parse_challenge
from tokenserver.doctor.checks.live import (
    check_published,
    check_ready,
    check_realm_address,
    check_registry,
    check_token_answer,
    check_verifies,
    place_of,
    transport_trouble,
)
from tokenserver.doctor.checks.refusals import (
    explain_despite_files,
    explain_refusal,
    explain_zots_login,
    generation,
    is_key_known,
)
from tokenserver.doctor.checks.setup import check_realm, check_service, find_registry
from tokenserver.doctor.checks.token import check_clock
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.examination.probe import Probes, is_meant_for
from tokenserver.doctor.examination.token import Bench, examine_token
from tokenserver.doctor.facts import OurRegistry
from tokenserver.doctor.findings import Finding, failed, known, passed
from tokenserver.doctor.http import HttpAnswer, Outcome
from tokenserver.doctor.token import UnreadableToken, open_unverified
from tokenserver.doctor.visited import check_asked_scopes, identify
from tokenserver.documents.base64url import encode_base64url
from tokenserver.printable import shell_word
from tokenserver.scopes import Scope, in_order
from tokenserver.tokens.claims import Compat
from tokenserver.tokens.jose_header import token_header

_ALGORITHMS = ("ES256", "RS256", "EdDSA", "ES384", "PS256")
_JUNK_HEADER: dict[str, object] = {"typ": "JWT", "alg": "ES256"}
_NO_CLAIMS = "e30"

CATALOG = ("registry:catalog:*",)
"""zot up to 2.1.2 wants its catalog even from those who only say hello."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Where to go, as whom, and what for. `token` is one that was brought; None: one is fetched.

    `found_wrong` is whether the registry's configuration was read, and said to be at fault already.
    """

    url: str
    bench: Bench
    context: ssl.SSLContext
    login: tuple[str, Secret] | None = None
    wanted: tuple[Scope, ...] = ()
    token: Secret | None = None
    found_wrong: bool = False


def visit_server(bench: Bench, context: ssl.SSLContext) -> tuple[list[Finding], float | None]:
    """Our own server as clients reach it, and how far its clock is ahead of this machine's, in seconds."""
    url = bench.ours.url
    outcome = fetch(bench.ours.jwks_url, context=context)
    found = [check_published(outcome, bench.ours)]
    if found[0].ok is False:
        return found, None
    found += check_ready(fetch(f"{url}/readyz", context=context))
    return found, outcome.ahead if isinstance(outcome, HttpAnswer) else None


def visit_registry(visit: Visit, server_ahead: float | None) -> tuple[list[Finding], Secret | None]:
    """Every step of a client, and of the registry's verifier; and the token that the server gave or that was tried.

    Where the registry at this address is none of ours for sure, or says anything that it should not, nobody is logged
    in, and it gets no token.

    `server_ahead` is how far the token server's clock is ahead of this machine's, None where it did not answer.
    """
    ours, url = visit.bench.ours, visit.url
    first = fetch(f"{url}/v2/", context=visit.context)
    guess = visit.bench.registry or identify(ours, None, url, "").registry or find_registry(ours, None, url)
    service, compat = ("SERVICE", "") if guess is None else (guess.service, guess.compat)
    found = [check_registry(url, first, service, compat)]
    challenge_text = first.bearer() if isinstance(first, HttpAnswer) else None
    if found[0].ok is False or challenge_text is None or not isinstance(first, HttpAnswer):
        return found, None
    place = place_of(compat)
    try:
        challenge = parse_challenge(challenge_text)
    except PastedError as error:
        mend = f"set realm and service in {place}"
        return [*found, failed("challenge", f"the registry's challenge {error}", mend, theirs=challenge_text)], None
    identified = identify(ours, visit.bench.registry, url, challenge.service)
    registry = identified.registry
    found += _check_challenge(visit, challenge.realm, place)
    meant = registry or visit.bench.registry or find_registry(ours, challenge.service, url)
    found.append(check_service(challenge.service or None, ours, meant, place))
    found += check_asked_scopes(challenge.scopes.scopes, visit.wanted)
    if identified.why is not None and not any(one.ok is False for one in found):
        found.append(identified.why)
    if registry is None or any(one.ok is False for one in found):
        return [*found, known("verdict", "so nobody was logged in, and the registry was sent no token")], None
    registry = registry.called(challenge.service)
    bench = replace(visit.bench, registry=registry, at=_time_at(first))
    tried, token = _visit_ours(replace(visit, bench=bench), registry, first, server_ahead)
    return found + tried, token


def _visit_ours(
    visit: Visit, registry: OurRegistry, first: HttpAnswer, server_ahead: float | None
) -> tuple[list[Finding], Secret | None]:
    """The visit's second half, at a registry that is `registry` beyond doubt: clocks, a login, a token."""
    unsigned = Secret(f"Bearer {_wrongly_signed(_JUNK_HEADER, _NO_CLAIMS).reveal()}")
    taken = check_verifies(
        fetch(f"{visit.url}/v2/", context=visit.context, authorization=unsigned), registry.service, registry.compat
    )
    if taken is not None:
        return [taken], None
    whose = "the token server's" if server_ahead is not None else "ours"
    found = list(clock := check_clock(_difference(first, server_ahead), registry.lifetime, whose=whose))
    given, judged = visit.token, []
    if given is None:
        more = CATALOG if registry.compat == "zot" else ()
        finding, given = _get_token(visit, registry.service, server_ahead, more=more)
        found.append(finding)
    if given is not None:
        judged = _judge(visit, registry.service, given)
        found += judged
    if visit.token is not None and not is_meant_for(visit.token, registry):
        return [*found, known("verdict", "the token is for another audience, so it was not sent")], given
    if any(one.ok is False for one in clock):
        return [*found, known("verdict", "with such clocks no token was tried")], given
    ahead = (server_ahead or 0) if first.ahead is None else first.ahead
    probes = Probes(visit.bench.ring, registry, ahead, given, visit.wanted)
    token = probes.least() if visit.token is None else visit.token
    tried, refused = _try(visit, token, has_access=given is not None)
    if visit.token is None and refused is not None and explain_zots_login(refused, registry) is not None:
        token = probes.least(with_catalog=True)
        tried, refused = _try(visit, token, has_access=given is not None)
    found += tried
    if refused is not None and not any(one.ok is False for one in (*judged, *tried, *clock)):
        found += _ask_why(visit, registry, token, refused)
    return found, given or token


def _check_challenge(visit: Visit, realm: str, place: str) -> list[Finding]:
    redirected = check_realm_address(realm, visit.url, visit.bench.ours, place)
    if redirected is not None:
        return [redirected]
    parts = urlsplit(visit.url)
    return check_realm(realm, visit.bench.ours, place, registry_host=parts.hostname, is_https=parts.scheme == "https")


def _get_token(
    visit: Visit, service: str, server_ahead: float | None, *, more: tuple[str, ...]
) -> tuple[Finding, Secret | None]:
    """A token of our server, as the client would get it; `more` are scopes that are asked for and may be refused."""
    ours = visit.bench.ours
    if server_ahead is None:
        return known("login", "the token server did not answer, so a token of our own key is tried"), None
    query = urlencode([("service", service), *(("scope", str(scope)) for scope in (*visit.wanted, *more))])
    sent = None
    if visit.login is not None:
        user, password = visit.login
        pair = f"{user}:{password.reveal()}".encode()
        sent = Secret("Basic " + base64.b64encode(pair).decode("ascii"))
    outcome = fetch(f"{ours.realm}?{query}", context=visit.context, authorization=sent)
    finding, text = check_token_answer(outcome, ours, with_login=visit.login is not None)
    return finding, None if text is None else Secret(text)


def _try(visit: Visit, token: Secret, *, has_access: bool) -> tuple[list[Finding], HttpAnswer | None]:
    """Bring the token to the registry; what it answered, where it refused."""
    outcome = _bring(visit, "/v2/", token)
    trouble = transport_trouble("registry", visit.url, outcome)
    if trouble is not None or not isinstance(outcome, HttpAnswer):
        return ([] if trouble is None else [trouble]), None
    if outcome.status >= 400:  # zot 1.4 answers 500 to a token that it cannot read
        said = outcome.bearer() or str(outcome.status)
        return [known("verdict", f"the registry refuses the token ({outcome.status})", theirs=said)], outcome
    opened = _try_access(visit, token) if has_access else []
    return [*opened, passed("verdict", "the registry takes the token", theirs=str(outcome.status))], None


def _judge(visit: Visit, service: str, token: Secret) -> list[Finding]:
    try:
        opened = open_unverified(token.reveal())
    except UnreadableToken as error:
        return [failed("token", f"what the server gave {error}", "see that server.url leads to our server")]
    return examine_token(opened, visit.bench, visit.wanted, service=service)


def _ask_why(visit: Visit, registry: OurRegistry, token: Secret, refused: HttpAnswer) -> list[Finding]:
    """All that is seen from here is right: so it is what is not seen. The registry's answers give some of it away."""
    login = explain_zots_login(refused, registry)
    if login is not None:
        return [login]
    files = visit.bench.files
    if files is not None and visit.found_wrong:
        return []
    if files is not None:
        return [explain_despite_files(registry, files.setup.place(""))]
    kind = generation(fetch(f"{visit.url}/v2/", context=visit.context, authorization=Secret("Bearer x x")))
    header = token_header(visit.bench.ring.active, Compat(registry.compat))
    claims = token.reveal().split(".")[1]
    names = {
        name
        for name in dict.fromkeys((header["alg"], *_ALGORITHMS))
        if is_key_known(_bring(visit, "/v2/", _wrongly_signed({**header, "alg": name}, claims)))
    }
    return [explain_refusal(kind, frozenset(names), visit.bench.ours, registry, visit.url)]


def _wrongly_signed(header: dict[str, object], claims: str) -> Secret:
    """A token that no registry takes: its signature is zeros."""
    encoded = encode_base64url(json.dumps(header).encode())
    return Secret(f"{encoded}.{claims}.{'A' * 86}")


def _try_access(visit: Visit, token: Secret) -> list[Finding]:
    """Whether the registry lets the token read what was asked for; a read changes nothing there."""
    found = []
    for scope in visit.wanted:
        if scope.resource.type != "repository" or "pull" not in scope.actions:
            continue
        outcome = _bring(visit, f"/v2/{scope.resource.name}/tags/list", token)
        if not isinstance(outcome, HttpAnswer):
            continue
        name = f"{scope.resource}:{','.join(in_order(scope.actions))}"
        if outcome.status in (401, 403, 500):
            says = f"the registry does not let the token pull {scope.resource.name}"
            command = f"tokenserver policy why pull {shell_word(scope.resource.name)}"
            mend = f"see the finding about access; the rule is told by: {command}"
            found.append(failed("pull", says, mend, ours=name, theirs=outcome.bearer() or str(outcome.status)))
        else:
            found.append(passed("pull", f"the token opens {scope.resource.name}", theirs=str(outcome.status)))
    return found


def _bring(visit: Visit, target: str, token: Secret) -> Outcome:
    sent = Secret(f"Bearer {token.reveal()}")
    return fetch(f"{visit.url}{target}", context=visit.context, authorization=sent)


def _time_at(registry: HttpAnswer) -> datetime:
    """The time on the registry's clock; this machine's, where it tells none."""
    return datetime.now(UTC) + timedelta(seconds=registry.ahead or 0)


def _difference(registry: HttpAnswer, server_ahead: float | None) -> float | None:
    """How far the registry's clock is ahead of the token server's; else of this machine's."""
    return None if registry.ahead is None else registry.ahead - (server_ahead or 0)
