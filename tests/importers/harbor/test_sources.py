"""The user source in place of Harbor's: what is known of it, for the operator to complete."""

from __future__ import annotations

from typing import Any

import pytest

from tokenserver.documents.strict_yaml import read_yaml
from tokenserver.importers.harbor.model import HarborExport
from tokenserver.importers.harbor.sources import HarborSource, user_source
from tokenserver.importers.report import Verdict

LDAP = {
    "auth_mode": "ldap_auth",
    "ldap_url": "ldaps://ldap.example.com",
    "ldap_base_dn": "ou=people,dc=example,dc=com",
    "ldap_search_dn": "cn=harbor,dc=example,dc=com",
    "ldap_uid": "sAMAccountName",
    "ldap_filter": "objectClass=person",
    "ldap_group_base_dn": "ou=groups,dc=example,dc=com",
}
OIDC = {
    "auth_mode": "oidc_auth",
    "oidc_endpoint": "https://sso.example.com/realms/corp",
    "oidc_client_id": "harbor",
    "oidc_scope": "openid,profile",
}


def source(settings: dict[str, str], *, has_passwords: bool = True) -> HarborSource:
    """The user source of an export with these settings."""
    return user_source(HarborExport("x.json", settings=settings), has_passwords=has_passwords)


def values(found: HarborSource) -> Any:
    """Its text as YAML."""
    return read_yaml(found.text, "x.yaml")[0]


def test_a_directory() -> None:
    """All but the password."""
    found = source(LDAP)
    assert found.construct.verdict is Verdict.NOT_TRANSLATED
    assert values(found) == [
        {
            "ldap": {
                "name": "ldap",
                "preset": "openldap",
                "url": "ldaps://ldap.example.com",
                "base": "ou=people,dc=example,dc=com",
                "bind_dn": "cn=harbor,dc=example,dc=com",
                "bind_password_file": "ldap-password",
                "user_filter": "(&(objectClass=person)(sAMAccountName={user}))",
                "subject": "sAMAccountName",
                "groups": {"by": "memberof", "base": "ou=groups,dc=example,dc=com", "name": "cn"},
            }
        }
    ]


def test_a_provider() -> None:
    """All but the secret."""
    found = source(OIDC)
    assert values(found)[0]["oidc"]["issuer"] == "https://sso.example.com/realms/corp"
    assert '["openid", profile]'.replace('"', "") in found.text
    assert source({**OIDC, "oidc_scope": ""}).text in found.text


@pytest.mark.parametrize(
    ("mode", "has_passwords", "verdict"),
    [
        pytest.param("db_auth", True, Verdict.DIFFERENT, id="passwords"),
        pytest.param("db_auth", False, Verdict.EXACT, id="nobody"),
        pytest.param("uaa_auth", True, Verdict.NOT_TRANSLATED, id="something else"),
    ],
)
def test_no_source(mode: str, has_passwords: bool, verdict: Verdict) -> None:
    """A users file is enough, or there is nothing like it."""
    found = source({"auth_mode": mode}, has_passwords=has_passwords)
    assert (found.text, found.construct.verdict) == ("", verdict)
