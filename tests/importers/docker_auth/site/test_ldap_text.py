"""The section ldap: what docker_auth's keys become, and what keeps it a comment."""

from __future__ import annotations

import pytest
import yaml

from tokenserver.importers.docker_auth.site.ldap_text import FILE_KEYS, ldap_section

WHOLE = {"addr": "x:389", "base": "o=x", "filter": "(&(sAMAccountName=${account})(x=y))"}
GROUPS = {"team": {"attribute": "memberOf", "parse_cn": True}}

SECTIONS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "plain": ({}, {"url": "ldap://x:389", "insecure_plaintext": True, "anonymous_search": True}),
    "STARTTLS": ({"tls": "starttls"}, {"start_tls": True}),
    "TLS": ({"tls": "always"}, {"url": "ldaps://x:389"}),
    "by its port": ({"addr": "x:636"}, {"url": "ldaps://x:636"}),
    "an account": (
        {"bind_dn": "cn=x", "bind_password_file": "secret"},
        {"bind_dn": "cn=x", "bind_password_file": "ldap-password"},
    ),
    "a CA": ({"ca_certificate": "ca.crt", "tls": "always"}, {"ca_file": "ldap-ca.pem"}),
    "the filter": ({}, {"user_filter": "(&(sAMAccountName={user})(x=y))", "subject": "sAMAccountName"}),
    "groups": ({"labels": GROUPS}, {"groups": {"by": "memberof", "prefix": "team="}}),
}


@pytest.mark.parametrize(("values", "expected"), SECTIONS.values(), ids=SECTIONS)
def test_sections(values: dict[str, object], expected: dict[str, object]) -> None:
    """Whole, with the files at hand."""
    text, problem = ldap_section({**WHOLE, **values}, FILE_KEYS)
    section = yaml.safe_load(text)[0]["ldap"]
    assert problem == ""
    assert section | expected == section


COMMENTS: dict[str, dict[str, object]] = {
    "no file": {"bind_dn": "cn=x", "bind_password_file": "secret"},
    "no attribute": {"filter": "(|(uid=x${account}))"},
    "a bind as the user": {"initial_bind_as_user": True},
    "no verification": {"insecure_tls_skip_verify": True},
    "another label": {"labels": {**GROUPS, "title": {"attribute": "title"}}},
    "a label without a CN": {"labels": {"team": {"attribute": "memberOf"}}},
    "a label of another shape": {"labels": {"team": 1}},
}


@pytest.mark.parametrize("values", COMMENTS.values(), ids=COMMENTS)
def test_comments(values: dict[str, object]) -> None:
    """The operator decides."""
    assert ldap_section({**WHOLE, **values}, {})[1]
