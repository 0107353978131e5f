"""Lint of `administrators:`: names that mean nobody, and access keys without an administrator."""

# ruff: noqa: E501 - one tree on each line

from __future__ import annotations

from pathlib import Path

import pytest
from lint_trees import NOW, READERS, boundary, codes

from tokenserver.policy.lint.lint import lint
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.lint.unknown_names import UnknownNames, named_groups, named_users
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet

USED = READERS + "groups: {ops: {users: [ann]}}\n"
UNDEFINED = [
    (READERS + "administrators: ['group:ops']", True),
    (USED + "administrators: ['group:ops']", False),
    (READERS + "administrators: ['user:ops']", False),
    (USED + "administrators: ['user:ann', 'group:opps']", True),
    (USED + "administrators: ['group:ops', 'group:ops']", False),
    (READERS + "robots: {ops: }\nadministrators: ['robot:ops']", False),
    (READERS + "workloads: {ops: {from: github, claims: {repository_id: 7}}}\nadministrators: ['workload:ops']", False),
    (USED + "administrators:\n  # lint: ignore TS106 because the directory comes next week\n  - group:later", False),
    (USED + "administrators:\n  # lint: ignore TS106 because the directory comes next week\n  - group:later\n  - group:last", True),
    (READERS + "delegate: [{file: teams/a.yaml, repositories: ['**'], actions: [pull]}]\nadministrators: ['group:crew']\nfile teams/a.yaml\nid: b, to: ['group:crew'], repositories: [p], role: reader\ngroups: {crew: {users: [ann]}}", True),
]  # fmt: skip
UNUSED = [
    (READERS + "groups: {ops: {users: [ann]}}", True),
    (USED + "administrators: ['group:ops']", False),
    (USED + "administrators: ['user:ann']", True),
    (USED + "administrators: ['group:op']", True),
    (READERS + "groups: {ops: {includes: [night]}, night: {users: [ann]}}\nadministrators: ['group:ops']", False),
    (READERS + "groups: {ops: {includes: [night]}, night: {users: [ann]}}\nadministrators: ['group:night']", True),
    (READERS + "robots: {ci: }", True),
    (READERS + "robots: {ci: }\nadministrators: ['robot:ci']", False),
    (READERS + "robots: {ci: , cd: }\nadministrators: ['robot:ci']", True),
    (READERS + "workloads: {w: {from: github, claims: {repository_id: 7}}}\nadministrators: ['workload:w']", False),
    (READERS + "workloads: {w: {from: github, claims: {repository_id: 7}}}\nadministrators: ['user:w']", True),
]  # fmt: skip
NOBODY = [
    (READERS, True),
    (USED, True),
    (USED + "administrators: ['group:ops']", False),
    (READERS + "administrators: ['user:ann']", False),
    (READERS + "robots: {ci: }\nadministrators: ['robot:ci']", False),
    (READERS + "robots: {ci: {owners: ['user:ann']}}", True),
    (READERS + "workloads: {w: {from: github, claims: {repository_id: 7}}}\nadministrators: ['workload:w']", False),
    (READERS + "administrators: ['group:directory']", False),
    (READERS + "file b.yaml\nadministrators: ['user:ann']", False),
    (READERS + "file b.yaml\ngroups: {administrators: {users: [ann]}}", True),
]


@boundary({"TS136": NOBODY})
def test_nobody_administers(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """Where people can have access keys, some client has to manage those of others."""
    assert (code in codes(tmp_path, tree, access_keys=True)) is expected
    assert code not in codes(tmp_path, tree, access_keys=False)


@boundary({"TS106": UNDEFINED})
def test_undefined_groups(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """A group that nobody can be in makes nobody an administrator, if no user source has groups."""
    assert (code in codes(tmp_path, tree, have_groups=False)) is expected


@boundary({"TS120": UNUSED})
def test_administrators_are_used(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """A group or machine that administers is used, though no rule names it."""
    assert (code in codes(tmp_path, tree)) is expected


def linted(folder: Path, more: str = "") -> tuple[PolicySet, list[LintedFile]]:
    """A tree with `more` in its root file, whose name is not the first, compiled."""
    root = "delegate: [{file: a/team.yaml, repositories: ['**'], actions: [pull]}]\n" + more
    rules = "allow: [{id: %s, to: [authenticated], repositories: [%s], role: reader}]\n"
    texts = {"a/team.yaml": "version: 1\n" + rules % ("b", "q"), "z.yaml": f"version: 1\n{rules % ('a', 'p')}{root}"}
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    policies, tests = compile_policies(folder)
    return policies, [
        LintedFile(name, texts[name], one.document, one.tests, one.service)
        for name, one in zip(policies.files, tests, strict=True)
    ]


@pytest.mark.parametrize(
    ("more", "access_keys", "expected"),
    [
        pytest.param("", True, ["z.yaml:1 TS136"], id="nobody"),
        pytest.param("", False, [], id="no access keys"),
        pytest.param("", None, [], id="unknown"),
        pytest.param("administrators: ['user:ann']\n", True, [], id="somebody"),
        pytest.param("administrators: ['group:ops']\n", True, [], id="a group"),
    ],
)
def test_access_keys(tmp_path: Path, more: str, access_keys: bool | None, expected: list[str]) -> None:
    """TS136: somebody must be able to end the keys of a person who has left."""
    policies, files = linted(tmp_path, more)
    found = lint(policies, files, NOW, have_groups=True, access_keys=access_keys)
    assert [f"{one.file}:{one.line} {one.code}" for one in found] == [*expected]


@pytest.mark.parametrize(("access_keys", "expected"), [(True, []), (None, []), (False, [])])
def test_suppression(tmp_path: Path, access_keys: bool | None, expected: list[str]) -> None:
    """A comment about TS136 is no unused one where access keys are off or the configuration is unknown."""
    policies, files = linted(tmp_path)
    root = files[1]
    comment = "# lint: ignore TS136 because we use the commands\n"
    files[1] = LintedFile(root.name, comment + root.text, root.document, root.tests, root.service)
    found = lint(policies, files, NOW, have_groups=True, access_keys=access_keys)
    assert [one.code for one in found if one.line > 1] == expected


def test_unknown_names(tmp_path: Path) -> None:
    """Administrators are among the names that the user sources are asked for, and findings are at their lines."""
    more = "groups: {own: {users: [otto]}}\nadministrators:\n  - user:ann\n  - group:ops\n  - group:own\n  - user:ben\n"
    policies, files = linted(tmp_path, more)
    assert named_users(policies) == {"ann", "ben", "otto"}
    assert named_groups(policies) == {"ops"}
    unknown = UnknownNames(
        {"ann": "cannot log in"}, {"ops": "is in no directory", "own": "is no group"}, {"ben": "is twice"}
    )
    found = lint(policies, files, NOW, have_groups=True, unknown_names=unknown)
    assert [f"{one.line} {one.code} {one.text}" for one in found] == [
        "6 TS301 administrators: the user 'ann' cannot log in",
        "7 TS302 administrators: the group 'ops' is in no directory",
        "9 TS303 administrators: the user 'ben' is twice",
    ]
