"""Diagnosis of a live registry that rejects a token which looks right from here: probes, and what they tell."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.refusals import (
    explain_despite_files,
    explain_generation,
    explain_refusal,
    explain_zot_login,
    generation,
    is_key_known,
)
from tokenserver.doctor.checks.trial import Trial
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.examination.probe import NOTHING, Probes
from tokenserver.doctor.examination.token import Baseline
from tokenserver.doctor.facts import OurRegistry
from tokenserver.doctor.findings import Finding
from tokenserver.doctor.http import HttpAnswer, Outcome
from tokenserver.documents.base64url import encode_base64url
from tokenserver.scopes import Scope
from tokenserver.tokens.claims import Compat
from tokenserver.tokens.jose_header import token_header

_ALGORITHMS = ("ES256", "RS256", "EdDSA", "ES384", "PS256")
_JUNK_HEADER: dict[str, object] = {"typ": "JWT", "alg": "ES256"}
_NO_CLAIMS = "e30"


@dataclass(frozen=True, slots=True)
class Visit:
    """The registry to visit, the login, and the wanted scopes. If `token` is None, one is fetched.

    `files_at_fault`: the registry's configuration was read, and faults in it are already reported. `trials` are tried
    out if the registry accepts the token.
    """

    url: str
    baseline: Baseline
    context: ssl.SSLContext
    login: tuple[str, Secret] | None = None
    wanted: tuple[Scope, ...] = ()
    token: Secret | None = None
    files_at_fault: bool = False
    trials: tuple[Trial, ...] = ()


def send(visit: Visit, target: str, token: Secret) -> Outcome:
    """The registry's answer to a request for `target` with this token."""
    sent = Secret(f"Bearer {token.reveal()}")
    return fetch(f"{visit.url}{target}", context=visit.context, authorization=sent)


def junk(claims: str = _NO_CLAIMS) -> Secret:
    """A token with these claims (its second part) and a wrong signature, which no registry accepts."""
    return _wrongly_signed(_JUNK_HEADER, claims)


def diagnose_refusal(
    visit: Visit, registry: OurRegistry, token: Secret, refused: HttpAnswer, probes: Probes
) -> list[Finding]:
    """Explain by the registry's answers to probes why it rejects `token`, which looks right from here."""
    login = explain_zot_login(refused, registry)
    if login is not None and _trusts_key(visit, probes):
        return [login]
    files = visit.baseline.files
    if files is not None and visit.files_at_fault:
        return []
    kind = generation(send(visit, "/v2/", Secret("x x")))
    compat = Compat(registry.compat)
    header = token_header(visit.baseline.ring.active, compat)
    claims = token.reveal().split(".")[1]
    names_of_30 = {**header, "kid": visit.baseline.ours.active.names.distribution30}
    is_30 = compat is Compat.DISTRIBUTION3 and is_key_known(send(visit, "/v2/", _wrongly_signed(names_of_30, claims)))
    other = explain_generation(kind, registry, visit.baseline.ours, is_30=is_30)
    if other is not None:
        return [other]
    if files is not None:
        return [explain_despite_files(registry, files.setup.place(""))]
    names = {
        name
        for name in dict.fromkeys((header["alg"], *_ALGORITHMS))
        if is_key_known(send(visit, "/v2/", _wrongly_signed({**header, "alg": name}, claims)))
    }
    return [explain_refusal(kind, frozenset(names), visit.baseline.ours, registry, visit.url)]


def _trusts_key(visit: Visit, probes: Probes) -> bool:
    """Whether the registry takes a token for a repository that it does not have: it then looks for it in vain."""
    outcome = send(visit, f"/v2/{NOTHING}/tags/list", probes.for_nothing())
    return isinstance(outcome, HttpAnswer) and outcome.status in (200, 404)


def _wrongly_signed(header: dict[str, object], claims: str) -> Secret:
    """A token with an all-zero signature, which no registry accepts."""
    encoded = encode_base64url(json.dumps(header).encode())
    return Secret(f"{encoded}.{claims}.{'A' * 86}")
