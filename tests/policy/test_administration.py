"""Administrators and owners of robots: who manages credentials, by name, by group, and never by accident."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_folders import GOOD, NOW, write

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.administration import (
    AdministratorChange,
    OwnerChange,
    administrators_including,
    changed_administrators,
    changed_owners,
    is_administrator,
    may_manage_robot,
)
from tokenserver.policy.loading.loader import PolicyLoader, compile_policies, load_policies
from tokenserver.policy.machines.robots import Robot, subject_of
from tokenserver.policy.model import Group, Groups, PolicySet, Principal, Principals
from tokenserver.policy.principals import principals_of
from tokenserver.policy.syntax.machines import robot_identity, workload_identity

ROOT = """\
version: 1
administrators: ["user:ann", "group:ops", "group:directory-ops", "robot:terraform", "workload:deploy"]
robots:
  terraform: {owners: ["user:olga"]}
  keeper: {owners: ["user:olga"]}
  ci: {owners: ["group:web", "user:olga"]}
  spare:
workloads:
  deploy: {from: github, claims: {repository_id: "74"}}
groups:
  ops: {users: [otto], groups: [directory-admins], includes: [night], robots: [keeper]}
  night: {users: [nina]}
  web: {users: [will], groups: [web-people], robots: [ci]}
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull], robots: ["web-*"]}
allow:
  - {id: a, to: [authenticated], repositories: ["base/**"], role: reader}
"""
TEAM = """\
version: 1
groups: {ops: {users: [mallory]}, crew: {users: [cleo]}}
robots: {web-ci: {owners: ["group:crew"]}}
allow:
  - {id: b, to: ["group:crew"], repositories: ["web/**"], role: reader}
"""


def person(name: str, *groups: str, kind: Kind = Kind.PASSWORD) -> Identity:
    """A user in these directory groups."""
    return Identity(name, kind, "directory", frozenset(groups))


def job(source: str, repository: str) -> Identity:
    """A workload of this source and repository."""
    return workload_identity(source, frozenset({("repository_id", repository)}))


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    """The tree of this module."""
    folder = tmp_path_factory.mktemp("policies")
    folder.chmod(0o755)
    (folder / "teams").mkdir(mode=0o755)
    write(folder / "a.yaml", ROOT)
    write(folder / "teams/web.yaml", TEAM.replace("ops:", "team-ops:"))
    return compile_policies(folder)[0]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(person("ann"), ["user:ann"], id="by name"),
        pytest.param(person("ann", kind=Kind.KEY), ["user:ann"], id="with a key, which callers refuse"),
        pytest.param(person("otto"), ["group:ops"], id="in a group of the tree"),
        pytest.param(person("nina"), ["group:ops"], id="in a group that the group includes"),
        pytest.param(person("dora", "directory-admins"), ["group:ops"], id="in a directory group of the group"),
        pytest.param(person("dora", "directory-ops"), ["group:directory-ops"], id="in a directory group"),
        pytest.param(person("otto", "directory-ops"), ["group:directory-ops", "group:ops"], id="twice"),
        pytest.param(robot_identity("terraform"), ["robot:terraform"], id="a robot"),
        pytest.param(robot_identity("keeper"), ["group:ops"], id="a robot in a group"),
        pytest.param(job("github", "74"), ["workload:deploy"], id="a job"),
        pytest.param(ANONYMOUS, [], id="anonymous"),
        pytest.param(person("dora", "ops"), [], id="a directory group with the name of a group of the tree"),
        pytest.param(person("cleo"), [], id="a member of another group"),
        pytest.param(person("Ann"), [], id="another spelling"),
        pytest.param(person("terraform"), [], id="a user with the name of a robot"),
        pytest.param(robot_identity("ann"), [], id="a robot with the name of a user"),
        pytest.param(robot_identity("ci"), [], id="another robot"),
        pytest.param(job("github", "75"), [], id="another job"),
        pytest.param(job("gitlab", "74"), [], id="another source"),
    ],
)
def test_is_administrator(policies: PolicySet, identity: Identity, expected: list[str]) -> None:
    """Those that a root file names, and their members as in rules. docs/design/threats.md#threat-170"""
    assert list(map(str, administrators_including(policies, identity))) == expected
    assert is_administrator(policies, identity) is bool(expected)


@pytest.mark.parametrize(
    ("identity", "robot", "expected"),
    [
        pytest.param(person("olga"), "ci", True, id="an owner"),
        pytest.param(person("will"), "ci", True, id="in a group of the tree that owns it"),
        pytest.param(person("dora", "web-people"), "ci", True, id="in a directory group of that group"),
        pytest.param(person("cleo"), "web-ci", True, id="in a group of the delegated file"),
        pytest.param(person("ann"), "ci", True, id="an administrator"),
        pytest.param(person("ann"), "spare", True, id="an administrator, and nobody owns it"),
        pytest.param(person("ann"), "gone", True, id="an administrator, and it is not declared"),
        pytest.param(robot_identity("terraform"), "ci", True, id="a robot as administrator"),
        pytest.param(person("olga"), "spare", False, id="nobody owns it"),
        pytest.param(person("olga"), "gone", False, id="not declared"),
        pytest.param(person("olga"), "web-ci", False, id="an owner of another robot"),
        pytest.param(person("dora", "crew"), "web-ci", False, id="a directory group with that name"),
        pytest.param(robot_identity("ci"), "ci", False, id="the robot itself, in the group that owns it"),
        pytest.param(ANONYMOUS, "ci", False, id="anonymous"),
        pytest.param(person("olga"), "terraform", False, id="an owner of an administrator"),
        pytest.param(person("olga"), "keeper", False, id="an owner of an administrator by a group"),
        pytest.param(person("otto"), "keeper", True, id="an administrator, of another one"),
    ],
)
def test_may_manage_robot(policies: PolicySet, identity: Identity, robot: str, expected: bool) -> None:
    """Administrators, and the people who own it. docs/design/threats.md#threat-171"""
    assert may_manage_robot(policies, identity, robot) is expected


@given(
    st.sampled_from([Kind.ANONYMOUS, Kind.PASSWORD, Kind.KEY, Kind.ROBOT, Kind.WORKLOAD]),
    st.text(max_size=8),
    st.frozensets(st.text(max_size=4), max_size=3),
)
def test_nobody_by_default(kind: Kind, subject: str, groups: frozenset[str]) -> None:
    """Without `administrators:` no client is one, whatever it brings."""
    policies = PolicySet("", (), (), Groups.of_all(()), {})
    assert policies.administrators == Principals()
    assert not is_administrator(policies, Identity(subject, kind, groups=groups))
    assert not may_manage_robot(policies, Identity(subject, kind, groups=groups), "ci")


def test_several_root_files(folder: Path) -> None:
    """Their administrators are together, and the digest tells a change."""
    write(folder / "a.yaml", GOOD + "administrators: ['user:ann']\n")
    before = load_policies(folder, now=NOW)
    write(folder / "b.yaml", "version: 1\nadministrators: ['user:ben', 'user:ann']\n")
    after = load_policies(folder, now=NOW)
    assert administrators_including(before, person("ben")) == ()
    assert after.administrators == Principals(users=frozenset({"ann", "ben"}))
    assert administrators_including(after, person("ben")) == (Principal("user", "ben"),)
    assert before.digest != after.digest


def test_reload(folder: Path) -> None:
    """A removed administrator is none after the reload, and one of an unchanged file stays."""
    write(folder / "a.yaml", GOOD + "administrators: ['user:ann']\n")
    write(folder / "b.yaml", "version: 1\nadministrators: ['user:ben']\n")
    loader = PolicyLoader(folder)
    loader.load(NOW)
    write(folder / "b.yaml", "version: 1\nadministrators: ['user:carl']\n")
    assert loader.load(NOW).administrators.users == {"ann", "carl"}


def test_a_local_group_is_no_administrator(folder: Path) -> None:
    """A delegated file cannot fill a group that a root file names. docs/design/threats.md#threat-170"""
    (folder / "teams").mkdir(mode=0o755)
    root = ROOT.replace("  ops: {users: [otto], groups: [directory-admins], includes: [night], robots: [keeper]}\n", "")
    write(folder / "a.yaml", root)
    write(folder / "teams/web.yaml", TEAM)
    policies = compile_policies(folder)[0]
    assert not is_administrator(policies, person("mallory"))
    assert is_administrator(policies, person("dora", "ops"))


NAMES = ("ann", "ben")
GROUPS = ("ops", "web", "dir")
CLIENTS = [
    *(person(name, *some) for name in (*NAMES, "cleo") for some in ((), ("ops",), ("dir",), ("ops", "web", "dir"))),
    *(robot_identity(name) for name in NAMES),
    ANONYMOUS,
]


@st.composite
def trees(draw: st.DrawFn) -> PolicySet:
    """Administrators of every sort, and some groups of the tree, which may hide a directory group."""
    subjects = st.frozensets(st.sampled_from([*NAMES, *map(subject_of, NAMES)]))
    names = st.frozensets(st.sampled_from(GROUPS))
    defined = draw(names)
    groups = [Group(one, draw(subjects), draw(names), draw(names) & defined) for one in sorted(defined)]
    entries = draw(
        st.lists(st.builds(Principal, st.sampled_from(["user", "robot"]), st.sampled_from(NAMES)), max_size=2)
    ) + [Principal("group", one) for one in sorted(draw(names))]
    owners = st.lists(st.sampled_from(["user:ann", "user:ben", *(f"group:{one}" for one in GROUPS)]), max_size=3)
    robots = {name: Robot(name, owners=tuple(draw(owners))) for name in draw(st.frozensets(st.sampled_from(NAMES)))}
    policies = PolicySet("", (), (), Groups.of_all(groups), {}, administrators=principals_of(entries))
    return replace(policies, robots=robots)


def is_about(change: AdministratorChange | OwnerChange, client: Identity) -> bool:
    """Whether the client is among those of the row."""
    who = change.who
    return {
        "user": client.kind is not Kind.ROBOT and client.subject == who.name,
        "robot": client.subject == subject_of(who.name),
        "directory": who.name in client.groups,
    }[who.sort]


@given(trees(), trees())
def test_changes_are_complete_and_right(before: PolicySet, after: PolicySet) -> None:
    """Each client that becomes an administrator is in a row, and each row has a client that does."""
    rows = changed_administrators(before, after)
    new = [one for one in CLIENTS if is_administrator(after, one) and not is_administrator(before, one)]
    assert [one for one in new if not any(is_about(row, one) for row in rows)] == []
    for row in rows:
        who = row.who
        client = person("zoe", who.name) if who.sort == "directory" else person(who.name)
        client = robot_identity(who.name) if who.sort == "robot" else client
        assert (is_administrator(before, client), is_administrator(after, client)) == (False, True)
        assert row.entries == administrators_including(after, client)


@given(trees(), trees())
def test_changed_owners_are_complete_and_right(before: PolicySet, after: PolicySet) -> None:
    """Each client that comes to manage a robot is in a row of it or of administrators, and each row has such a client.

    See docs/design/threats.md#threat-218.
    """
    rows, administrators = changed_owners(before, after), changed_administrators(before, after)
    for robot in NAMES:
        new = [
            one for one in CLIENTS if may_manage_robot(after, one, robot) and not may_manage_robot(before, one, robot)
        ]
        found: list[AdministratorChange | OwnerChange] = [*administrators, *(row for row in rows if row.robot == robot)]
        assert [one for one in new if not any(is_about(row, one) for row in found)] == []
    for row in rows:
        client = person("zoe", row.who.name) if row.who.sort == "directory" else person(row.who.name)
        managed = [may_manage_robot(tree, client, row.robot) for tree in (before, after)]
        assert (managed, row.entries != ()) == ([False, True], True)


WORKLOADS = """\
version: 1
administrators: [%s]
workloads:
  job: {from: github, claims: {%s}}
allow: [{id: a, to: [authenticated], repositories: [p], role: reader}]
"""


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param("repository_id: 7", "repository_id: 7", False, id="the same"),
        pytest.param("repository_id: 7", "repository_id: 7, ref: refs/heads/main", False, id="fewer"),
        pytest.param("repository_id: 7, ref: refs/heads/main", "repository_id: 7", True, id="more"),
        pytest.param("repository_id: 7", "repository_id: 8", True, id="others"),
    ],
)
def test_changed_claims(folder: Path, before: str, after: str, expected: bool) -> None:
    """A workload that others can be than before is a new administrator."""
    trees = []
    for claims in (before, after):
        write(folder / "a.yaml", WORKLOADS % ("'workload:job'", claims))
        trees.append(load_policies(folder, now=NOW))
    who = Principal("workload", "job")
    assert changed_administrators(*trees) == ((AdministratorChange(who, (who,)),) if expected else ())


def test_a_group_of_workloads(folder: Path) -> None:
    """The workloads of a group are named, with the group."""
    write(folder / "a.yaml", WORKLOADS % ("'group:jobs'", "repository_id: 7") + "groups: {jobs: {workloads: [job]}}\n")
    policies = load_policies(folder, now=NOW)
    nobody = PolicySet("", (), (), Groups.of_all(()), {})
    expected = AdministratorChange(Principal("workload", "job"), (Principal("group", "jobs"),))
    assert changed_administrators(nobody, policies) == (expected,)
    assert changed_administrators(policies, policies) == ()
