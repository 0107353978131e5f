"""Lint of one rule by itself: what never applies, who pushes without a login, the catalog, all addresses, `not`."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from pathlib import Path

import pytest
from lint_trees import NOW, READERS, ROBOT, USERS, WORKLOADS, boundary, codes, compiled

from tokenserver.patterns import parse_pattern
from tokenserver.policy.budget import Budget
from tokenserver.policy.lint.single_rules import about_itself, never_applies
from tokenserver.policy.model import Effect, Principals, Rule


def near(when: str) -> str:
    """An allow rule under a condition."""
    return f"id: a, to: ['user:x'], repositories: [p], role: reader, when: {{{when}}}"


PUBLIC_PUSH = [
    ("id: a, to: [everyone], repositories: [p], role: writer", True),
    ("id: a, to: [anonymous], repositories: [p], role: writer", True),
    ("id: a, to: [authenticated], repositories: [p], role: writer", False),
    ("id: a, to: [everyone], except: [anonymous], repositories: [p], role: writer", False),
    ("id: a, to: [everyone], repositories: [p], role: writer, when: {kind: password}", False),
    ("id: a, to: [everyone], repositories: [p], role: writer, when: {kind: anonymous}", True),
    ("id: a, to: [everyone], repositories: ['a/${user}'], role: writer", False),
    ("id: a, to: [everyone], repositories: ['a/${user}', b], role: writer", True),
    ("id: a, to: [everyone], repositories: ['a/${group}/**'], role: maintainer", False),
    ("id: a, to: [everyone], repositories: ['a/x-${user}', '${group}-*'], role: maintainer", False),
    ("id: a, to: ['group:reg-{team}'], repositories: ['${team}/**'], role: maintainer", False),
    ("id: a, to: [everyone], repositories: ['a/**'], not: [a/b], role: maintainer", True),
    ("id: a, to: [everyone], repositories: [p], role: reader", False),
    ("id: a, to: [everyone], registry: [catalog], actions: ['*']", False),
    ("id: a, to: [everyone], except: ['user:x'], repositories: [p], actions: [delete]", True),
    ("id: a, to: [robots], repositories: [p], role: writer\n" + ROBOT, False),
    ("id: a, to: [everyone], repositories: [p], role: writer, when: {kind: robot}\n" + ROBOT, False),
    ("id: a, to: [everyone], repositories: [p], role: writer, when: {kind: [robot, anonymous]}\n" + ROBOT, True),
    ("id: a, to: [anonymous, 'robot:ci'], repositories: [p], role: writer\n" + ROBOT, True),
]
CATALOG = "id: a, to: [everyone], registry: [catalog], actions: ['*']\n"
CATALOG_ACTIONS = [
    ("id: a, to: [everyone], registry: [catalog], actions: [pull]", True),
    ("id: a, to: [everyone], registry: [catalog], actions: [pull, push]", True),
    ("id: a, to: [everyone], registry: [catalog], actions: ['*']", False),
    ("id: a, to: [everyone], registry: [catalog], actions: [pull, '*']", False),
    ("id: a, to: [everyone], registry: [catalog], role: reader", True),
    (CATALOG + "deny id: d, to: ['user:x'], registry: [catalog], actions: [pull]", False),
    (CATALOG + "deny id: d, to: ['user:x'], registry: [catalog], actions: ['*']", False),
    (CATALOG + "deny id: d, to: ['user:x'], registry: [catalog], role: reader", False),
    ("id: a, to: [everyone], repositories: [catalog], actions: [pull]", False),
    (CATALOG + "id: b, to: ['user:x'], registry: [catalog], actions: [delete]", True),
    ("id: a, to: [robots], registry: [catalog], actions: [pull]\n" + ROBOT, True),
    ("id: a, to: ['workload:web'], registry: [catalog], actions: ['*']\n" + WORKLOADS, False),
]
EVERYWHERE = [
    (near("from: [0.0.0.0/0]"), True),
    (near("from: [0.0.0.0/1, 128.0.0.0/1]"), True),
    (near("from: [0.0.0.0/1, 128.0.0.0/2]"), False),
    (near("from: ['::/0']"), True),
    (near("from: ['::/1', '8000::/1']"), True),
    (near("from: ['::/1', '8000::/2']"), False),
    (near("from: [10.0.0.0/8, '2000::/3']"), False),
    (near("from: [10.0.0.0/8, '::/0']"), True),
    (near("not_from: [10.0.0.0/8]"), False),
    (near("not_from: [0.0.0.0/0]"), False),
    (
        READERS + "deny id: d, to: [everyone], repositories: [p], actions: [pull], when: {from: [0.0.0.0/0, '::/0']}",
        True,
    ),
]
ANY_GROUP = [
    ("id: a, to: ['group:team-web'], repositories: ['${group}/**'], role: writer", True),
    ("id: a, to: ['group:team-web'], repositories: ['team-web/**'], role: writer", False),
    ("id: a, to: ['group:team-web'], repositories: ['${user}/**'], role: writer", False),
    ("id: a, to: [authenticated], repositories: ['${group}/**'], role: writer", False),
    ("id: a, to: [everyone], repositories: ['x/${group}'], role: reader", False),
    ("id: a, to: ['user:x'], repositories: ['x/${group}'], role: reader", False),
    ("id: a, to: ['user:x', 'group:g'], repositories: ['x/${group}'], role: reader", True),
    ("id: a, to: [authenticated, 'group:g'], repositories: ['x/${group}'], role: reader", False),
    ("id: a, to: ['group:g'], repositories: [p, 'x/${group}/*'], role: reader", True),
    ("id: a, to: ['group:g'], repositories: [p, 'x/team-${group}'], role: reader", True),
    ("id: a, to: ['group:team-{group_of}'], repositories: ['x/${group_of}/*'], role: reader", False),
    ("id: a, to: [authenticated], except: ['group:g'], repositories: ['x/${group}'], role: reader", False),
    (USERS + "\ndeny id: d, to: ['group:g'], repositories: ['${group}/x'], actions: [push]", True),
    (
        "id: a, to: ['workload:web'], repositories: ['x/${group}'], role: reader\ngroups: {g: {workloads: [web]}}\n"
        + WORKLOADS,
        False,
    ),
    (
        "id: a, to: ['robot:ci'], repositories: ['x/${group}'], role: reader\ngroups: {g: {robots: [ci]}}\n" + ROBOT,
        False,
    ),
    (
        "id: a, to: ['workload:web', 'group:g'], repositories: ['x/${group}'], role: reader\ngroups: {g: {workloads: [lab]}}\n"
        + WORKLOADS,
        True,
    ),
]
NEVER_FOR_MACHINES = [
    ("id: a, to: [authenticated], repositories: [p], role: reader, when: {kind: robot}\n", True),
    ("id: a, to: [authenticated], repositories: [p], role: reader, when: {kind: [robot, workload]}\n", True),
    ("id: a, to: [authenticated], repositories: [p], role: reader, when: {kind: [robot, password]}\n", False),
    ("id: a, to: [authenticated, robots], repositories: [p], role: reader, when: {kind: robot}\n", False),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: robot}\n", False),
    ("id: a, to: ['robot:ci'], repositories: [p], role: reader, when: {kind: password}\n", True),
    ("id: a, to: ['workload:web'], repositories: [p], role: reader, when: {kind: robot}\n", True),
    ("id: a, to: ['group:g'], repositories: [p], role: reader, when: {kind: password}\ngroups: {g: {robots: [ci]}}\n", True),
    ("id: a, to: ['group:g'], repositories: [p], role: reader, when: {kind: robot}\ngroups: {g: {users: [x]}}\n", True),
    ("id: a, to: ['group:g'], repositories: [p], role: reader, when: {kind: robot}\ngroups: {g: {users: [x], robots: [ci]}}\n", False),
    ("id: a, to: ['group:ldap'], repositories: [p], role: reader, when: {kind: workload}\n", True),
    ("id: a, to: ['robot:ci'], except: [robots], repositories: [p], role: reader\n", True),
    ("id: a, to: ['robot:ci'], except: [authenticated], repositories: [p], role: reader\n", False),
    ("id: a, to: ['group:g'], except: [authenticated], repositories: [p], role: reader\ngroups: {g: {users: [x], robots: [ci]}}\n", False),
    ("id: a, to: ['workload:prod'], except: ['workload:web'], repositories: [p], role: reader\n", True),
    ("id: a, to: ['workload:web'], except: ['workload:prod'], repositories: [p], role: reader\n", False),
    ("id: a, to: [everyone], except: [authenticated, anonymous], repositories: [p], role: reader\n", False),
    ("id: a, to: [everyone], except: [authenticated, anonymous, robots, workloads], repositories: [p], role: reader\n", True),
    ("id: a, to: [robots], repositories: ['a/${user}'], role: reader\n", True),
    ("id: a, to: ['robot:ci', 'workload:web'], repositories: ['a/${user}', '${user}-*'], role: reader\n", True),
    ("id: a, to: ['robot:ci', 'user:x'], repositories: ['a/${user}'], role: reader\n", False),
    ("id: a, to: ['robot:ci'], repositories: ['a/${user}', p], role: reader\n", False),
    ("id: a, to: [everyone], repositories: ['a/${user}'], role: reader, when: {kind: robot}\n", True),
    ("id: a, to: ['group:g'], repositories: ['a/${user}'], role: reader\ngroups: {g: {robots: [ci]}}\n", True),
    ("id: a, to: ['group:g'], repositories: ['a/${user}'], role: reader\ngroups: {g: {robots: [ci], users: [x]}}\n", False),
    ("id: a, to: ['robot:ci'], repositories: ['${group}/a'], role: reader\n", True),
    ("id: a, to: ['robot:ci'], repositories: ['${group}/a'], role: reader\ngroups: {g: {robots: [ci]}}\n", False),
    ("id: a, to: ['robot:ci'], repositories: ['${group}/a'], role: reader\ngroups: {G: {robots: [ci]}}\n", True),
    ("id: a, to: [robots], repositories: ['${group}/a'], role: reader\ngroups: {g: {robots: [ci]}}\n", False),
    ("id: a, to: ['workload:web'], repositories: ['${group}/a'], role: reader\n", True),
    ("id: a, to: [workloads], repositories: ['${group}/a'], role: reader\ngroups: {g: {workloads: [web], robots: [ci]}}\n", False),
    ("id: a, to: [workloads], repositories: ['${group}/a'], role: reader\ngroups: {g: {users: [x], groups: [ldap]}}\n", True),
    ("id: a, to: ['group:g'], repositories: ['${group}/a'], role: reader\ngroups: {g: {robots: [ci]}}\n", False),
    ("id: a, to: ['group:r-{t}'], except: [authenticated], repositories: ['${t}/a'], role: reader\n", True),
    ("id: a, to: ['group:r-{t}'], except: [authenticated], repositories: ['${t}/a'], role: reader\ngroups: {r-a: {robots: [ci]}}\n", False),
    ("id: a, to: ['group:r-{t}'], except: [authenticated], repositories: ['${t}/a'], role: reader\ngroups: {q: {robots: [ci]}}\n", True),
    ("id: a, to: ['group:r-{t}'], repositories: ['${t}/a'], role: reader, when: {kind: robot}\ngroups: {r-a: {robots: [ci]}}\n", False),
    ("id: a, to: ['group:r-{t}'], repositories: ['${t}/a'], role: reader, when: {kind: robot}\ngroups: {r-a: {users: [x]}}\n", True),
]  # fmt: skip
NEVER = [
    ("id: a, to: ['user:x'], except: ['user:x'], repositories: [p], role: reader", True),
    ("id: a, to: ['user:x', 'user:y'], except: ['user:x'], repositories: [p], role: reader", False),
    ("id: a, to: ['user:x'], except: ['group:g'], repositories: [p], role: reader\ngroups: {g: {users: [x, y]}}", True),
    ("id: a, to: ['user:x'], except: ['group:g'], repositories: [p], role: reader\ngroups: {g: {users: [y]}}", False),
    ("id: a, to: [anonymous], repositories: [p], role: reader, when: {kind: password}", True),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: password}", False),
    ("id: a, to: [everyone], repositories: ['a._*'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['a._*', 'a_*'], role: reader", False),
    ("id: a, to: [anonymous], repositories: ['a/${user}'], role: reader", True),
    ("id: a, to: [anonymous], repositories: ['a/x-${user}'], role: reader", True),
    ("id: a, to: ['user:Ann'], repositories: ['a/x-${user}'], role: reader", True),
    ("id: a, to: ['user:ann'], repositories: ['a/x-${user}'], role: reader", False),
    ("id: a, to: ['group:reg-{team}'], repositories: ['${team}/**'], role: reader", False),
    ("id: a, to: ['group:reg-{team}'], except: [authenticated], repositories: ['${team}/**'], role: reader", True),
    ("id: a, to: ['group:reg-{team}'], except: ['group:reg-web'], repositories: ['${team}/**'], role: reader", False),
    ("id: a, to: ['group:reg-{team}'], repositories: ['${team}/**'], role: reader, when: {kind: anonymous}", True),
    ("id: a, to: ['group:reg-{team}'], repositories: ['${team}._*'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/**'], not: ['p/*/**'], role: reader", False),
    *((tree + ROBOT + WORKLOADS, expected) for tree, expected in NEVER_FOR_MACHINES),
    ("id: a, to: [robots], repositories: [p], role: reader", True),
    ("id: a, to: [robots], repositories: [p], role: reader\n" + WORKLOADS, True),
    ("id: a, to: [workloads], repositories: [p], role: reader\n" + ROBOT, True),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: robot}", True),
    ("id: a, to: [authenticated], repositories: [p], role: reader, when: {kind: robot}", True),
    ("id: a, to: [everyone], except: [authenticated, anonymous], repositories: [p], role: reader", True),
]  # fmt: skip
IMPOSSIBLE = [
    ("id: a, to: [everyone], repositories: ['a._*', b], role: reader", True),
    ("id: a, to: [everyone], repositories: ['a._*'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['a_*', b], role: reader", False),
    ("id: a, to: [everyone], repositories: ['a_._*', b], role: reader", True),
    ("id: a, to: [everyone], repositories: ['a__*', b], role: reader", False),
    ("id: a, to: [everyone], repositories: ['a___*', b], role: reader", True),
    ("id: a, to: [everyone], repositories: [b, 'a/x.-*/c'], role: reader", True),
    ("id: a, to: [everyone], repositories: [b, 'a/x--*/c'], role: reader", False),
    (READERS + "deny id: d, to: [everyone], repositories: [p, 'p-.*'], actions: [pull]", True),
    (READERS + "deny id: d, to: [everyone], repositories: [p, 'p-*'], actions: [pull]", False),
    ("id: a, to: [everyone], repositories: ['${user}-._*', b], role: reader", True),
    ("id: a, to: [everyone], repositories: ['x._*', b], not: ['b/*', 'x/*'], role: reader", True),
    ("id: a, to: ['group:reg-{team}'], repositories: ['${team}_.*', '${team}'], role: reader", True),
    ("id: a, to: ['group:reg-{team}'], repositories: ['${team}_*', '${team}'], role: reader", False),
]  # fmt: skip
EXPIRED = [
    (near("until: 2026-05-31"), True),
    (near("until: 2026-06-01"), True),
    (near("until: 2026-06-02"), False),
    (near("until: '2026-06-01T00:00:01Z'"), False),
    (near("until: '2026-05-31T23:59:59Z'"), True),
    (near("since: 2026-05-31"), False),
    (near("since: 2026-05-01, until: 2026-05-31"), True),
    (near("since: 2026-06-02, until: 2026-06-03"), False),
    (near("until: 2025-01-01, from: [10.0.0.0/8]"), True),
    (READERS + "deny id: d, to: [everyone], repositories: [p], actions: [pull], when: {until: 2026-06-01}", True),
    (READERS + "deny id: d, to: [everyone], repositories: [p], actions: [pull], when: {until: 2026-06-02}", False),
]
CAPITALS = [
    ("id: a, to: ['user:Ann'], repositories: [p], role: reader", True),
    ("id: a, to: ['user:ann'], repositories: [p], role: reader", False),
    ("id: a, to: ['group:Web'], repositories: [p], role: reader", False),
    ("id: a, to: [authenticated], except: ['user:aNN'], repositories: [p], role: reader", True),
    ("id: a, to: [authenticated], except: ['user:a-1'], repositories: [p], role: reader", False),
    ("id: a, to: ['user:ann', 'user:\u00c9va'], repositories: [p], role: reader", True),
    ("id: a, to: ['user:\u00e9va'], repositories: [p], role: reader", False),
    (READERS + "deny id: d, to: ['user:X'], repositories: [p], actions: [pull]", True),
    (READERS + "deny id: d, to: ['group:g'], repositories: [p], actions: [pull]\ngroups: {g: {users: [a, B]}}", True),
    (READERS + "deny id: d, to: ['group:g'], repositories: [p], actions: [pull]\ngroups: {g: {users: [a, b], groups: [C]}}", False),
    (READERS + "tests: [{as: {user: Ann}, can: [pull p]}]", False),
]  # fmt: skip
HOSTS = [
    ("id: a, to: [everyone], repositories: ['registry.example.com/web'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['registry/web'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['localhost/web'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['localhosts/web'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['web/a.b'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['a.b'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['a:5000/b'], role: reader", True),
    (READERS + "deny id: d, to: [everyone], repositories: [p, 'a.b/p'], actions: [pull]", True),
    ("id: a, to: [everyone], repositories: ['**'], not: ['a.b/p'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['**'], not: ['a/p.q'], role: reader", False),
    (READERS + "tests: [{as: {user: x}, cannot: [pull a.b/p]}]", True),
    (READERS + "tests: [{as: {user: x}, cannot: [pull a.b]}]", False),
]
IDLE_PARTS = [
    ("id: a, to: [everyone], repositories: ['p/**'], not: ['p/prod/**'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['p/**'], not: ['q/**'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/**'], not: [p], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/**', p], not: ['p/*'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['p/*'], not: ['p/prod/**'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/**'], not: ['p/a*', 'p/ab*'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/**'], not: ['p/a*', 'p/ba*'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['p/**'], not: ['p/a', 'p/a'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/*'], not: ['p/a*', '*/ab'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/${user}/**'], not: ['p/*/secret'], role: reader", False),
    ("id: a, to: [everyone], repositories: ['p/x-${user}'], not: ['p/y-*'], role: reader", True),
    ("id: a, to: [everyone], repositories: ['p/x-${user}'], not: ['p/x-y*'], role: reader", False),
    ("id: a, to: ['group:reg-{team}'], repositories: ['${team}/**'], not: ['*/prod/**'], role: reader", False),
    ("id: a, to: ['group:reg-{team}'], repositories: ['${team}/**'], not: ['prod'], role: reader", True),
    (READERS + "deny id: d, to: [everyone], repositories: ['p*'], not: [p], actions: [pull]", False),
    (READERS + "deny id: d, to: [everyone], repositories: ['p*'], not: [q], actions: [pull]", True),
]  # fmt: skip


TREES = {
    "TS101": NEVER,
    "TS105": IMPOSSIBLE,
    "TS108": PUBLIC_PUSH,
    "TS109": EXPIRED,
    "TS111": CAPITALS,
    "TS112": CATALOG_ACTIONS,
    "TS114": HOSTS,
    "TS123": EVERYWHERE,
    "TS124": ANY_GROUP,
    "TS125": IDLE_PARTS,
}


@boundary(TREES)
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ("q/x", ["q/x under not takes nothing away, since no pattern of the rule meets it; fix: correct or remove it"]),
        (
            "'p/a*', 'p/*c', p/ac",
            ["p/ac under not takes nothing away that p/a* and p/*c would leave; fix: correct or remove it"],
        ),
        ("p/x, p/x", ["p/x under not takes nothing away that p/x would leave; fix: correct or remove it"]),
    ],
)
def test_what_is_said_about_not(without: str, expected: list[str]) -> None:
    """The pattern, and those that take its part away as well."""
    parts = [parse_pattern(text.strip(" '")) for text in without.split(",")]
    rule = Rule.of("a", Effect.ALLOW, Principals(everyone=True), [parse_pattern("p/**")], ["pull"], without=parts)
    assert [text.removeprefix("a: ") for code, text in about_itself(rule, Budget()) if code == "TS125"] == expected


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (
            "id: a, to: [authenticated], repositories: [p], role: reader, when: {kind: [robot, workload]}\n"
            + ROBOT
            + WORKLOADS,
            "authenticated are the people who log in, not machines; fix: write to: [robots, workloads] without kind",
        ),
        (
            "id: a, to: [authenticated], repositories: [p], role: reader, when: {kind: [robot, workload]}\n" + ROBOT,
            "authenticated are the people who log in, not machines; fix: write to: [robots] without kind",
        ),
        (
            "id: a, to: [authenticated], repositories: [p], role: reader, when: {kind: robot}\n",
            "nobody in to has a credential of kind robot; fix: correct kind, or remove the rule",
        ),
        (
            "id: a, to: [robots, workloads], repositories: [p], role: reader\n",
            "no file declares robots or workloads; fix: declare them, or remove the rule",
        ),
        (
            "id: a, to: ['robot:ci'], repositories: [p], role: reader, when: {kind: password}\n" + ROBOT,
            "nobody in to has a credential of kind password; fix: correct kind, or remove the rule",
        ),
    ],
)
def test_what_is_said_about_machines(tmp_path: Path, tree: str, expected: str) -> None:
    """Where machines were meant, what to write."""
    policies, rule = compiled(tmp_path, tree)
    assert [text for _, text in never_applies(policies, rule, NOW, Budget())] == [f"a: {expected}"]
