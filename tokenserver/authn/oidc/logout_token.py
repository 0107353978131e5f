"""The claims of a logout token, by which a provider ends sessions (OpenID Connect Back-Channel Logout, 2.6). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenserver.authn.oidc.id_token import require_issuer_and_audience, sub_of
from tokenserver.authn.oidc.provider import OpenIdProvider
from tokenserver.authn.oidc.refusals import unusable_answer
from tokenserver.authn.workload.jwt_times import moment

EVENT = "http://schemas.openid.net/event/backchannel-logout"
MAX_AGE = 300
"""Seconds after `iat` in which a logout token is accepted."""

MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class Logout:
    """What a provider ends: its session `sid`, or all sessions of the person `sub`. One of the two may be None.

    `jti` identifies the token until `ends`, in seconds since the epoch.
    """

    sub: str | None
    sid: str | None
    jti: str
    ends: int


def logout_in(claims: Mapping[str, Any], provider: OpenIdProvider, *, now: float) -> Logout:
    """What the claims of a logout token end. The signature has been verified.

    Raises:
        RefusedLogin: it is no logout token for this server.
        RefusedJwt: its `iat` is missing.
    """
    require_issuer_and_audience(claims, provider)
    events = claims.get("events")
    if not isinstance(events, Mapping) or not isinstance(events.get(EVENT), Mapping):
        raise unusable_answer("the token is no logout token: it has no event of back-channel logout")
    if "nonce" in claims:
        raise unusable_answer("the token has a nonce, so it is no logout token")
    since = moment(claims, "iat")
    if not now - MAX_AGE - provider.leeway <= since <= now + provider.leeway:
        raise unusable_answer("the logout token is not of now: its iat is too old, or in the future")
    if "exp" in claims and moment(claims, "exp") + provider.leeway <= now:
        raise unusable_answer("the logout token has expired")
    jti, sid = _text(claims, "jti"), _text(claims, "sid")
    if jti is None:
        raise unusable_answer("the logout token has no jti")
    sub = sub_of(claims) if "sub" in claims else None
    if sub is None and sid is None:
        raise unusable_answer("the logout token has neither sub nor sid")
    return Logout(sub, sid, jti, since + MAX_AGE + 2 * provider.leeway)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    found = claims.get(name)
    return found if isinstance(found, str) and 0 < len(found) <= MAX_TEXT and found.isprintable() else None
