"""Lint of captures: those that take no group, and those that take the groups of another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_trees import READERS, boundary, codes

from tokenserver.policy.lint.captures import capture_findings, captured_groups
from tokenserver.policy.loading.loader import compile_policies


def team(*to: str, name: str = "a") -> str:
    """A rule to these groups with captures."""
    return f"id: {name}, to: [{', '.join(map(repr, to))}], repositories: ['${{team}}/**'], role: reader\n"


RW, RO, ANY, ADMIN = "group:reg-{team}-rw", "group:reg-{team}-ro", "group:reg-{team}", "group:admin-{team}"
DELEGATE = "delegate: [{file: teams/web.yaml, repositories: ['**'], actions: [pull]}]\n"
NO_GROUP = [
    (team(RW), True),
    (team(RW) + "groups: {reg-web-rw: {users: [x]}}", False),
    (team(RW) + "groups: {reg-web-ro: {users: [x]}}", True),
    (team(RW) + "groups: {reg--rw: {users: [x]}}", True),
    (team(RW) + "groups: {reg-Web-rw: {users: [x]}}", True),
    (team(RW) + "groups: {reg-a-b-rw: {users: [x]}}", False),
    (team(RW, ADMIN) + "groups: {reg-web-rw: {users: [x]}}", True),
    (team(RW, ADMIN) + "groups: {reg-web-rw: {users: [x]}, admin-web: {users: [x]}}", False),
    (READERS, False),
    (READERS + "deny " + team(RW, name="d").replace("role: reader", "actions: [pull]"), True),
    (READERS + DELEGATE + "file teams/web.yaml\n" + team(RW, name="t") + "groups: {reg-web-rw: {users: [x]}}", True),
    (READERS + DELEGATE + "groups: {reg-web-rw: {users: [x]}}\nfile teams/web.yaml\n" + team(RW, name="t"), False),
]
OTHERS = [
    (team(ANY) + team(RW, name="b"), True),
    (team(RW) + team(ANY, name="b"), True),
    (team(RW) + team(RO, name="b"), False),
    (team(RW) + team(ADMIN, name="b"), False),
    (team(RW) + team(RW, name="b"), False),
    (team(ANY, RW), True),
    (team("group:reg-{team}") + team("group:reg-x-{team}", name="b"), True),
    (team("group:reg-{team}") + team("group:xreg-{team}", name="b"), False),
    (team("group:{team}-rw") + team("group:reg-{team}-rw", name="b"), True),
    (team("group:{team}-rw") + team("group:reg-{team}", name="b"), False),
    (team("group:reg-{team}") + team("group:reg--{team}", name="b"), False),
    (team("group:reg{team}") + team("group:reg-{team}", name="b"), False),
    (team(ANY) + "deny " + team(RW, name="d").replace("role: reader", "actions: [pull]"), True),
    (team(ANY), False),
]


@boundary({"TS126": NO_GROUP, "TS127": OTHERS})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree, have_groups=False)) is expected


@pytest.mark.parametrize("tree", [tree for tree, expected in NO_GROUP if expected])
def test_groups_of_user_sources(tmp_path: Path, tree: str) -> None:
    """A source with groups may have any of these, so there is no finding, and a suppression is not unused."""
    quiet = tree.replace("role: reader", "role: reader  # lint: ignore TS126 because they come soon")
    assert not {"TS126", "TS202"} & {*codes(tmp_path, tree), *codes(tmp_path, quiet)}


def test_what_is_said(tmp_path: Path) -> None:
    """The rules are named with their places, and one group as an example."""
    text = "version: 1\nallow:\n"
    text += "".join(f"  - {{{line.strip()}}}\n" for line in (team(ANY, ANY), team(RW, name="b"), team(RO, name="c")))
    (tmp_path / "a.yaml").write_text(text)
    policies, _ = compile_policies(tmp_path)
    ((rule, code, said),) = capture_findings(policies, have_groups=True)
    assert (rule.id, code) == ("a", "TS127")
    assert said == (
        "a: group:reg-{team} also takes reg-web-ro, which group:reg-{team}-ro of c (a.yaml:5) is for, with web-ro"
        " as ${team}; fix: give its groups a beginning or an ending of their own"
    )
    assert captured_groups(policies) == frozenset()
