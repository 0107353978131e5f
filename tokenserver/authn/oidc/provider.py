"""An OpenID provider as configured. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.authn.oidc.presets import OidcPreset

DEFAULT_LEEWAY = 30
DEFAULT_LOGIN_VALID = 12 * 3600


@dataclass(frozen=True, slots=True)
class GroupClaim:
    """The claim with the names of a person's groups.

    `strip` is removed from the beginning of each; then those are kept that one of the globs in `allow` matches (None:
    all).
    """

    claim: str
    allow: tuple[str, ...] | None = None
    strip: str = ""


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """A provider under the name of its source.

    `subject` is the claim that names the person; without `groups`, people have none. `hosted_domain` is the only value
    of the claim `hd` that is accepted, if it is set. `login_valid` and `leeway` are in seconds, and so is `recheck`:
    how often the provider is asked whether a person still exists (None: never).
    """

    name: str
    issuer: str
    client_id: str
    preset: OidcPreset
    redirect_uri: str
    subject: str
    groups: GroupClaim | None = None
    hosted_domain: str | None = None
    login_valid: int = DEFAULT_LOGIN_VALID
    recheck: int | None = None
    leeway: int = DEFAULT_LEEWAY

    @property
    def scopes(self) -> str:
        """The scopes that a login asks for."""
        more = () if self.recheck is None else ("offline_access",)
        return " ".join(("openid", *self.preset.scopes, *more))
