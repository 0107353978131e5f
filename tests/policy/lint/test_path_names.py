"""Lint of rules with `${user}` for users whose name cannot be a segment."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_trees import READERS, ROBOT, WORKLOADS, boundary, codes

from tokenserver.identity import NamespaceRule, Namespaces

OWN = "id: own, to: [authenticated], repositories: ['u/${user}/**'], role: writer\n"
PART = "id: own, to: [authenticated], repositories: ['u/x-${user}/**', '${user}-*'], role: writer\n"
NAMED = "id: n, to: ['user:{}'], repositories: [p], role: reader\n"
TEAM = "id: t, to: ['group:reg-{team}'], repositories: ['${team}/${user}/*'], role: writer\n"
UNFILLED = [
    (OWN, False),
    (OWN + NAMED.format("JohnDoe"), True),
    (OWN + NAMED.format("johndoe"), False),
    (OWN + NAMED.format("a@example.com"), True),
    (OWN + NAMED.format("a-b.c__d"), False),
    (OWN + NAMED.format("a-"), True),
    (PART + NAMED.format("a-"), True),
    (PART + NAMED.format("A"), True),
    (PART + NAMED.format("a"), False),
    (READERS + NAMED.format("A"), False),
    (OWN.replace("authenticated", "'user:a'") + NAMED.format("A"), False),
    (OWN.replace("[authenticated]", "[authenticated], except: ['user:A']"), False),
    (OWN.replace("authenticated", "'group:g'") + "groups: {g: {users: [A]}}", True),
    (OWN.replace("authenticated", "'group:g'") + NAMED.format("A") + "groups: {g: {users: [b]}}", False),
    (TEAM + NAMED.format("A"), False),
    (TEAM + NAMED.format("A") + "groups: {reg-web: {users: [A]}}", True),
    (TEAM + NAMED.format("A") + "groups: {reg-web: {users: [a]}, web: {users: [A]}}", False),
    (READERS + NAMED.format("A") + "deny id: d, to: [everyone], repositories: ['${user}/x'], actions: [pull]", True),
    (OWN.replace("/**'", "/**'], not: ['u/a/**'") + NAMED.format("A"), True),
]


MACHINES = ROBOT + WORKLOADS
UNFILLED += [
    (OWN + MACHINES, False),
    (OWN.replace("authenticated", "everyone") + MACHINES, False),
    (OWN.replace("authenticated", "authenticated, robots") + MACHINES, True),
    (OWN.replace("authenticated", "authenticated, workloads") + MACHINES, True),
    (OWN.replace("authenticated", "'user:a', 'robot:ci'") + MACHINES, True),
    (OWN.replace("authenticated", "'user:a', 'workload:web'") + MACHINES, True),
    (OWN.replace("authenticated", "robots") + MACHINES, False),
    (OWN.replace("authenticated", "robots").replace("'u/${user}/**'", "'u/${user}/**', q") + MACHINES, True),
    (OWN.replace("authenticated", "'group:g'") + "groups: {g: {users: [a], robots: [ci]}}\n" + MACHINES, False),
    (TEAM + "groups: {reg-web: {users: [a], robots: [ci]}}\n" + MACHINES, False),
    (OWN + "id: n, to: ['robot:a-b'], repositories: [p], role: reader\nrobots: {a-b: }\n", False),
]


@boundary({"TS116": UNFILLED})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected


@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        (NamespaceRule.LOWER, "JohnDoe", False),
        (NamespaceRule.LOWER, "a@example.com", True),
        (NamespaceRule.SLUG, "a@example.com", False),
        (NamespaceRule.SLUG, "@", True),
        (NamespaceRule.ATTRIBUTE, "@", False),
    ],
)
def test_sources_that_map_names(tmp_path: Path, rule: NamespaceRule, name: str, expected: bool) -> None:
    """Only users without any namespace have the finding."""
    found = codes(tmp_path, PART + NAMED.format(name), namespaces=Namespaces(frozenset({rule})))
    assert ("TS116" in found) is expected
