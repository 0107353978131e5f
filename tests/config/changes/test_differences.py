"""Differences between two configurations: every key can be one, entries are matched by name, and no value shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from configuration import MINIMAL, REFERENCE, load

from tokenserver.config.changes.differences import MAX_LISTED, changed_keys, listed


def keys(folder: Path, old: str, new: str) -> list[str]:
    return [change.key for change in changed_keys(load(folder, old), load(folder, new))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("issuer: auth.example.com", "issuer: other.example.com", ["issuer"]),
        ("listen: 127.0.0.1:5001", "listen: 127.0.0.1:5002", ["server.listen"]),
        ("    certificate: tls.pem", "    certificate: new.pem", ["server.tls.certificate"]),
        ("  tls:\n    certificate: tls.pem\n    key: tls.key\n", "", ["server.tls"]),
        ('[10.0.0.0/8, "2001:db8::/32"]', "[10.0.0.0/8]", ["server.trusted_proxies"]),
        ("default: 10m", "default: 11m", ["registries[registry.example.com].token_lifetime.default"]),
        ("also: [old.example.com, ", "also: [", ["registries[registry.example.com].also"]),
        ("  - service: second\n", "", ["registries[second] (removed)"]),
        (
            "  - service: second\n",
            "  - service: third\n",
            ["registries[second] (removed)", "registries[third] (added)"],
        ),
        ("cache: 45s", "cache: 44s", ["authentication[local].htpasswd.cache"]),
        ('bind_password: "1234"', 'bind_password: "4321"', ["authentication[second].ldap.bind_password"]),
        ("        by: member\n", "        by: nested\n", ["authentication[corp].ldap.groups.by"]),
        ("window: 10m", "window: 11m", ["throttle.window"]),
        ("rotate_every: 30d", "rotate_every: 31d", ["keys.rotate_every"]),
        ("token_reuse: 5s", "token_reuse: 4s", ["token_reuse"]),
        ("anonymous: true", "anonymous: false", ["anonymous"]),
        ("token_reuse: 5s", "token_reuse: 5", []),
    ],
)
def test_one_change(folder: Path, old: str, new: str, expected: list[str]) -> None:
    """It is named by its place, and another spelling of the same value is none."""
    assert REFERENCE.count(old) == 1
    assert keys(folder, REFERENCE, REFERENCE.replace(old, new)) == expected


def test_the_order_of_sources_is_a_change(folder: Path) -> None:
    """The first source that knows a user decides; an entry in front of the others is no change of theirs."""
    one, two, three = (f"{{htpasswd: {{file: {name}, name: {name}}}}}" for name in "abc")
    sources = "authentication: [{htpasswd: {file: users.htpasswd}}]"
    both = MINIMAL.replace(sources, f"authentication: [{one}, {two}]")
    assert keys(folder, both, MINIMAL.replace(sources, f"authentication: [{two}, {one}]")) == ["authentication (order)"]
    assert keys(folder, both, MINIMAL.replace(sources, f"authentication: [{three}, {one}, {two}]")) == [
        "authentication[c] (added)"
    ]


def test_everything_at_once(folder: Path) -> None:
    """Paths hold field names only, as far as both configurations have the section."""
    found = changed_keys(load(folder, MINIMAL), load(folder, REFERENCE))
    assert all(re.fullmatch(r"[a-z_]+", step) for change in found for step in change.path)
    assert ("server", "listen") not in [change.path for change in found]  # the same in both
    assert {change.path[0] for change in found} >= {"server", "registries", "authentication", "throttle", "keys"}
    assert "1234" not in str(found)


def test_a_long_list_is_cut() -> None:
    """At most `MAX_LISTED` keys, and how many more."""
    names = [f"k{number}" for number in range(MAX_LISTED + 2)]
    assert listed(names) == ", ".join(names[:MAX_LISTED]) + " and 2 more"
    assert listed(names[:2]) == "k0, k1"
