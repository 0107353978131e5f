"""Lint of one rule by itself: who pushes without a login, the catalog, all addresses, every group."""

from __future__ import annotations

from pathlib import Path

from lint_trees import READERS, USERS, boundary, codes


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
    ("id: a, to: [everyone], repositories: [p], role: reader", False),
    ("id: a, to: [everyone], registry: [catalog], actions: ['*']", False),
    ("id: a, to: [everyone], except: ['user:x'], repositories: [p], actions: [delete]", True),
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
    ("id: a, to: [authenticated], except: ['group:g'], repositories: ['x/${group}'], role: reader", False),
    (USERS + "\ndeny id: d, to: ['group:g'], repositories: ['${group}/x'], actions: [push]", True),
]


@boundary({"TS108": PUBLIC_PUSH, "TS112": CATALOG_ACTIONS, "TS123": EVERYWHERE, "TS124": ANY_GROUP})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected
