"""Lint of definitions that no rule uses."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from pathlib import Path

from lint_trees import READERS, ROBOT, boundary, codes

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


ONE = READERS + ROBOT
JOB = READERS + "workloads: {web: {from: github, claims: {repository_id: 74}}}\n"
DENY = "deny id: d, to: [{}], repositories: [p], actions: [pull]\n"
TEST = "tests: [{{as: {}, cannot: [push p]}}]\n"
UNUSED += [
    (ONE, True),
    (ONE + DENY.format("'robot:ci'"), False),
    (ONE + DENY.format("authenticated").replace("actions", "except: ['robot:ci'], actions"), False),
    (ONE + DENY.format("robots"), False),
    (ONE + DENY.format("workloads"), True),
    (ONE + DENY.format("authenticated"), True),
    (ONE + DENY.format("everyone"), True),
    (ONE + DENY.format("everyone").replace("actions", "except: [anonymous], actions"), False),
    (ONE + DENY.format("'group:g'") + "groups: {g: {robots: [ci]}}\n", False),
    (ONE + DENY.format("'group:g-{t}'").replace("[p]", "['${t}/x']"), True),
    (ONE + TEST.format("{robot: ci}"), False),
    (ONE + TEST.format("{user: x}"), True),
    (ONE + "tests: [{what_can: 'robot:ci', exactly: []}]\n", False),
    (ONE + "tests: [{who_can: push p, excludes: ['robot:ci']}]\n", False),
    (ONE + "tests: [{who_can: push p, excludes: ['user:x']}]\n", True),
    (READERS + DENY.format("robots") + "robots: {ci: {owners: ['group:g']}}\ngroups: {g: {users: [x]}}\n", False),
    (READERS + DENY.format("robots") + "robots: {ci: {owners: ['user:g']}}\ngroups: {g: {users: [x]}}\n", True),
    (JOB, True),
    (JOB + DENY.format("'workload:web'"), False),
    (JOB + DENY.format("workloads"), False),
    (JOB + DENY.format("robots"), True),
    (JOB + DENY.format("'workload:web'").replace("actions", "when: {claims: {environment: prod}}, actions"), False),
    (JOB + DENY.format("workloads").replace("actions", "when: {claims: {environment: prod}}, actions"), False),
    (JOB + DENY.format("'group:g'") + "groups: {g: {workloads: [web]}}\n", False),
    (JOB + TEST.format("{workload: {from: github, claims: {repository_id: 74}}}"), False),
    (JOB + TEST.format("{workload: {from: github, claims: {repository_id: 75}}}"), True),
    (JOB + "tests: [{who_can: push p, excludes: ['workload:web']}]\n", False),
]  # fmt: skip


@boundary({"TS120": UNUSED})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected
