"""What exchanges need of the storage, and what the start refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.exchange.stored.logins import RefreshTerms
from tokenserver.server.stored.parts import refresh_terms, require_findable_owners


def _settings(**more: Any) -> Settings:
    ldap = {"preset": "openldap", "url": "ldaps://d", "base": "dc=x", "user_dn_template": "uid={user},dc=x"}
    usual: dict[str, Any] = {
        "issuer": "auth",
        "server": {"url": "https://auth"},
        "registries": [{"service": "one"}, {"service": "two", "refresh_tokens": False}],
        "authentication": [{"ldap": ldap}],
        "policies": Path("policies"),
        "keys": Path("keys"),
        "storage": Path("state/t.db"),
    }
    if "refresh_tokens" not in more:
        usual["registries"] = [{"service": "one"}]
    return Settings.model_validate(usual | more)


def test_owners_that_cannot_be_looked_up() -> None:
    """Without a service account, nobody's key or refresh token could ever be used: the start says so, with the fix."""
    require_findable_owners(_settings())
    with pytest.raises(LoadError) as caught:
        require_findable_owners(_settings(access_keys={}, refresh_tokens={}))
    assert str(caught.value) == (
        "authentication: [0].ldap.user_dn_template: cannot be combined with access_keys and refresh_tokens, whose"
        " owners are looked up without their passwords; fix: bind_dn and bind_password_file instead"
    )


def test_owners_of_a_program_that_only_checks_passwords() -> None:
    """A program for docker_auth cannot be asked about users; others can."""
    for protocol in ("json", "docker_auth"):
        settings = _settings(access_keys={}, authentication=[{"program": {"command": ["/x"], "protocol": protocol}}])
        if protocol == "json":
            require_findable_owners(settings)
            continue
        with pytest.raises(LoadError, match=r"\[0\].program.protocol: cannot be combined .* fix: protocol: json"):
            require_findable_owners(settings)


def test_people_of_a_provider_whose_names_cannot_be_compared() -> None:
    """Whether a directory knows the name of somebody who logs in at a provider must be known, too."""
    ldap = _settings().authentication[0].model_dump(exclude_unset=True)
    provider = {"name": "sso", "preset": "dex", "issuer": "https://sso.example.com", "client_id": "x"}
    with pytest.raises(LoadError, match="cannot be combined with oidc"):
        require_findable_owners(_settings(authentication=[ldap, {"oidc": provider}]))


def test_refresh_terms() -> None:
    """Only where they are configured, and not where a registry says no."""
    assert refresh_terms(_settings()) is None
    expected = RefreshTerms(3600, 7200, 5, frozenset({"one"}))
    assert refresh_terms(_settings(refresh_tokens={"idle": "1h", "lifetime": "2h", "per_user": 5})) == expected
