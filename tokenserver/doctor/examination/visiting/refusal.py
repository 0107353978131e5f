"""Diagnosis of a live registry that rejects a token which looks right from here: probes, and what they tell."""

from __future__ import annotations

import json

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.refusals import (
    explain_despite_files,
    explain_generation,
    explain_refusal,
    explain_zot_login,
    generation,
    is_key_known,
)
from tokenserver.doctor.examination.visiting.probe import NOTHING, Probes
from tokenserver.doctor.examination.visiting.requests import Visit
from tokenserver.doctor.facts import OurRegistry
from tokenserver.doctor.findings import Finding
from tokenserver.doctor.http import HttpAnswer
from tokenserver.documents.base64url import encode_base64url
from tokenserver.tokens.claims import Compat
from tokenserver.tokens.jose_header import token_header

_ALGORITHMS = ("ES256", "RS256", "EdDSA", "ES384", "PS256")
_JUNK_HEADER: dict[str, object] = {"typ": "JWT", "alg": "ES256"}
_NO_CLAIMS = "e30"
_PROBE = "a token with an invalid signature"


def junk(claims: str = _NO_CLAIMS) -> Secret:
    """A token with these claims (its second part) and a wrong signature, which no registry accepts."""
    return _wrongly_signed(_JUNK_HEADER, claims)


def diagnose_refusal(
    visit: Visit, registry: OurRegistry, token: Secret, refused: HttpAnswer, probes: Probes
) -> list[Finding]:
    """Explain by the registry's answers to probes why it rejects `token`, which looks right from here.

    Nothing follows from probes of which one was not answered in time.
    """
    found = _diagnosis(visit, registry, token, refused, probes)
    return [] if visit.requests.is_late() else found


def _diagnosis(
    visit: Visit, registry: OurRegistry, token: Secret, refused: HttpAnswer, probes: Probes
) -> list[Finding]:
    login = explain_zot_login(refused, registry)
    if login is not None and _trusts_key(visit, probes):
        return [login]
    files = visit.baseline.files
    if files is not None and visit.files_at_fault:
        return []
    kind = generation(visit.send("a malformed token", "/v2/", Secret("x x")))
    compat = Compat(registry.compat)
    header = token_header(visit.baseline.ring.active, compat)
    claims = token.reveal().split(".")[1]
    names_of_30 = {**header, "kid": visit.baseline.ours.active.names.distribution30}
    is_30 = compat is Compat.DISTRIBUTION3 and is_key_known(
        visit.send(_PROBE, "/v2/", _wrongly_signed(names_of_30, claims))
    )
    other = explain_generation(kind, registry, visit.baseline.ours, is_30=is_30)
    if other is not None:
        return [other]
    if files is not None:
        return [explain_despite_files(registry, files.setup.place(""))]
    names = {
        name
        for name in dict.fromkeys((header["alg"], *_ALGORITHMS))
        if is_key_known(visit.send(_PROBE, "/v2/", _wrongly_signed({**header, "alg": name}, claims)))
    }
    return [explain_refusal(kind, frozenset(names), visit.baseline.ours, registry, visit.url)]


def _trusts_key(visit: Visit, probes: Probes) -> bool:
    """Whether the registry takes a token for a repository that it does not have: it then looks for it in vain."""
    outcome = visit.send("a token for nothing", f"/v2/{NOTHING}/tags/list", probes.for_nothing())
    return isinstance(outcome, HttpAnswer) and outcome.status in (200, 404)


def _wrongly_signed(header: dict[str, object], claims: str) -> Secret:
    """A token with an all-zero signature, which no registry accepts."""
    encoded = encode_base64url(json.dumps(header).encode())
    return Secret(f"{encoded}.{claims}.{'A' * 86}")
