"""How user sources map names: the rules of each kind, and what cannot be combined."""

from __future__ import annotations

from pathlib import Path

import pytest
from configuration import MINIMAL, faults_of, load

from tokenserver.config.sources.names import rule_of
from tokenserver.identity import NamespaceRule, Namespaces

LDAP = (
    "ldap: {preset: openldap, url: ldaps://ldap.example.com, base: dc=example, bind_dn: cn=reader,"
    " bind_password_file: reader, "
)


def with_sources(*sources: str) -> str:
    """MINIMAL with these user sources."""
    return MINIMAL.replace("{htpasswd: {file: users.htpasswd}}", ", ".join(f"{{{one}}}" for one in sources))


@pytest.mark.parametrize(
    ("sources", "rules"),
    [
        (["htpasswd: {file: users}"], None),
        (["htpasswd: {file: users, names: {namespace: lower}}"], {NamespaceRule.LOWER}),
        (["htpasswd: {file: users, names: {namespace: slug}}"], {NamespaceRule.SLUG}),
        (["htpasswd: {file: users}", f"{LDAP}names: {{namespace: lower}}}}"], {None, NamespaceRule.LOWER}),
        ([f"{LDAP}names: {{namespace: attribute, attribute: uid}}}}"], {NamespaceRule.ATTRIBUTE}),
    ],
)
def test_rules(folder: Path, sources: list[str], rules: set[NamespaceRule | None] | None) -> None:
    """The rule of each source; without any, names are not mapped."""
    settings = load(folder, with_sources(*sources))
    assert settings.namespaces == (None if rules is None else Namespaces(frozenset(rules)))
    assert {rule_of(one.names) for one in settings.authentication} == (rules or {None})


def test_the_directory_knows(folder: Path) -> None:
    """The rule and the attribute reach the directory."""
    settings = load(folder, with_sources(f"{LDAP}names: {{namespace: attribute, attribute: employeeNumber}}}}"))
    assert settings.authentication[0].ldap is not None
    directory = settings.authentication[0].ldap.directory(None)
    assert (directory.namespace_rule, directory.namespace_attribute) == (NamespaceRule.ATTRIBUTE, "employeeNumber")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        pytest.param(
            "htpasswd: {file: users, names: {namespace: attribute}}", "namespace", id="no attributes in a file"
        ),
        pytest.param("htpasswd: {file: users, names: {}}", "namespace", id="no rule"),
        pytest.param("htpasswd: {file: users, names: {namespace: upper}}", "namespace", id="no such rule"),
        pytest.param(f"{LDAP}names: {{namespace: slug}}}}", "namespace", id="a slug cannot be searched for"),
        pytest.param(f"{LDAP}names: {{namespace: attribute}}}}", "is missing: the attribute", id="no attribute"),
        pytest.param(f"{LDAP}names: {{namespace: lower, attribute: uid}}}}", "has no effect", id="attribute unused"),
        pytest.param(
            "ldap: {preset: openldap, url: ldaps://ldap.example.com, base: dc=example, user_dn_template:"
            ' "uid={user},dc=example", names: {namespace: lower}}',
            "needs an account that searches",
            id="nobody can search",
        ),
    ],
)
def test_faults(folder: Path, source: str, fault: str) -> None:
    """Each stops the start, at its place."""
    (found,) = faults_of(folder, with_sources(source))
    assert fault in found
