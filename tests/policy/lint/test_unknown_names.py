"""Unknown names: which names are looked up in the user sources, and the places of the findings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from lint_trees import READERS, WORKLOADS, boundary, codes

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
    """The findings of lint with these answers of the user sources."""
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
    """Users of rules, exceptions and groups; groups that no file defines, and directory groups in `groups:`."""
    write(tmp_path)
    policies, _ = compile_policies(tmp_path)
    assert named_users(policies) == {"bob", "olga", "ivy", "ann"}
    assert named_groups(policies) == {"auditors", "web-devs", "web-inner"}


def test_no_unknown_names(tmp_path: Path) -> None:
    """No finding if the user sources have every name."""
    assert findings(tmp_path, UnknownNames({}, {}, {})) == []


def test_places_of_findings(tmp_path: Path) -> None:
    """At each rule and each group that names it, also in a delegated file; groups of the tree are not looked up."""
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


def test_groups_that_two_sources_have(tmp_path: Path) -> None:
    """At each rule and group that names them."""
    outside = UnknownNames({}, {}, {}, {"auditors": "is in two", "web": "x", "web-inner": "is in two"})
    assert findings(tmp_path, outside) == [
        "root.yaml:8 TS303 web: the group 'auditors' is in two",
        "teams/web.yaml:3 TS303 inner: the group 'web-inner' is in two",
    ]


@pytest.mark.parametrize(
    ("outside", "expected"),
    [
        pytest.param(UnknownNames({"olga": "is on leave"}, {}, {}), ["root.yaml:4 TS301 ops"], id="used"),
        pytest.param(None, [], id="not queried, so possibly used"),
        pytest.param(
            UnknownNames({}, {}, {}),
            ["root.yaml:9 TS202 unused suppression: line 9 has no finding TS301; fix: remove the suppression"],
            id="queried and unused",
        ),
    ],
)
def test_suppressions(tmp_path: Path, outside: UnknownNames | None, expected: list[str]) -> None:
    """A suppression of a code that needs the user sources is never unused while they are not queried."""
    line = '"user:olga"], repositories: ["ops/**"], role: writer}'
    root = ROOT.replace(line, f"{line}  # lint: ignore TS301 because she is on leave")
    found = findings(tmp_path, outside, root)
    assert len(found) == len(expected)
    assert all(one.startswith(begin) for one, begin in zip(found, expected, strict=True))


GONE = UnknownNames(
    {"gone": "is gone", "Ann": "is written ann"},
    {"old": "is not there"},
    {"both": "is in two"},
    {"team": "is in two"},
)


def to(*people: str, more: str = "") -> str:
    """A rule for them."""
    return f"id: b, to: [{', '.join(map(repr, people))}], repositories: [q], role: reader{more}"


NO_USER = [
    (to("user:gone"), True),
    (to("user:here"), False),
    (to("user:Ann"), True),
    (to("user:ann"), False),
    (to("group:gone"), False),
    (to("user:both"), False),
    (to("authenticated", more=", except: ['user:gone']"), True),
    (to("group:g") + "\ngroups: {g: {users: [gone]}}", True),
    (to("group:g") + "\ngroups: {g: {groups: [gone]}}", False),
    (to("group:g") + "\ngroups: {g: {includes: [h]}, h: {users: [x, gone]}}", True),
    (READERS + "deny id: d, to: ['user:gone'], repositories: [p], actions: [pull]", True),
    (READERS + "tests: [{as: {user: gone}, can: [pull p]}]", False),
]
NO_GROUP = [
    (to("group:old"), True),
    (to("group:new"), False),
    (to("user:old"), False),
    (to("group:team"), False),
    (to("group:old") + "\ngroups: {old: {users: [x]}}", False),
    (to("group:g") + "\ngroups: {g: {groups: [old]}}", True),
    (to("group:g") + "\ngroups: {g: {users: [old]}}", False),
    (to("group:old") + "\ngroups: {old: {groups: [old]}}", True),
    (to("authenticated", more=", except: ['group:old']"), True),
    (to("group:ol{x}").replace("[q]", "['${x}']"), False),
    (READERS + "deny id: d, to: ['group:old'], repositories: [p], actions: [pull]", True),
]
SHARED = [
    (to("user:both"), True),
    (to("user:one"), False),
    (to("user:gone"), False),
    (to("group:team"), True),
    (to("group:both"), False),
    (to("user:team"), False),
    (to("group:team") + "\ngroups: {team: {users: [x]}}", False),
    (to("group:g") + "\ngroups: {g: {groups: [team]}}", True),
    (to("group:g") + "\ngroups: {g: {users: [both]}}", True),
    (to("authenticated", more=", except: ['user:both']"), True),
    (READERS + "deny id: d, to: ['group:team'], repositories: [p], actions: [pull]", True),
]


BOT = READERS + "deny id: d, to: [robots], repositories: [p], actions: [pull]\nrobots: {{gone: {{owners: [{}]}}}}\n"
JOBS = "workloads: {old: {from: github, claims: {repository_id: 74}}}\n"
NO_USER += [
    (BOT.format("'user:gone'"), True),
    (BOT.format("'user:here'"), False),
    (BOT.format("'group:gone'"), False),
    (to("robot:gone") + "\nrobots: {gone: }\n", False),
    (to("group:g") + "\ngroups: {g: {robots: [gone]}}\nrobots: {gone: }\n", False),
]
NO_GROUP += [
    (BOT.format("'group:old'"), True),
    (BOT.format("'group:old'") + "groups: {old: {users: [x]}}", False),
    (BOT.format("'group:new'"), False),
    (to("workload:old") + "\n" + JOBS, False),
    (to("group:g") + "\ngroups: {g: {workloads: [old]}}\n" + JOBS, False),
]
SHARED += [
    (BOT.format("'user:both'"), True),
    (BOT.format("'group:team'"), True),
    (to("robot:both") + "\nrobots: {both: }\n", False),
]


def test_machines_are_in_no_user_source(tmp_path: Path) -> None:
    """Neither robots nor workloads are looked up; owners of robots are."""
    text = "version: 1\ngroups: {g: {robots: [ci], workloads: [web], users: [ann], groups: [ldap]}}\n"
    text += "robots: {ci: {owners: ['user:olga', 'group:ops', 'group:g']}}\n" + WORKLOADS
    text += "allow: [{id: a, to: ['robot:ci', 'workload:web', 'group:g'], repositories: [p], role: reader}]\n"
    (tmp_path / "a.yaml").write_text(text)
    policies, _ = compile_policies(tmp_path)
    assert named_users(policies) == {"ann", "olga"}
    assert named_groups(policies) == {"ldap", "ops"}


@boundary({"TS301": NO_USER, "TS302": NO_GROUP, "TS303": SHARED})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault, and for none if no source was queried."""
    assert (code in codes(tmp_path, tree, unknown_names=GONE)) is expected
    assert code not in codes(tmp_path, tree)
