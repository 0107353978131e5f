"""The claims of an ID token: whether it is for this login, and which person it is about. Pure.

OpenID Connect Core, section 3.1.3.7. The signature has been verified. Whatever is not exactly right is refused, and a
person whose groups the provider leaves out is refused rather than let in without them: a deny rule may be about them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from tokenserver.authn.name_globs import matches
from tokenserver.authn.oidc.provider import GroupClaim, OpenIdProvider
from tokenserver.authn.oidc.refusals import (
    NO_NAME,
    TOO_MANY_GROUPS,
    UNVERIFIED,
    WRONG_DOMAIN,
    RefusedLogin,
    unusable_answer,
)
from tokenserver.authn.usernames import name_problem
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.authn.workload.jwt_times import checked_times

MAX_AGE = 30 * 24 * 3600
"""Seconds from `iat` to `exp`. The token is used just now, so a long life of it is of no consequence."""

MAX_SUB = 255
MAX_GROUPS = 1000
MAX_GROUP_NAME = 255

OVERAGE_FIX = "assign the groups that matter to the application in Entra, so that the token lists those alone"


@dataclass(frozen=True, slots=True)
class VerifiedPerson:
    """A person for whom a provider vouches. `sub` is its own name for them, `sid` that of its session (None: unknown).

    `subject` is the name by which policies know them, in lower case.
    """

    sub: str
    subject: str
    groups: frozenset[str] = field(default_factory=frozenset)
    sid: str | None = None


def person_in(claims: Mapping[str, Any], provider: OpenIdProvider, *, nonce: str | None, now: float) -> VerifiedPerson:
    """The person in the claims of an ID token. `nonce` is that of the login; None: the token came by a refresh.

    Raises:
        RefusedLogin: it is no ID token, not for this server, or not about somebody who may log in here.
        RefusedJwt: it has expired, or is not valid yet.
    """
    _require_for_us(claims, provider)
    checked_times(claims, leeway=provider.leeway, max_age=MAX_AGE, now=now)
    if nonce is not None and not compare_digest(_text(claims, "nonce").encode(), nonce.encode()):
        raise unusable_answer("the ID token is the answer to another login: its nonce is another one")
    sub = sub_of(claims)
    if provider.hosted_domain is not None and claims.get("hd") != provider.hosted_domain:
        reason = "the account is in another domain than hosted_domain"
        raise RefusedLogin(reason, WRONG_DOMAIN, domain=provider.hosted_domain)
    subject = _subject(claims, provider)
    groups = frozenset[str]() if provider.groups is None else _groups(claims, provider.groups)
    sid = claims.get("sid")
    return VerifiedPerson(sub, subject, groups, sid if isinstance(sid, str) and 0 < len(sid) <= MAX_SUB else None)


def require_issuer_and_audience(claims: Mapping[str, Any], provider: OpenIdProvider) -> None:
    """Check that the provider made a token for this server, and for nobody else.

    Raises:
        RefusedLogin: it is another provider's, or others can have it, too.
    """
    if claims.get("iss") != provider.issuer:
        raise unusable_answer("the token is that of another issuer")
    audience = claims.get("aud")
    if audience not in (provider.client_id, [provider.client_id]):
        raise unusable_answer("the token is not for client_id alone")
    if claims.get("azp", provider.client_id) != provider.client_id:
        raise unusable_answer("the token was made for another client: its azp is not client_id")


def sub_of(claims: Mapping[str, Any]) -> str:
    """The `sub` of a token.

    Raises:
        RefusedLogin: it has none.
    """
    sub = _text(claims, "sub")
    if not 0 < len(sub) <= MAX_SUB or not sub.isprintable():
        raise unusable_answer(f"the token has no sub of 1 to {MAX_SUB} printable characters")
    return sub


def _require_for_us(claims: Mapping[str, Any], provider: OpenIdProvider) -> None:
    require_issuer_and_audience(claims, provider)
    # Keycloak says in the payload what a token is, and calls all of them JWT in the header.
    if claims.get("typ", "ID") != "ID":
        raise unusable_answer("the token is no ID token: its claim typ is not ID")
    if "events" in claims:
        raise unusable_answer("the token is no ID token but a logout token")


def _subject(claims: Mapping[str, Any], provider: OpenIdProvider) -> str:
    claim = provider.subject
    if claim == "email" and claims.get("email_verified") is not True:
        raise RefusedLogin("the e-mail address is not verified: email_verified is not true", UNVERIFIED)
    text = unicodedata.normalize("NFC", _text(claims, claim)).lower()
    subject = unicodedata.normalize("NFC", text)
    problem = name_problem(subject)
    if problem is not None:
        raise RefusedLogin(f"the claim {claim} is no name of a user: {problem}", NO_NAME, claim=claim)
    return subject


def _groups(claims: Mapping[str, Any], settings: GroupClaim) -> frozenset[str]:
    """The names of the groups; a person without any has no claim at most providers.

    Raises:
        RefusedLogin: the provider leaves out groups, or the claim is no list of names.
    """
    if _is_overage(claims, settings.claim):
        reason = f"the person is in too many groups for a token, so that it lists none; fix: {OVERAGE_FIX}"
        raise RefusedLogin(reason, TOO_MANY_GROUPS)
    listed = claims.get(settings.claim, [])
    if not isinstance(listed, list) or len(listed) > MAX_GROUPS or not all(isinstance(one, str) for one in listed):
        raise unusable_answer(f"the claim {settings.claim} is no list of at most {MAX_GROUPS} names of groups")
    names = {unicodedata.normalize("NFC", one).removeprefix(settings.strip) for one in listed}
    kept = {one for one in names if settings.allow is None or any(matches(glob, one) for glob in settings.allow)}
    if any(not 0 < len(one) <= MAX_GROUP_NAME or _has_control_character(one) for one in kept):
        raise unusable_answer("a group has a name that is empty, too long, or holds a control character")
    return frozenset(kept)


def _is_overage(claims: Mapping[str, Any], claim: str) -> bool:
    """Whether the groups are elsewhere: Entra says so by `_claim_names`, and in short tokens by `hasgroups`."""
    elsewhere = claims.get("_claim_names")
    return (isinstance(elsewhere, Mapping) and claim in elsewhere) or claims.get("hasgroups", False) is not False


def _has_control_character(text: str) -> bool:
    return any(unicodedata.category(one) == "Cc" for one in text)


def _text(claims: Mapping[str, Any], name: str) -> str:
    found = claims.get(name)
    return found if isinstance(found, str) else ""


__all__ = ["RefusedJwt", "VerifiedPerson", "person_in", "require_issuer_and_audience", "sub_of"]
