"""Traps of a whole installation: each is found where it is, and nowhere else."""

from __future__ import annotations

import pytest

from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.site.installation_traps import installation_constructs

ALWAYS = {"account in a request", "malformed credentials"}
TRAPS = {
    "nothing": ("acl: []", set()),
    "invented actions": ("acl: [{match: {service: x}, actions: ['*']}]", {'actions: ["*"]'}),
    "no service": ("acl: [{match: {}, actions: []}]", {"entries without service"}),
    "the account": ("acl: [{match: {service: x, name: '${account}'}, actions: []}]", {"${account}"}),
    "everybody, with other sources": (
        "{ldap_auth: {addr: x}, acl: [{match: {service: x, account: '*'}, actions: []}]}",
        {"ldap_auth: names of accounts", 'account: "*"'},
    ),
    "addresses": ("acl: [{match: {service: x, ip: 10.0.0.0/8}, actions: []}]", {"ip"}),
    "a header": ("server: {real_ip_header: X}", {"server.real_ip_header: X, real_ip_pos: 0"}),
    "its last entry": ("server: {real_ip_header: X, real_ip_pos: -1}", {"server.real_ip_header: X, real_ip_pos: -1"}),
    "Let's Encrypt": ("server: {letsencrypt: {host: x}}", {"server.letsencrypt"}),
    "a directory": ("ldap_auth: {addr: x}", {"ldap_auth: names of accounts"}),
    "a login by browser": ("github_auth: {organization: x}", {"github_auth: logins by browser"}),
    "an ignored key": ("sever: {}", {"sever"}),
    "a key that its entry reports": ("acl: [{match: {service: x, team: y}, actions: []}]", set()),
}


@pytest.mark.parametrize(("text", "expected"), TRAPS.values(), ids=TRAPS)
def test_traps(text: str, expected: set[str]) -> None:
    """By the text of the construct."""
    config = read_docker_auth(text, "auth.yml")
    assert {one.text for one in installation_constructs(config, ("x",))} == ALWAYS | expected
