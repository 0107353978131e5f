"""Why docker_auth does not start with a configuration. Recorded answers say that it does not."""

from __future__ import annotations

import pytest

from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.validation import start_problem

GOOD = {
    "server": "{addr: ':5001'}",
    "token": "{issuer: Acme, expiration: 900}",
    "users": "{}",
    "acl": "[{match: {name: a, labels: {b: '/c/'}}}]",
}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("acl", GOOD["acl"], None, id="nothing"),
        pytest.param("server", "{}", (1, "server.addr"), id="no address"),
        pytest.param("server", "{addr: ':1', net: udp}", (1, "server.net"), id="net"),
        pytest.param("server", "{addr: ':1', path_prefix: a}", (1, "server.path_prefix"), id="prefix"),
        pytest.param("token", "{expiration: 1}", (2, "token.issuer"), id="no issuer"),
        pytest.param("token", "{issuer: a}", (2, "token.expiration"), id="no expiration"),
        pytest.param("users", "", (0, "source of users"), id="no users"),
        pytest.param("acl", "", (0, "source of rules"), id="no rules"),
        pytest.param("acl", "[]\ncasbin_authz: {}", None, id="an empty ACL"),
        pytest.param("acl", "\ncasbin_authz: {}", (0, "source of rules"), id="Casbin alone"),
        pytest.param("acl", "\next_authz: {}", None, id="another source of rules"),
        pytest.param("acl", "[{match: {}},\n {actions: []}]", (5, "no match"), id="no match"),
        pytest.param("acl", "[{match: {ip: x}}]", (4, "match.ip"), id="no network"),
        pytest.param("acl", "[{match: {ip: '::1'}}]", None, id="an address"),
        pytest.param("acl", "[{match: {service: '/(/'}}]", (4, "regular expression"), id="no expression"),
        pytest.param(
            "acl", "[{match: {labels: {a: '/(/'}}}]", (4, "regular expression"), id="no expression for a label"
        ),
    ],
)
def test_start_problem(key: str, value: str, expected: tuple[int, str] | None) -> None:
    """The first problem with its line."""
    text = "\n".join(f"{name}: {content}" for name, content in {**GOOD, key: value}.items())
    found = start_problem(read_docker_auth(text, "f"))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == expected[0]
        assert expected[1] in found[1]
