"""Settings of an OIDC source: an OpenID provider at which people log in, and who they are here."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tokenserver.authn.oidc.presets import GOOGLE_ISSUER, PRESETS, OidcPreset
from tokenserver.authn.oidc.provider import DEFAULT_LEEWAY, DEFAULT_LOGIN_VALID, GroupClaim, OpenIdProvider
from tokenserver.authn.workload.issuer_urls import require_safe
from tokenserver.config.fields import FilePath, NameText, Seconds, Section, SourceName
from tokenserver.config.protection import Cache
from tokenserver.config.sources.workload import Leeway
from tokenserver.documents.document import PlacedError

HOUR, DAY = 3600, 86400
MIN_RECHECK, MAX_RECHECK = 60, DAY
MIN_LOGIN_VALID, MAX_LOGIN_VALID = HOUR, 30 * DAY

_SHARED_TENANTS = ("common", "organizations", "consumers")
"""What is in the place of a tenant in URLs of Entra that anybody with an account there can log in by."""

_NOT_WITH_ACCOUNTS = ("groups", "login_valid", "recheck")


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _recheck(seconds: int) -> int:
    if not MIN_RECHECK <= seconds <= MAX_RECHECK:
        raise ValueError(f"must be from 1m to 1d, not {seconds}s")
    return seconds


def _login_valid(seconds: int) -> int:
    if not MIN_LOGIN_VALID <= seconds <= MAX_LOGIN_VALID:
        raise ValueError(f"must be from 1h to 30d, not {seconds}s: nobody asks whether the person still exists")
    return seconds


class OidcGroups(Section):
    """How a person's groups are found in the ID token: the claim, and which of its names count."""

    claim: NameText | None = None
    allow: Annotated[tuple[NameText, ...], Field(strict=False, min_length=1), BeforeValidator(_list)] | None = None
    strip: NameText | None = None


class OidcSettings(Section):
    """One OpenID provider. `preset` says what kind it is.

    `login_valid` is how long a login counts, `recheck` how often the provider is asked about a person, in seconds.
    """

    name: SourceName
    preset: Literal["keycloak", "entra", "okta", "google", "dex"]
    issuer: NameText | None = None
    client_id: NameText
    client_secret_file: FilePath | None = None
    subject: NameText | None = None
    hosted_domain: NameText | None = None
    groups: OidcGroups | None = None
    accounts: SourceName | None = None
    login_valid: Annotated[Seconds, AfterValidator(_login_valid)] = DEFAULT_LOGIN_VALID
    recheck: Annotated[Seconds, AfterValidator(_recheck)] | None = None
    ca_file: FilePath | None = None
    leeway: Leeway = DEFAULT_LEEWAY
    cache: Cache = 60

    @model_validator(mode="after")
    def _issuer_is_one_provider(self) -> Self:
        if self.issuer is None and self.preset != "google":
            raise PlacedError(("issuer",), f"is missing; preset {self.preset} has none by default")
        try:
            require_safe(self.issuer_url)
        except ValueError as error:
            raise PlacedError(("issuer",), str(error)) from None
        tenant = self.issuer_url.partition("://")[2].split("/")[1:2]
        if self.preset == "entra" and set(tenant) & set(_SHARED_TENANTS):
            message = (
                f"is that of all tenants ({tenant[0]}); fix: https://login.microsoftonline.com/TENANT_ID/v2.0,"
                " with the id of your directory"
            )
            raise PlacedError(("issuer",), message)
        return self

    @model_validator(mode="after")
    def _hosted_domain_has_a_use(self) -> Self:
        if self.kind.needs_hosted_domain and self.hosted_domain is None:
            message = f"is missing: with preset {self.preset} anybody in the world could log in; fix: your domain"
            raise PlacedError(("hosted_domain",), message)
        if not self.kind.needs_hosted_domain and self.hosted_domain is not None:
            raise PlacedError(("hosted_domain",), f"has no effect with preset {self.preset}")
        return self

    @model_validator(mode="after")
    def _provider_can_do_it(self) -> Self:
        if self.groups is not None and self.kind.groups is None:
            message = f"has no effect with preset {self.preset}, whose ID tokens list no groups"
            raise PlacedError(("groups",), message)
        if self.recheck is not None and not self.kind.is_rechecked:
            message = f"is not possible with preset {self.preset}; fix: leave it out, and set login_valid"
            raise PlacedError(("recheck",), message)
        return self

    @model_validator(mode="after")
    def _recheck_comes_before_the_end(self) -> Self:
        if self.recheck is not None and self.recheck >= self.login_valid:
            raise PlacedError(("recheck",), f"must be shorter than login_valid ({self.login_valid}s)")
        return self

    @model_validator(mode="after")
    def _accounts_decide_alone(self) -> Self:
        unused = [name for name in _NOT_WITH_ACCOUNTS if name in self.model_fields_set]
        if self.accounts is not None and unused:
            message = f"has no effect with accounts: {self.accounts}, which knows its people"
            raise PlacedError((unused[0],), message)
        return self

    @property
    def kind(self) -> OidcPreset:
        """What is known of this kind of provider."""
        return PRESETS[self.preset]

    @property
    def issuer_url(self) -> str:
        """The `iss` of its ID tokens."""
        return self.issuer or GOOGLE_ISSUER

    def redirect_uri(self, server_url: str) -> str:
        """The URL to which the provider sends browsers back, which has to be entered there."""
        return f"{server_url}/login/callback/{self.name}"

    def provider(self, server_url: str) -> OpenIdProvider:
        """What logins at a server with this public URL need."""
        wanted = self.groups or OidcGroups()
        claim = wanted.claim or self.kind.groups
        strip = self.kind.strip if wanted.strip is None else wanted.strip
        groups = None if claim is None or self.accounts is not None else GroupClaim(claim, wanted.allow, strip)
        return OpenIdProvider(
            name=self.name,
            issuer=self.issuer_url,
            client_id=self.client_id,
            preset=self.kind,
            redirect_uri=self.redirect_uri(server_url),
            subject=self.subject or self.kind.subject,
            groups=groups,
            hosted_domain=self.hosted_domain,
            login_valid=self.login_valid,
            recheck=self.recheck,
            leeway=self.leeway,
        )
