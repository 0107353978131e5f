"""Presets of OpenID providers: Keycloak, Entra, Okta, Google and dex. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

REFUSED_GRANT = frozenset({"invalid_grant"})
"""The error of RFC 6749, section 5.2, for a code or refresh token that is not valid any more."""


@dataclass(frozen=True, slots=True)
class OidcPreset:
    """One kind of provider.

    `subject` is the claim with the person's name, `groups` the claim with their groups (None: there is no such claim),
    and `strip` the prefix that is removed from each group. `scopes` are requested besides `openid`. `is_rechecked`: the
    provider issues refresh tokens for the scope `offline_access`, and rejects one that has ended with one of the errors
    `refusals`. `needs_hosted_domain`: anybody can have an account there, so only the domain of the organization
    identifies its people.
    """

    name: str
    subject: str
    scopes: tuple[str, ...]
    groups: str | None = "groups"
    strip: str = ""
    is_rechecked: bool = True
    refusals: frozenset[str] = REFUSED_GRANT
    needs_hosted_domain: bool = False


_USUAL = ("profile", "email")

PRESETS: Mapping[str, OidcPreset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            # A group is a path in Keycloak, such as /web, unless the mapper is configured otherwise.
            OidcPreset("keycloak", "preferred_username", _USUAL, strip="/"),
            OidcPreset("entra", "preferred_username", _USUAL),
            OidcPreset("okta", "preferred_username", (*_USUAL, "groups")),
            OidcPreset("google", "email", _USUAL, groups=None, is_rechecked=False, needs_hosted_domain=True),
            # dex answers invalid_request where the specification has invalid_grant.
            OidcPreset("dex", "preferred_username", (*_USUAL, "groups"), refusals=REFUSED_GRANT | {"invalid_request"}),
        )
    }
)
"""By name."""

GOOGLE_ISSUER = "https://accounts.google.com"
