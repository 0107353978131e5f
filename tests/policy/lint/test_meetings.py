"""Lint of rules that meet: covered and denied rules, what logging in takes away, denies that meet no allow."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from pathlib import Path

import pytest
from lint_trees import READERS, ROBOT, USERS, WORKLOADS, boundary, codes

LOSES = [
    ("id: a, to: [anonymous], repositories: [p], role: reader", True),
    ("id: a, to: [everyone], repositories: [p], role: reader", False),
    ("id: a, to: [anonymous, authenticated], repositories: [p], role: reader", False),
    ("id: a, to: [anonymous, 'user:x'], repositories: [p], role: reader", True),
    ("id: a, to: [everyone], except: [authenticated], repositories: [p], role: reader", True),
    ("id: a, to: [everyone], except: ['group:x'], repositories: [p], role: reader", False),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: anonymous}", True),
    ("id: a, to: [anonymous], repositories: [p], role: reader\n" + USERS, False),
    ("id: a, to: [anonymous], repositories: [p, q], role: reader\nid: b, to: [authenticated], repositories: [p], role: reader", True),
    ("id: a, to: [everyone], repositories: [p], role: reader\ndeny id: d, to: [authenticated], repositories: ['p*'], actions: [pull]", True),
    ("id: a, to: [everyone], repositories: [p], role: reader\ndeny id: d, to: [everyone], repositories: ['p*'], actions: [pull], when: {until: 2027-01-01}", False),
    ("id: a, to: ['user:x'], repositories: [p], role: reader\ndeny id: d, to: [authenticated], repositories: ['p*'], actions: [pull], when: {until: 2027-01-01}", False),
    ("id: a, to: [everyone], repositories: [p], role: reader\ndeny id: d, to: [authenticated], repositories: ['${user}'], actions: [pull]", False),
]  # fmt: skip
P = "id: a, to: ['user:x'], repositories: ['p/*'], role: writer"
MEETS_NONE = [
    (P + "\ndeny id: d, to: [everyone], repositories: [q], actions: [push]", True),
    (P + "\ndeny id: d, to: [everyone], repositories: ['*/q'], actions: [push]", False),
    (P + "\ndeny id: d, to: [everyone], repositories: ['*/*/q'], actions: [push]", True),
    (P + "\ndeny id: d, to: [everyone], repositories: [p/q], actions: [delete]", True),
    (P + "\ndeny id: d, to: [everyone], repositories: [p/q], actions: ['*']", False),
    (P + "\ndeny id: d, to: ['user:y'], repositories: [p/q], actions: [push]", True),
    (P + "\ndeny id: d, to: ['group:y'], repositories: [p/q], actions: [push]", False),
    (P + "\ndeny id: d, to: ['group:y'], repositories: [p/q], actions: [push]\ngroups: {y: {users: [z]}}", True),
    (P + "\ndeny id: d, to: ['group:y'], repositories: [p/q], actions: [push]\ngroups: {y: {users: [x]}}", False),
    (P + "\ndeny id: d, to: [everyone], except: ['user:x'], repositories: [p/q], actions: [push]", True),
    (P + "\ndeny id: d, to: [anonymous], repositories: [p/q], actions: [push]", True),
    (P + "\ndeny id: d, to: [everyone], repositories: ['${user}/q'], actions: [push]", False),
    (P + ", when: {until: 2026-07-01}\ndeny id: d, to: [everyone], repositories: [p/q], actions: [push], when: {since: 2026-08-01}", True),
    (P + ", when: {from: [10.0.0.0/8]}\ndeny id: d, to: [everyone], repositories: [p/q], actions: [push], when: {not_from: [10.0.0.0/8]}", True),
    (P + ", when: {from: [10.0.0.0/8]}\ndeny id: d, to: [everyone], repositories: [p/q], actions: [push], when: {not_from: [10.1.0.0/16]}", False),
    (P.replace("'user:x'", "'group:g'") + "\ndeny id: d, to: ['user:y'], repositories: [p/q], actions: [push]", False),
    ("id: a, to: [everyone], registry: [catalog], actions: ['*']\ndeny id: d, to: ['user:y'], registry: [catalog], actions: [pull]", False),
]  # fmt: skip
NO_TOKENS = [
    ("id: a, to: [anonymous], repositories: [p], role: reader", True),
    ("id: a, to: [everyone], repositories: [p], role: reader", False),
    ("id: a, to: [anonymous, authenticated], repositories: [p], role: reader", True),
    ("id: a, to: [authenticated], repositories: [p], role: reader", False),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: anonymous}", True),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: [anonymous, password]}", False),
    ("id: a, to: [everyone], except: [anonymous], repositories: [p], role: reader", False),
    (READERS + "deny id: d, to: [anonymous], repositories: [p], actions: [pull]", True),
    (READERS + "deny id: d, to: [everyone], repositories: [p], actions: [push]", False),
    ("id: a, to: [anonymous], registry: [catalog], actions: ['*']", True),
]
UNTIL = "id: a, to: ['user:x'], repositories: [p], role: reader"
OTHER = "\nid: b, to: [authenticated], repositories: ['*'], role: reader"
COVERED = [
    (UNTIL + OTHER, True),
    (UNTIL + OTHER + ", when: {since: 2026-05-31}", True),
    (UNTIL + OTHER + ", when: {since: 2026-06-01}", True),
    (UNTIL + OTHER + ", when: {since: 2026-06-02}", False),
    (UNTIL + ", when: {since: 2026-06-03}" + OTHER + ", when: {since: 2026-06-02}", True),
    (UNTIL + OTHER + ", when: {until: 2027-01-01}", False),
    (UNTIL + ", when: {until: 2026-12-01}" + OTHER + ", when: {until: 2027-01-01}", True),
    (UNTIL + ", when: {from: [10.0.0.0/8]}" + OTHER + ", when: {from: [10.0.0.0/9, 10.128.0.0/9]}", True),
    (UNTIL + ", when: {from: [10.0.0.0/8]}" + OTHER + ", when: {from: [10.0.0.0/9, 10.128.0.0/10]}", False),
    (UNTIL + ", when: {from: [11.0.0.0/8]}" + OTHER + ", when: {not_from: [10.0.0.0/8]}", True),
    (UNTIL + OTHER + ", when: {not_from: [10.0.0.0/8]}", False),
]
DENIED = [
    (UNTIL + "\ndeny id: d, to: [everyone], repositories: ['*'], actions: ['*']", True),
    (UNTIL + "\ndeny id: d, to: [everyone], repositories: ['*'], actions: ['*'], when: {since: 2026-05-01}", True),
    (UNTIL + "\ndeny id: d, to: [everyone], repositories: ['*'], actions: ['*'], when: {since: 2026-07-01}", False),
    (UNTIL + "\ndeny id: d, to: [everyone], repositories: ['*'], actions: ['*'], when: {from: [0.0.0.0/0, '::/0']}", True),
    (UNTIL + "\ndeny id: d, to: [everyone], repositories: ['*'], actions: ['*'], when: {from: [0.0.0.0/1, 128.0.0.0/1, '::/1', '8000::/1']}", True),
    (UNTIL + "\ndeny id: d, to: [everyone], repositories: ['*'], actions: ['*'], when: {from: [0.0.0.0/0]}", False),
    (UNTIL + "\ndeny id: d, to: [everyone], repositories: ['*'], actions: [push]", False),
    (UNTIL + "\ndeny id: d, to: ['user:x'], repositories: ['*'], actions: [pull]", True),
    (UNTIL + "\ndeny id: d, to: ['user:y'], repositories: ['*'], actions: [pull]", False),
    (UNTIL + "\ndeny id: d, to: ['group:g'], repositories: ['*'], actions: [pull]\ngroups: {g: {includes: [h]}, h: {users: [x]}}", True),
]  # fmt: skip
PUSH = "id: a, to: ['user:x'], repositories: [p/a, p/b], actions: [push]"
PUSH_ALONE = [
    (PUSH, True),
    (PUSH.replace("[push]", "[push, pull]"), False),
    (PUSH.replace("[push]", "[push, delete]"), True),
    (PUSH.replace("actions: [push]", "role: writer"), False),
    (PUSH.replace("[push]", "[delete]"), False),
    (PUSH + "\nid: b, to: [authenticated], repositories: ['p/*'], role: reader", False),
    (PUSH + "\nid: b, to: [authenticated], repositories: [p/a], role: reader", True),
    (PUSH + "\nid: b, to: ['user:y'], repositories: ['p/*'], role: reader", True),
    (PUSH + "\nid: b, to: [authenticated], except: ['user:x'], repositories: ['p/*'], role: reader", True),
    (PUSH + "\nid: b, to: [authenticated], repositories: ['p/*'], not: [p/b], role: reader", True),
    (PUSH + "\nid: b, to: [authenticated], repositories: ['p/*'], not: [p/c], role: reader", False),
    (PUSH.replace("p/b]", "'p/**'], not: [p/c]") + "\nid: b, to: [authenticated], repositories: ['p/**'], not: [p/c], role: reader", False),
    (PUSH + "\nid: b, to: [authenticated], repositories: ['p/*'], role: reader, when: {since: 2027-01-01}", True),
    (READERS + "deny id: d, to: [everyone], repositories: [p], actions: [push]", False),
]  # fmt: skip
PROD = "id: a, to: ['user:x'], repositories: ['p/**'], not: ['p/prod/**'], role: reader"
TREE = "\nid: b, to: [authenticated], repositories: ['p/**'], role: reader"
TEAM = "to: ['group:reg-{team}-rw'], repositories: ['${team}/**'], role: reader"
COVERED += [
    (PROD + TREE, True),
    (PROD + TREE + ", not: ['p/prod/**']", True),
    (PROD + TREE + ", not: ['p/prod/x']", True),
    (PROD + TREE + ", not: ['p/prod/**', 'p/q/*']", False),
    (PROD.replace(", not: ['p/prod/**']", "") + TREE + ", not: ['p/prod/**']", False),
    (PROD.replace("'p/**'", "'p/a/**'").replace("prod", "a/x") + TREE + ", not: ['p/prod/**']", True),
    (PROD + "\nid: b, to: [authenticated], repositories: ['p/*', 'p/x/**'], role: reader", False),
    (PROD.replace("p/prod/**", "p/*/**") + "\nid: b, to: [authenticated], repositories: ['p/*'], role: reader", True),
    (f"id: a, {TEAM}\nid: b, {TEAM}", True),
    (f"id: a, {TEAM}\nid: b, {TEAM.replace('-rw', '-ro')}", False),
    (f"id: a, to: ['group:reg-web-rw'], repositories: ['web/**'], role: reader\nid: b, {TEAM}", True),
    (f"id: a, to: ['group:reg-web-rw'], repositories: ['data/**'], role: reader\nid: b, {TEAM}", False),
    (f"id: a, to: ['group:reg-web'], repositories: ['web/**'], role: reader\nid: b, {TEAM}", False),
    (f"id: a, to: ['group:reg-web-rw', 'group:reg-x-rw'], repositories: ['web/**'], role: reader\nid: b, {TEAM}", False),
    (f"id: a, to: ['user:ann'], repositories: ['web/**'], role: reader\nid: b, {TEAM}\ngroups: {{reg-web-rw: {{users: [ann]}}}}", True),
    (f"id: a, to: ['user:ann'], repositories: ['web/**'], role: reader\nid: b, {TEAM}\ngroups: {{reg-web-rw: {{users: [bob]}}}}", False),
    ("id: a, to: ['group:web'], repositories: ['web/**'], role: reader\nid: b, to: [authenticated], repositories: ['${group}/**'], role: reader", True),
    ("id: a, to: ['group:web'], repositories: ['x/team-web'], role: reader\nid: b, to: [authenticated], repositories: ['x/team-${group}'], role: reader", True),
    ("id: a, to: [authenticated], repositories: ['x-${user}/a'], role: reader\nid: b, to: [authenticated], repositories: ['x-*/**'], role: reader", True),
    ("id: a, to: [authenticated], repositories: ['x-*/a'], role: reader\nid: b, to: [authenticated], repositories: ['x-${user}/**'], role: reader", False),
]  # fmt: skip
ALL = "\ndeny id: d, to: [everyone], repositories: ['**'], actions: ['*']"
DENIED += [
    (PROD + ALL + ", not: ['p/prod/x']", True),
    (PROD + ALL + ", not: ['p/q']", False),
    (f"id: a, {TEAM}{ALL}", True),
    (f"id: a, {TEAM}{ALL}, not: ['web/**']", False),
    (f"id: a, {TEAM}\ndeny id: d, {TEAM.replace('role: reader', 'actions: [pull]')}", True),
    (f"id: a, {TEAM}\ndeny id: d, {TEAM.replace('role: reader', 'actions: [pull]').replace('**', '*')}", False),
]
MEETS_NONE += [
    (P + ", not: ['p/q']\ndeny id: d, to: [everyone], repositories: [p/q], actions: [push]", True),
    (P + ", not: ['p/q']\ndeny id: d, to: [everyone], repositories: ['p/q*'], actions: [push]", False),
    (P + "\ndeny id: d, to: [everyone], repositories: ['p/**'], not: ['p/*'], actions: [push]", True),
    (P + "\ndeny id: d, to: [everyone], repositories: ['p/**'], not: ['p/a*'], actions: [push]", False),
    (P + ", not: ['p/a*']\ndeny id: d, to: [everyone], repositories: ['**'], not: ['*/*a*', '*/b*', '*/*b*', '*/c*'], actions: [push]", False),
    ("id: a, to: [authenticated], repositories: ['${group}/b'], not: [a/c], role: reader\ndeny id: d, to: [everyone], repositories: ['a/${group}'], not: ['a/a'], actions: [pull]", False),
    ("id: a, to: [authenticated], repositories: ['${group}/b'], not: [a/b], role: reader\ndeny id: d, to: [everyone], repositories: ['a/${group}'], actions: [pull]", True),
    (f"id: a, {TEAM}\ndeny id: d, to: [everyone], repositories: ['*/prod/**'], actions: [pull]", False),
    (f"id: a, {TEAM}\ndeny id: d, to: [everyone], repositories: [prod], actions: [pull]", True),
    (f"id: a, {TEAM}, not: ['*/prod/**']\ndeny id: d, to: [everyone], repositories: ['*/prod/**'], actions: [pull]", True),
    ("id: a, to: [everyone], repositories: ['x-${user}'], role: reader\ndeny id: d, to: [everyone], repositories: ['y-*'], actions: [pull]", True),
    ("id: a, to: [everyone], repositories: ['x-${user}'], role: reader\ndeny id: d, to: [everyone], repositories: ['*-y'], actions: [pull]", False),
]  # fmt: skip
LOSES += [
    ("id: a, to: [anonymous], repositories: ['p/**'], not: [p/x], role: reader\nid: b, to: [authenticated], repositories: ['p/**'], not: [p/x], role: reader", False),
    ("id: a, to: [anonymous], repositories: ['p/**'], role: reader\nid: b, to: [authenticated], repositories: ['p/**'], not: [p/x], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/**'], role: reader\ndeny id: d, to: [authenticated], repositories: ['p/x'], not: ['p/y'], actions: [pull]", True),
    ("id: a, to: [everyone], repositories: ['p/**'], not: [p/x], role: reader\ndeny id: d, to: [authenticated], repositories: ['p/x'], actions: [pull]", False),
    ("id: a, to: [everyone], repositories: ['p/**'], role: reader\ndeny id: d, to: ['group:reg-{team}'], repositories: ['p/${team}'], actions: [pull]", False),
]  # fmt: skip
MACHINES = ROBOT + WORKLOADS
CI = "id: a, to: ['robot:ci'], repositories: [p], role: reader\n"
WEB = CI.replace("robot:ci", "workload:web")
PROD_JOBS = CI.replace("robot:ci", "workload:prod")
BOTS = "groups: {g: {robots: [ci], workloads: [web]}, h: {users: [x], groups: [ldap]}}\n"


def also(to: str, tree: str = CI) -> str:
    """A second rule, for others."""
    return f"{tree}id: b, to: [{to}], repositories: ['*'], role: reader\n{BOTS}{MACHINES}"


def denied(to: str, tree: str = CI) -> str:
    """A deny rule for others."""
    return f"{tree}deny id: d, to: [{to}], repositories: ['*'], actions: ['*']\n{BOTS}{MACHINES}"


COVERED += [
    (also("authenticated"), False),
    (also("robots"), True),
    (also("workloads"), False),
    (also("everyone"), True),
    (also("'group:g'"), True),
    (also("'group:h'"), False),
    (also("robots, workloads", CI.replace("robot:ci", "group:g")), True),
    (also("authenticated, robots", CI.replace("robot:ci", "group:g")), False),
    (also("authenticated", CI.replace("robot:ci", "group:h")), True),
    (also("authenticated, anonymous", CI.replace("'robot:ci'", "everyone")), False),
    (also("authenticated, anonymous, robots, workloads", CI.replace("'robot:ci'", "everyone")), True),
    (also("'workload:web'", PROD_JOBS), True),
    (also("'workload:prod'", WEB), False),
    (also("'workload:lab'", WEB), False),
    (also("workloads", WEB), True),
    (also("authenticated", WEB), False),
    (also("'group:g'", PROD_JOBS), True),
    (also("'workload:web'", WEB.replace("reader", "reader, when: {claims: {event_name: push}}")), True),
    (f"id: a, {TEAM}\nid: b, to: [authenticated], repositories: ['**'], role: reader\n{MACHINES}", True),
    (f"id: a, {TEAM}\nid: b, to: [authenticated], repositories: ['**'], role: reader\n{MACHINES}groups: {{reg-a-rw: {{robots: [ci]}}}}", False),
    (f"id: a, to: ['robot:ci'], repositories: ['web/**'], role: reader\nid: b, {TEAM}\n{MACHINES}groups: {{reg-web-rw: {{robots: [ci]}}}}", True),
]  # fmt: skip
DENIED += [
    (denied("authenticated"), False),
    (denied("robots"), True),
    (denied("everyone"), True),
    (denied("'group:g'"), True),
    (denied("workloads", WEB), True),
    (denied("authenticated", WEB), False),
    (denied("'workload:web'", PROD_JOBS), True),
    (denied("'workload:prod'", WEB), False),
    (denied("robots", CI.replace("robot:ci", "group:g")), False),
]
MEETS_NONE += [
    (denied("authenticated"), True),
    (denied("robots"), False),
    (denied("'group:h'"), True),
    (denied("'group:ldap'"), True),
    (denied("'group:g'"), False),
    (denied("workloads"), True),
    (denied("'workload:prod'", WEB), False),
    (denied("'workload:lab'", WEB), True),
    (denied("'group:g'", WEB.replace("web", "lab")), True),
    (denied("'robot:cd'").replace("{ci: }", "{ci: , cd: }"), True),
    (denied("'robot:cd', 'user:x'").replace("{ci: }", "{ci: , cd: }"), True),
    (denied("'robot:cd', 'user:x'", CI.replace("'robot:ci'", "'robot:ci', authenticated")).replace("{ci: }", "{ci: , cd: }"), False),
    (denied("'robot:cd'", CI.replace("'robot:ci'", "'robot:ci', authenticated")).replace("{ci: }", "{ci: , cd: }"), True),
    (denied("'workload:web'", CI.replace("'robot:ci'", "everyone")), False),
]  # fmt: skip
PUSH_ALONE += [
    (also("robots", CI.replace("role: reader", "actions: [push]")), False),
    (also("authenticated", CI.replace("role: reader", "actions: [push]")), True),
    (also("'workload:web'", PROD_JOBS.replace("role: reader", "actions: [push]")), False),
    (also("'workload:prod'", WEB.replace("role: reader", "actions: [push]")), True),
]
LOSES += [
    ("id: a, to: [anonymous, authenticated], repositories: [p], role: reader\n" + ROBOT, False),
    ("id: a, to: [anonymous, robots], repositories: [p], role: reader\n" + ROBOT, True),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: [anonymous, robot]}\n" + ROBOT, True),
    ("id: a, to: [everyone], repositories: [p], role: reader\ndeny id: d, to: [robots], repositories: [p], actions: [pull]\n" + ROBOT, False),
]  # fmt: skip
NO_TOKENS += [
    ("id: a, to: [robots], repositories: [p], role: reader\n" + ROBOT, False),
    ("id: a, to: [robots, anonymous], repositories: [p], role: reader\n" + ROBOT, True),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: [anonymous, workload]}\n" + WORKLOADS, False),
]  # fmt: skip


TREES = {
    "TS102": DENIED,
    "TS103": COVERED,
    "TS104": PUSH_ALONE,
    "TS118": LOSES,
    "TS119": MEETS_NONE,
    "TS121": NO_TOKENS,
}


@boundary(TREES)
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected


@pytest.mark.parametrize("anonymous", [pytest.param(True, id="tokens"), pytest.param(None, id="unknown")])
def test_rules_for_anonymous_clients_that_get_tokens(tmp_path: Path, anonymous: bool | None) -> None:
    """Only a configuration says that they get none."""
    assert [
        code for tree, _ in NO_TOKENS for code in codes(tmp_path, tree, anonymous=anonymous) if code == "TS121"
    ] == []
