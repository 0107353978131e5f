"""Lint of tests: repeated ones, failing ones of teams, and those that hold only because they name no address."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from pathlib import Path

from lint_trees import NOW, ROBOT, WORKLOADS, boundary, codes

from tokenserver.policy.budget import Budget
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.lint.tests import test_findings as findings_about_tests
from tokenserver.policy.loading.loader import compile_policies

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


def twice(first: str, second: str, *, file: str = "") -> str:
    """A tree with two tests."""
    between = f"\nfile {file}\nid: other, to: [anonymous], repositories: [o], role: reader\ntests:" if file else ""
    return f"{NEAR}tests:\n  - {{{first}}}{between}\n  - {{{second}}}"


X = "as: {user: x}, from: 10.0.0.1"
REPEATED = [
    (twice(f"{X}, can: [push p]", f"{X}, can: [push p]"), True),
    (twice(f"{X}, can: [push p]", f"{X}, can: [pull p]"), False),
    (twice(f"{X}, can: [push p]", f"{X}, can: ['pull,push p', push p]"), True),
    (twice(f"{X}, can: [push p]", f"{X}, can: ['pull,push p']"), False),
    (twice(f"{X}, can: [push p]", f"{X.replace('.1', '.2')}, can: [push p]"), False),
    (twice(f"{X}, cannot: [push q]", "as: {user: x}, cannot: [push q]"), False),
    (twice(f"{X}, cannot: [push q]", f"{X}, cannot: [push q], at: 2026-06-01"), False),
    (twice(f"{X}, cannot: [push q]", f"{X.replace('{user: x}', '{user: x, groups: [g]}')}, cannot: [push q]"), False),
    (twice("who_can: push q, exactly: []", "who_can: push q, exactly: []"), True),
    (twice("who_can: push q, exactly: []", "who_can: push q, excludes: [everyone]"), False),
    (twice("who_can: push q, exactly: []", "who_can: pull q, exactly: []"), False),
    (twice("what_can: 'user:y', exactly: []", "what_can: 'user:y', exactly: []"), True),
    (twice(f"{X}, can: [push p]", f"{X}, can: [push p]", file="b.yaml"), True),
]
TEAMS = (
    "id: a, to: ['user:x'], repositories: ['p/**'], role: maintainer\n"
    "delegate: [{file: t/b.yaml, repositories: ['p/**'], actions: [pull, push]}]\n"
    "deny id: d, to: ['user:bot'], repositories: ['p/**'], actions: [push]\n"
    "file t/b.yaml\nid: b, to: ['user:bot', 'user:ann'], repositories: ['p/**'], not: [p/x], role: writer\ntests:\n  - "
)
FAILING = [
    (TEAMS + "{as: {user: bot}, can: [push p/a]}", True),
    (TEAMS + "{as: {user: bot}, can: [pull p/a]}", False),
    (TEAMS + "{as: {user: bot}, cannot: [push p/a]}", False),
    (TEAMS + "{as: {user: bot}, cannot: [pull p/a]}", True),
    (TEAMS + "{as: {user: ann}, can: [push p/a, pull p/a]}", False),
    (TEAMS + "{as: {user: ann}, can: [push p/x]}", True),
    (TEAMS + "{as: {user: ann}, cannot: [push p/x]}", False),
    (TEAMS + "{who_can: push p/a, exactly: ['user:x', 'user:ann']}", False),
    (TEAMS + "{who_can: push p/a, exactly: ['user:x', 'user:ann', 'user:bot']}", True),
    (TEAMS + "{who_can: push p/a, excludes: ['user:bot']}", False),
    (TEAMS + "{who_can: pull p/a, excludes: ['user:bot']}", True),
    (TEAMS + "{what_can: 'user:bot', exactly: ['pull,push p/**']}", True),
]


BOT = NEAR.replace("user:x", "robot:ci") + ROBOT
JOB = "as: {workload: {from: github, claims: {repository_id: 74, ref: refs/heads/main}}}, from: 10.0.0.1"
NO_ADDRESS += [
    (BOT + "tests: [{as: {robot: ci}, cannot: [push p]}]", True),
    (BOT + "tests: [{as: {robot: ci}, from: 192.0.2.1, cannot: [push p]}]", False),
    (BOT + "tests: [{as: {user: ci}, cannot: [push p]}]", False),
]
REPEATED += [
    (twice("as: {robot: ci}, cannot: [push q]", "as: {robot: ci}, cannot: [push q]") + "\n" + ROBOT, True),
    (twice("as: {robot: ci}, cannot: [push q]", "as: {user: ci}, cannot: [push q]") + "\n" + ROBOT, False),
    (twice(f"{JOB}, cannot: [push q]", f"{JOB}, cannot: [push q]") + "\n" + WORKLOADS, True),
    (
        twice(f"{JOB}, cannot: [push q]", f"{JOB.replace('74,', '[74, 75],')}, cannot: [push q]") + "\n" + WORKLOADS,
        False,
    ),
]


@boundary({"TS110": REPEATED, "TS115": FAILING, "TS122": NO_ADDRESS})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected


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
