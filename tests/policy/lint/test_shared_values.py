"""Lint of variables beside a `*`: users and groups that get names of each other."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from pathlib import Path

from lint_trees import boundary, codes

from tokenserver.policy.budget import Budget
from tokenserver.policy.lint.shared_values import SharedValues
from tokenserver.policy.loading.loader import compile_policies


def team(patterns: str, *groups: str, to: str = "'group:reg-{t}', 'group:{t}-w'", more: str = "") -> str:
    """A rule to groups, which the tree has, each with a member."""
    members = ", ".join(f"{name}: {{users: [u]}}" for name in groups)
    return f"id: a, to: [{to}], repositories: [{patterns}], role: reader{more}\ngroups: {{{members}}}"


def users(pattern: str, *names: str, to: str = "authenticated") -> str:
    """A rule with `${user}`, and users of the tree."""
    named = ", ".join(f"'user:{name}'" for name in names)
    return f"id: a, to: [{to}], repositories: ['{pattern}'], role: reader\nid: b, to: [{named}], repositories: [p], role: reader"


WEB, WEB_X, DATA = "reg-web", "reg-web-x", "reg-data"
SHARED = [
    (team("'s/${t}-*'", WEB, WEB_X), True),
    (team("'s/${t}-*'", WEB, DATA), False),
    (team("'s/${t}/*'", WEB, WEB_X), False),
    (team("'s/${t}*'", WEB, "reg-webx"), True),
    (team("'s/${t}-*'", WEB, "reg-webx"), False),
    (team("'s/*-${t}'", WEB, "reg-x-web"), True),
    (team("'s/*-${t}'", WEB, WEB_X), False),
    (team("'s/${t}-*'", WEB, "web-w"), False),
    (team("'s/${t}-*'", WEB, "web-x-w"), True),
    (team("'s/${t}-*/${t}'", WEB, WEB_X), False),
    (team("'s/${t}-*y*'", WEB, WEB_X), True),
    (team("'s/${t}-*'", WEB, WEB_X, more=", not: ['s/*-x-*']"), False),
    (team("'s/${t}-*'", WEB, WEB_X, more=", not: ['s/*-y']"), True),
    (team("'s/${group}-*'", "web", "web-x", to="authenticated"), True),
    (team("'s/${group}-*'", "web", "webx", to="authenticated"), False),
    (team("'s/${group}-*'", "Web", "Web-x", to="authenticated"), False),
    (users("${user}-*", "ann", "ann-b"), True),
    (users("${user}-*", "ann", "bob"), False),
    (users("${user}-*", "ann", "ann-b", to="'user:ann'"), False),
    (users("${user}/*", "ann", "ann-b"), False),
    (users("${user}-x", "ann", "ann-b"), False),
    (users("*-${user}/${user}", "b", "a-b"), False),
]  # fmt: skip


@boundary({"TS128": SHARED})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected


def test_what_is_said(tmp_path: Path) -> None:
    """Both, and a name that they share; one finding for each pattern."""
    text = (
        "version: 1\nallow:\n  - {id: a, to: ['group:reg-{t}'], repositories: ['s/${t}-*', '*-${t}'], role: reader}\n"
    )
    text += "groups: {reg-web: {users: [x]}, reg-web-x: {users: [x]}, reg-x: {users: [x]}, reg-web-y: {users: [x]}}\n"
    (tmp_path / "a.yaml").write_text(text)
    policies, _ = compile_policies(tmp_path)
    fix = "fix: put a / between the variable and *, or rename one of the two"
    assert list(SharedValues(policies).findings(policies.rules[0], Budget())) == [
        ("TS128", f"a: s/${{t}}-* gives group:reg-web names of group:reg-web-x, such as s/web-x-y; {fix}"),
        ("TS128", f"a: *-${{t}} gives group:reg-x names of group:reg-web-x, such as y-web-x; {fix}"),
    ]


def test_patterns_of_one_rule(tmp_path: Path) -> None:
    """Each is examined with the users that the rule is to, and reported."""
    text = (
        "version: 1\nallow:\n  - {id: a, to: [authenticated], repositories: ['${user}-*', 'x/${user}-*'], role: reader}\n"
        "  - {id: b, to: ['user:ann', 'user:ann-b'], repositories: [p], role: reader}\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    policies, _ = compile_policies(tmp_path)
    found = SharedValues(policies).findings(policies.rules[0], Budget())
    assert [text.partition(" gives ")[0] for _, text in found] == ["a: ${user}-*", "a: x/${user}-*"]
