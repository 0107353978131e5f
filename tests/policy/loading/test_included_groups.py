"""Groups that include groups of the tree: what loads, what does not, and what a delegated file may include."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from policy_folders import GOOD, NOW, faults, write

from tokenserver.identity import Identity, Kind
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.loading import included_groups
from tokenserver.policy.loading.loader import PolicyLoader, load_policies

ROOT = """\
version: 1
groups:
  all: {includes: [web, data], users: [olga]}
  web: {users: [ann], groups: [web-devs]}
  data: {includes: [science]}
  science: {groups: [science]}
"""
TEAM = """\
version: 1
groups:
  lead: {users: [ann]}
  own: {includes: [lead, data]}
"""


def delegating(principals: str = "") -> str:
    """The root file, with a delegation to teams/a.yaml."""
    more = f", principals: {principals}" if principals else ""
    return f'{ROOT}delegate:\n  - {{file: teams/a.yaml, repositories: ["a/**"], actions: [pull]{more}}}\n'


def rule(to: str) -> str:
    """The team's file with a rule for `to`, on line 6."""
    return f'{TEAM}allow:\n  - {{id: team, to: {to}, repositories: ["a/*"], role: reader}}\n'


def saved(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write(folder / name, text)
    return folder


@pytest.mark.parametrize(
    ("user", "brought", "expected"),
    [
        pytest.param("ann", (), {"web", "all"}, id="user"),
        pytest.param("x", ("web-devs",), {"web", "all", "web-devs"}, id="directory-group"),
        pytest.param("x", ("science",), {"science", "data", "all"}, id="through-two"),
        pytest.param("x", ("data",), set(), id="a-name-of-the-tree-is-no-directory-group"),
        pytest.param("olga", (), {"all"}, id="own-member"),
    ],
)
def test_who_is_in_them(folder: Path, user: str, brought: tuple[str, ...], expected: set[str]) -> None:
    """A member of an included group is a member; `groups:` goes on to mean groups that the identity brought."""
    saved(folder, {"a.yaml": ROOT, "b.yaml": GOOD})
    identity = Identity(user, Kind.PASSWORD, groups=frozenset(brought))
    assert load_policies(folder, now=NOW).groups.holding(identity) == expected


def test_a_delegated_file_includes_its_own_groups_and_those_of_root_files(folder: Path) -> None:
    """Its groups stay its own."""
    saved(folder, {"a.yaml": delegating(), "teams/a.yaml": rule('["group:own"]')})
    groups = load_policies(folder, now=NOW).groups
    held = groups.holding(Identity("x", Kind.PASSWORD, groups=frozenset({"science"})))
    assert held == {"science", "data", "all", owned_name("own", "teams/a.yaml")}
    assert owned_name("own", "teams/a.yaml") in groups.holding(Identity("ann", Kind.PASSWORD))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"a.yaml": "version: 1\ngroups:\n  a: {includes: [a]}\n"},
            ["a.yaml:3: groups.a.includes: a group cannot include itself: a includes a; fix: remove one of these"],
            id="itself",
        ),
        pytest.param(
            {
                "a.yaml": "version: 1\ngroups:\n  a: {includes: [b]}\n",
                "b.yaml": "version: 1\ngroups:\n  b: {includes: [c]}\n  c: {users: [x], includes: [a]}\n",
            },
            [
                ("b.yaml:4: groups.c.includes: a group cannot include itself: a includes b, which includes c, "
                "which includes a; fix: remove one of these")
            ],
            id="cycle-of-three-in-two-files",
        ),
        pytest.param(
            {
                "a.yaml": "version: 1\ngroups:\n"
                + "".join(f"  g{number}: {{includes: [g{(number + 1) % 9}]}}\n" for number in range(9))
            },
            [
                ("a.yaml:11: groups.g8.includes: a group cannot include itself: g0 includes g1, which includes g2, "
                "which includes 3 more groups, which includes g6, which includes g7, which includes g8, "
                "which includes g0; fix: remove one of these")
            ],
            id="long-cycle",
        ),
        pytest.param(
            {"a.yaml": "version: 1\ngroups:\n  a: {includes: [wbe]}\n  web: {users: [x]}\n"},
            [
                ("a.yaml:3: groups.a.includes: no file at the top defines a group 'wbe'; did you mean 'web'?; "
                "fix: put a directory group under groups: instead")
            ],
            id="undefined",
        ),
        pytest.param(
            {"a.yaml": "version: 1\ngroups:\n  a: {includes: [web-devs]}\n"},
            [
                ("a.yaml:3: groups.a.includes: no file at the top defines a group 'web-devs'; "
                "fix: put a directory group under groups: instead")
            ],
            id="a-directory-group-alone",
        ),
        pytest.param(
            {"a.yaml": "version: 1\ngroups:\n  a: {includes: []}\n"},
            ["a.yaml:3: groups.a.includes: is an empty list: leave the key out, or fill it"],
            id="empty",
        ),
        pytest.param(
            {"a.yaml": delegating() + "  - {file: teams/b.yaml, repositories: [b], actions: [pull]}\n",
             "teams/a.yaml": "version: 1\ngroups:\n  own: {includes: [theirs]}\n",
             "teams/b.yaml": "version: 1\ngroups:\n  theirs: {users: [x]}\n"},
            [
                ("teams/a.yaml:3: groups.own.includes: neither this file nor one at the top defines a group 'theirs'; "
                "known here: all, data, science, web; fix: put a directory group under groups: instead")
            ],
            id="a-group-of-another-team",
        ),
        pytest.param(
            {"a.yaml": delegating().replace("[web,", "[own, web,"),
             "teams/a.yaml": rule('["group:own"]')},
            [
                ("a.yaml:3: groups.all.includes: no file at the top defines a group 'own'; "
                "known here: data, science, web; fix: put a directory group under groups: instead")
            ],
            id="a-root-file-includes-no-group-of-a-team",
        ),
    ],
)  # fmt: skip
def test_faults(folder: Path, files: Mapping[str, str], expected: list[str]) -> None:
    """Each with file, line, and what to do."""
    saved(folder, files)
    assert faults(folder) == expected


@pytest.mark.parametrize(
    ("principals", "to", "expected"),
    [
        pytest.param("[authenticated]", "group:own", None, id="all"),
        pytest.param('["group:all", "user:ann"]', "group:own", None, id="an-outer-group-includes-it"),
        pytest.param('["group:data", "user:ann"]', "group:own", None, id="both-parts"),
        pytest.param('["group:all"]', "group:science", None, id="a-root-group-through-an-outer-one"),
        pytest.param('["group:data"]', "group:own", "names group:own with group:lead with user:ann, who", id="user"),
        pytest.param('["user:ann"]', "group:own", "names group:own with group:data, who", id="included-root-group"),
        pytest.param('["group:science"]', "group:data", "names group:data, who", id="inner-group-alone"),
        pytest.param('["group:web"]', "user:ann", "names user:ann, who", id="a-member-alone"),
    ],
)
def test_a_team_reaches_nobody_beyond_its_delegation(
    folder: Path, principals: str, to: str, expected: str | None
) -> None:
    """A group of its own counts as its parts; a root group is delegated by its name or by one that includes it."""
    saved(folder, {"a.yaml": delegating(principals), "teams/a.yaml": rule(f'["{to}"]')})
    if expected is None:
        assert load_policies(folder, now=NOW).rule_count == 1
        return
    (found,) = faults(folder)
    assert found.startswith("teams/a.yaml:6: ")
    assert expected in found


def test_a_changed_root_group_is_compared_with_the_delegation(folder: Path) -> None:
    """What a root group includes matters to files that name it, although these did not change."""
    saved(folder, {"a.yaml": delegating('["group:all", "user:ann"]'), "teams/a.yaml": rule('["group:own"]')})
    loader = PolicyLoader(folder)
    loader.load(NOW)
    write(folder / "a.yaml", delegating('["group:all", "user:ann"]').replace("[web, data]", "[web]"))
    with pytest.raises(Exception, match="names group:own with group:data, who is not delegated"):
        loader.load(NOW)


def test_the_members_that_includes_bring_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first group that goes beyond the bound."""
    saved(folder, {"a.yaml": ROOT, "b.yaml": GOOD})
    monkeypatch.setattr(included_groups, "MAX_MEMBERS", 11)
    load_policies(folder, now=NOW)
    monkeypatch.setattr(included_groups, "MAX_MEMBERS", 10)
    (found,) = faults(folder)
    assert found.startswith(
        "a.yaml:5: groups.data.includes: with it, the groups of the tree include more than 10 members"
    )
