"""What policies name and the user sources do not have: which names are asked about, and where the answers are told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.lint.unknown_names import UnknownNames, named_groups, named_users
from tokenserver.policy.loading.loader import compile_policies

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = """\
version: 1
groups:
  web: {users: [bob], groups: [web-devs]}
  ops: {users: [olga]}
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push, delete]}
allow:
  - {id: web, to: ["group:web", "group:auditors"], repositories: ["web/**"], role: writer}
  - {id: olga, to: ["user:olga"], repositories: ["ops/**"], role: writer}
deny:
  - {id: freeze, to: [everyone], except: ["user:bob", "group:ops"], repositories: ["web/prod/*"], actions: [push]}
"""
TEAM = """\
version: 1
groups:
  inner: {users: [ivy], groups: [web-inner]}
allow:
  - {id: inner, to: ["group:inner", "user:ann"], repositories: ["web/inner/**"], role: reader}
"""


def findings(folder: Path, outside: UnknownNames | None, root: str = ROOT) -> list[str]:
    """What lint says with these answers."""
    write(folder, root)
    policies, tests = compile_policies(folder)
    files = [
        LintedFile(name, (folder / name).read_text(), one.document, one.tests, one.service)
        for name, one in zip(policies.files, tests, strict=True)
    ]
    found = lint(policies, files, NOW, have_groups=True, unknown_names=outside)
    return [f"{one.file}:{one.line} {one.code} {one.text}" for one in found]


def write(folder: Path, root: str = ROOT) -> None:
    (folder / "teams").mkdir(exist_ok=True)
    (folder / "root.yaml").write_text(root)
    (folder / "teams" / "web.yaml").write_text(TEAM)


def test_names(tmp_path: Path) -> None:
    """Users of rules, exceptions and groups; of groups those that no file defines, and those that are brought in."""
    write(tmp_path)
    policies, _ = compile_policies(tmp_path)
    assert named_users(policies) == {"bob", "olga", "ivy", "ann"}
    assert named_groups(policies) == {"auditors", "web-devs", "web-inner"}


def test_everybody_is_there(tmp_path: Path) -> None:
    """Nothing wrong with any name, no finding."""
    assert findings(tmp_path, UnknownNames({}, {}, {})) == []


def test_where_it_is_told(tmp_path: Path) -> None:
    """At each rule and each group that names it, also in a delegated file; a tree's group is never asked about."""
    outside = UnknownNames(
        {"bob": "is gone", "ivy": "is gone"},
        {"auditors": "is not there", "web-devs": "is not there", "web-inner": "is not there", "web": "x", "ops": "x"},
        {"ann": "is in two"},
    )
    assert findings(tmp_path, outside) == [
        "root.yaml:3 TS301 web: the user 'bob' is gone",
        "root.yaml:3 TS302 web: the group 'web-devs' is not there",
        "root.yaml:8 TS302 web: the group 'auditors' is not there",
        "root.yaml:11 TS301 freeze: the user 'bob' is gone",
        "teams/web.yaml:3 TS301 inner: the user 'ivy' is gone",
        "teams/web.yaml:3 TS302 inner: the group 'web-inner' is not there",
        "teams/web.yaml:5 TS303 inner: the user 'ann' is in two",
    ]


def test_groups_that_two_sources_bring(tmp_path: Path) -> None:
    """At each rule and group that names them."""
    outside = UnknownNames({}, {}, {}, {"auditors": "is in two", "web": "x", "web-inner": "is in two"})
    assert findings(tmp_path, outside) == [
        "root.yaml:8 TS303 web: the group 'auditors' is in two",
        "teams/web.yaml:3 TS303 inner: the group 'web-inner' is in two",
    ]


@pytest.mark.parametrize(
    ("outside", "expected"),
    [
        pytest.param(UnknownNames({"olga": "is on leave"}, {}, {}), ["root.yaml:4 TS301 ops"], id="silenced"),
        pytest.param(None, [], id="nobody was asked, so it may still be of use"),
        pytest.param(
            UnknownNames({}, {}, {}),
            ["root.yaml:9 TS202 unused suppression: line 9 has no finding TS301; fix: remove the suppression"],
            id="asked, and of no use",
        ),
    ],
)
def test_silences(tmp_path: Path, outside: UnknownNames | None, expected: list[str]) -> None:
    """A silence for what only the user sources tell rests where they are not asked."""
    line = '"user:olga"], repositories: ["ops/**"], role: writer}'
    root = ROOT.replace(line, f"{line}  # lint: ignore TS301 because she is on leave")
    found = findings(tmp_path, outside, root)
    assert len(found) == len(expected)
    assert all(one.startswith(begin) for one, begin in zip(found, expected, strict=True))
