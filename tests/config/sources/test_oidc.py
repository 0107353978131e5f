"""The settings of an OIDC source: what a provider is asked for, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tokenserver.authn.oidc.provider import GroupClaim
from tokenserver.config.settings import Settings
from tokenserver.config.sources.oidc import OidcSettings

LEAST = {"name": "sso", "preset": "keycloak", "issuer": "https://sso.example.com/realms/corp", "client_id": "ts"}
URL = "https://auth.example.com/registry"


def settings(**changes: Any) -> OidcSettings:
    """The shortest settings with these changes; None takes a key out."""
    values = {key: value for key, value in (LEAST | changes).items() if value is not None}
    return OidcSettings.model_validate(values, context={"base": Path("/etc/tokenserver")})


def test_four_lines_are_enough() -> None:
    """The preset and the server say the rest."""
    found = settings().provider(URL)
    assert (found.name, found.issuer, found.client_id) == ("sso", LEAST["issuer"], "ts")
    assert found.redirect_uri == f"{URL}/login/callback/sso"
    assert (found.subject, found.groups) == ("preferred_username", GroupClaim("groups", None, "/"))
    assert (found.login_valid, found.recheck, found.leeway) == (43_200, None, 30)
    assert found.scopes == "openid profile email"


def test_everything() -> None:
    """Each key has its effect."""
    groups = {"claim": "roles", "allow": "reg-*", "strip": ""}
    more = {"subject": "upn", "login_valid": "1d", "recheck": "5m", "leeway": "1s", "client_secret_file": "secret"}
    found = settings(preset="okta", **more, groups={**groups, "strip": "x:"})
    assert found.client_secret_file == Path("/etc/tokenserver/secret")
    provider = found.provider(URL)
    assert (provider.subject, provider.groups) == ("upn", GroupClaim("roles", ("reg-*",), "x:"))
    assert (provider.login_valid, provider.recheck, provider.leeway) == (86_400, 300, 1)
    assert provider.scopes == "openid profile email groups offline_access"


def test_google() -> None:
    """Has one issuer, and no groups."""
    found = settings(preset="google", issuer=None, hosted_domain="example.com").provider(URL)
    assert (found.issuer, found.subject, found.groups) == ("https://accounts.google.com", "email", None)
    assert found.hosted_domain == "example.com"


def test_accounts() -> None:
    """Groups come from there."""
    assert settings(accounts="ad").provider(URL).groups is None


@pytest.mark.parametrize(
    ("changes", "path", "problem"),
    [
        ({"issuer": None}, ("issuer",), "is missing; preset keycloak has none by default"),
        ({"issuer": "http://sso.example.com"}, ("issuer",), "must be https"),
        ({"issuer": "sso.example.com"}, ("issuer",), "must be a URL"),
        (
            {"preset": "entra", "issuer": "https://login.microsoftonline.com/common/v2.0"},
            ("issuer",),
            "is that of all tenants (common); fix: https://login.microsoftonline.com/TENANT_ID/v2.0",
        ),
        ({"preset": "google"}, ("hosted_domain",), "anybody in the world could log in; fix: your domain"),
        ({"hosted_domain": "example.com"}, ("hosted_domain",), "has no effect with preset keycloak"),
        (
            {"preset": "google", "hosted_domain": "example.com", "groups": {}},
            ("groups",),
            "whose ID tokens list no groups",
        ),
        (
            {"preset": "google", "hosted_domain": "example.com", "recheck": "1h"},
            ("recheck",),
            "is not possible with preset google; fix: leave it out, and set login_valid",
        ),
        ({"recheck": "12h"}, ("recheck",), "must be shorter than login_valid (43200s)"),
        ({"recheck": "10s"}, ("recheck",), "must be from 1m to 1d"),
        ({"login_valid": "1m"}, ("login_valid",), "must be from 1h to 30d"),
        ({"leeway": "2m"}, ("leeway",), "fix the clock instead"),
        ({"accounts": "ad", "recheck": "1h"}, ("recheck",), "has no effect with accounts: ad"),
        ({"accounts": "ad", "groups": {"claim": "x"}}, ("groups",), "has no effect with accounts: ad"),
        ({"preset": "auth0"}, ("preset",), "Input should be"),
        ({"client_id": ""}, ("client_id",), "1 to 255 printable"),
    ],
)
def test_what_does_not_go_together(changes: dict[str, Any], path: tuple[str, ...], problem: str) -> None:
    """Each fault is at its key, with the fix."""
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    (fault,) = caught.value.errors()
    place = getattr(fault.get("ctx", {}).get("error"), "path", fault["loc"])
    assert (tuple(place) or tuple(fault["loc"]))[-1:] == path[-1:]
    assert problem in fault["msg"]


def whole(*sources: dict[str, Any], **more: Any) -> Settings:
    """Settings of a server with these sources."""
    values = {
        "issuer": "auth",
        "server": {"url": "https://auth.example.com"},
        "registries": [{"service": "reg"}],
        "authentication": [{"htpasswd": {"file": Path("users")}}, *({"oidc": source} for source in sources)],
        "policies": Path("policies"),
        "keys": Path("keys"),
        "storage": Path("state/t.db"),
        **more,
    }
    return Settings.model_validate({key: value for key, value in values.items() if value is not None})


def test_the_whole_configuration() -> None:
    """People are kept in a storage; `accounts` names a source with passwords. Neither counts as one with passwords."""
    found = whole(LEAST, {**LEAST, "name": "other", "accounts": "htpasswd"})
    assert [one.name for one in found.user_sources] == ["htpasswd"]
    assert [one.name for one in found.oidc_sources] == ["sso", "other"]
    with pytest.raises(ValidationError, match="needs a storage, which keeps who its people are"):
        whole(LEAST, storage=None)
    for accounts in ("sso", "nowhere"):
        with pytest.raises(ValidationError, match=r"of an htpasswd, ldap, sql, http or program source \(htpasswd\)"):
            whole({**LEAST, "accounts": accounts})
    with pytest.raises(ValidationError, match="there is none"):
        whole({**LEAST, "accounts": "x"}, authentication=[{"oidc": {**LEAST, "accounts": "x"}}])
