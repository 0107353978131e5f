"""Presets: what is known of Keycloak, Entra, Okta, Google and dex as OpenID providers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

REFUSED_GRANT = frozenset({"invalid_grant"})
"""The error of RFC 6749, section 5.2, for a code or refresh token that is not valid any more."""


@dataclass(frozen=True, slots=True)
class OidcPreset:
    """One kind of provider.

    `subject` is the claim that names the person, `groups` the one that lists their groups (None: it has none), and
    `strip` what is removed from the beginning of a group's name. `scopes` are asked for besides `openid`.
    `is_rechecked`: it gives refresh tokens for the scope `offline_access`; `refusals` are the errors by which it says
    that one has ended. `needs_hosted_domain`: anybody has an account there, so people are told apart by the domain of
    their organization.
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
