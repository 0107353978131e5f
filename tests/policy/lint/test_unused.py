"""Lint of definitions that no rule uses."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from pathlib import Path

from lint_trees import READERS, boundary, codes

TEAM = "id: t, to: ['group:reg-{team}-rw'], repositories: ['x/${team}'], role: reader\n"
DELEGATING = READERS + "delegate: [{file: teams/web.yaml, repositories: ['**'], actions: [pull]}]\n"
UNUSED = [
    (READERS + "groups: {g: {users: [x]}}", True),
    (READERS + "deny id: d, to: ['group:g'], repositories: [p], actions: [pull]\ngroups: {g: {users: [x]}}", False),
    (READERS + "deny id: d, to: [everyone], except: ['group:g'], repositories: [p], actions: [pull]\ngroups: {g: {users: [x]}}", False),
    (READERS + "deny id: d, to: ['group:h'], repositories: [p], actions: [pull]\ngroups: {g: {users: [x]}, h: {includes: [g]}}", False),
    (READERS + "groups: {g: {users: [x]}, h: {includes: [g]}}", True),
    (READERS + "deny id: d, to: [everyone], repositories: ['${group}'], actions: [pull]\ngroups: {p: {users: [x]}}", False),
    (READERS + "deny id: d, to: [everyone], repositories: ['${user}', p], actions: [pull]\ngroups: {p: {users: [x]}}", True),
    (READERS + "roles: {cleaner: [delete]}", True),
    (READERS + "roles: {cleaner: [delete]}\nid: b, to: ['user:x'], repositories: [p], role: cleaner", False),
    (READERS + "roles: {cleaner: [delete]}\ndeny id: b, to: ['user:x'], repositories: [p], role: cleaner", False),
    (READERS + "groups: {g: {users: [x]}}\ntests: [{as: {user: x}, can: [pull p]}]", True),
    (TEAM + "groups: {reg-web-rw: {users: [x]}}", False),
    (TEAM + "groups: {reg-web-ro: {users: [x]}}", True),
    (TEAM + "groups: {reg--rw: {users: [x]}}", True),
    (TEAM + "groups: {reg-rw: {users: [x]}}", True),
    (TEAM + "groups: {reg-web-rw: {includes: [web]}, web: {users: [x]}}", False),
    (TEAM + "groups: {web: {includes: [reg-web-rw]}, reg-web-rw: {users: [x]}}", True),
    (TEAM.replace("rw'", "rw', 'group:admin-{team}'") + "groups: {admin-web: {users: [x]}}", False),
    (READERS + f"deny {TEAM.replace('role: reader', 'actions: [pull]')}" + "groups: {reg-web-rw: {users: [x]}}", False),
    (READERS + "deny id: d, to: [everyone], repositories: ['x-${group}'], actions: [pull]\ngroups: {p: {users: [x]}}", False),
    (DELEGATING + "file teams/web.yaml\n" + TEAM + "groups: {reg-web-rw: {users: [x]}}", True),
    (DELEGATING + "groups: {reg-web-rw: {users: [x]}}\nfile teams/web.yaml\n" + TEAM, False),
]  # fmt: skip


@boundary({"TS120": UNUSED})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected
