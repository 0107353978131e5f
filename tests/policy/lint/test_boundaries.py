"""Ten trees around the boundary of each code: where it is reported, and where one word more makes it go away."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.policy.budget import Budget
from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.lint.tests import test_findings as findings_about_tests
from tokenserver.policy.loading.loader import compile_policies

NOW = datetime(2026, 6, 1, tzinfo=UTC)
Tree = tuple[str, bool]
"""Rules, each on its line (a deny begins with `deny`, a line without `id:` is of its own section), and the verdict."""

USERS = "id: users, to: [authenticated], repositories: ['**'], role: maintainer"

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
R = "id: a, to: [authenticated], repositories: [p], role: reader\n"
UNUSED = [
    (R + "groups: {g: {users: [x]}}", True),
    (R + "deny id: d, to: ['group:g'], repositories: [p], actions: [pull]\ngroups: {g: {users: [x]}}", False),
    (R + "deny id: d, to: [everyone], except: ['group:g'], repositories: [p], actions: [pull]\ngroups: {g: {users: [x]}}", False),
    (R + "deny id: d, to: ['group:h'], repositories: [p], actions: [pull]\ngroups: {g: {users: [x]}, h: {includes: [g]}}", False),
    (R + "groups: {g: {users: [x]}, h: {includes: [g]}}", True),
    (R + "deny id: d, to: [everyone], repositories: ['${group}'], actions: [pull]\ngroups: {p: {users: [x]}}", False),
    (R + "deny id: d, to: [everyone], repositories: ['${user}', p], actions: [pull]\ngroups: {p: {users: [x]}}", True),
    (R + "roles: {cleaner: [delete]}", True),
    (R + "roles: {cleaner: [delete]}\nid: b, to: ['user:x'], repositories: [p], role: cleaner", False),
    (R + "roles: {cleaner: [delete]}\ndeny id: b, to: ['user:x'], repositories: [p], role: cleaner", False),
    (R + "groups: {g: {users: [x]}}\ntests: [{as: {user: x}, can: [pull p]}]", True),
]  # fmt: skip
NO_TOKENS = [
    ("id: a, to: [anonymous], repositories: [p], role: reader", True),
    ("id: a, to: [everyone], repositories: [p], role: reader", False),
    ("id: a, to: [anonymous, authenticated], repositories: [p], role: reader", True),
    ("id: a, to: [authenticated], repositories: [p], role: reader", False),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: anonymous}", True),
    ("id: a, to: [everyone], repositories: [p], role: reader, when: {kind: [anonymous, password]}", False),
    ("id: a, to: [everyone], except: [anonymous], repositories: [p], role: reader", False),
    (R + "deny id: d, to: [anonymous], repositories: [p], actions: [pull]", True),
    (R + "deny id: d, to: [everyone], repositories: [p], actions: [push]", False),
    ("id: a, to: [anonymous], registry: [catalog], actions: ['*']", True),
]
NEAR = "id: a, to: ['user:x'], repositories: [p], role: writer, when: {from: [10.0.0.0/8]}\n"
NO_ADDRESS = [
    (NEAR + "tests: [{as: {user: x}, cannot: [push p]}]", True),
    (NEAR + "tests: [{as: {user: x}, from: 192.0.2.1, cannot: [push p]}]", False),
    (NEAR + "tests: [{as: {user: y}, cannot: [push p]}]", False),
    (NEAR + "tests: [{as: {user: x}, cannot: [delete p]}]", False),
    (NEAR + "tests: [{as: {user: x}, cannot: [push q]}]", False),
    (NEAR + "tests: [{what_can: 'user:x', exactly: []}]", True),
    (NEAR + "tests: [{what_can: 'user:y', exactly: []}]", False),
    (NEAR + "tests: [{what_can: 'user:x', from: 192.0.2.1, exactly: []}]", False),
    (NEAR + "tests: [{who_can: push p, excludes: ['user:x']}]", True),
    (NEAR + "tests: [{who_can: push p, excludes: ['user:y']}]", False),
    (NEAR + "tests: [{who_can: push p, from: 192.0.2.1, exactly: []}]", False),
    (NEAR.replace("from", "not_from") + "tests: [{as: {user: x}, cannot: [push p]}]", True),
    (NEAR.replace(", when: {from: [10.0.0.0/8]}", "") + "deny id: d, to: [everyone], repositories: [p], actions: [push], when: {not_from: [10.0.0.0/8]}\ntests: [{as: {user: x}, cannot: [push p], can: [pull p]}]", True),
]  # fmt: skip


def near(when: str) -> str:
    """An allow rule under a condition."""
    return f"id: a, to: ['user:x'], repositories: [p], role: reader, when: {{{when}}}"


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
    (R + "deny id: d, to: [everyone], repositories: [p], actions: [pull], when: {from: [0.0.0.0/0, '::/0']}", True),
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

BOUNDARIES: dict[str, list[Tree]] = {
    "TS102": DENIED,
    "TS103": COVERED,
    "TS108": PUBLIC_PUSH,
    "TS112": CATALOG_ACTIONS,
    "TS118": LOSES,
    "TS119": MEETS_NONE,
    "TS120": UNUSED,
    "TS121": NO_TOKENS,
    "TS122": NO_ADDRESS,
    "TS123": EVERYWHERE,
    "TS124": ANY_GROUP,
}


def codes(folder: Path, tree: str, *, anonymous: bool | None) -> list[str]:
    """The codes of what lint finds in these lines."""
    lines = tree.splitlines()
    text = "version: 1\n"
    rules = [line for line in lines if line.startswith("id: ")]
    denies = [line.removeprefix("deny ") for line in lines if line.startswith("deny ")]
    for key, found in (("allow", rules), ("deny", denies)):
        text += f"{key}:\n" + "".join(f"  - {{{line}}}\n" for line in found) if found else ""
    text += "".join(f"{line}\n" for line in lines if not line.startswith(("id: ", "deny ")))
    (folder / "a.yaml").write_text(text)
    policies, tests = compile_policies(folder)
    linted = [LintedFile("a.yaml", text, tests[0].document, tests[0].tests, tests[0].service)]
    return [one.code for one in lint(policies, linted, NOW, have_groups=True, anonymous=anonymous)]


@pytest.mark.parametrize(
    ("code", "tree", "expected"),
    [
        pytest.param(code, tree, expected, id=f"{code}-{number}")
        for code, trees in BOUNDARIES.items()
        for number, (tree, expected) in enumerate(trees)
    ],
)
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree, anonymous=False)) is expected


def test_enough_trees() -> None:
    """At least ten for each code, on both sides."""
    for code, trees in BOUNDARIES.items():
        assert len(trees) >= 10, code
        assert {expected for _, expected in trees} == {True, False}


@pytest.mark.parametrize("anonymous", [pytest.param(True, id="tokens"), pytest.param(None, id="unknown")])
def test_rules_for_anonymous_clients_that_get_tokens(tmp_path: Path, anonymous: bool | None) -> None:
    """Only a configuration says that they get none."""
    assert [
        code for tree, _ in NO_TOKENS for code in codes(tmp_path, tree, anonymous=anonymous) if code == "TS121"
    ] == []


def test_a_test_that_is_not_decided_within_the_budget(tmp_path: Path) -> None:
    """It has no finding; the rules of the run are reported as not compared."""
    text = (
        "version: 1\nallow:\n  - {id: a, to: ['user:x'], repositories: [p], role: reader, when: {from: [10.0.0.0/8]}}\n"
    )
    text += "tests: [{as: {user: x}, cannot: [pull p]}]\n"
    (tmp_path / "a.yaml").write_text(text)
    policies, tests = compile_policies(tmp_path)
    linted = [LintedFile("a.yaml", text, tests[0].document, tests[0].tests, tests[0].service)]
    assert list(findings_about_tests(policies, linted, NOW, Budget(0))) == []
    assert [code for _, _, code, _ in findings_about_tests(policies, linted, NOW, Budget())] == ["TS122"]
