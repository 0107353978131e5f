"""Principals with a capture, and the patterns of their rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from policy_folders import NOW, faults, write

from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Context
from tokenserver.scopes import Resource, Scope

CONTEXT = Context("registry", None, datetime(2026, 6, 1, tzinfo=UTC))
TO = '["group:reg-{team}-rw", "group:admin-{team}"]'
TEAM = f'{{id: a, to: {TO}, repositories: ["${{team}}/**", "shared/${{team}}-*"], role: writer}}'


def granted(folder: Path, rule: str, name: str, *groups: str, user: str = "ann") -> bool:
    """Whether a member of the groups may pull by the one rule."""
    write(folder / "a.yaml", f"version: 1\nallow: [{rule}]\n")
    found = decide(
        load_policies(folder, now=NOW),
        Identity(user, Kind.PASSWORD, groups=frozenset(groups)),
        Scope(Resource("repository", name), frozenset({"pull"})),
        CONTEXT,
    )
    return bool(found.granted)


@pytest.mark.parametrize(
    ("name", "groups", "expected"),
    [
        ("web/site", ["reg-web-rw"], True),
        ("web/site", ["admin-web"], True),
        ("web/site", ["reg-web-ro"], False),
        ("web/site", ["xreg-web-rw"], False),
        ("web/site", ["reg-web-rwx"], False),
        ("web/site", ["reg-data-rw"], False),
        ("web", ["reg-web-rw"], False),
        ("shared/web-tools", ["reg-web-rw"], True),
        ("shared/webtools", ["reg-web-rw"], False),
        ("shared/web-", ["reg-web-rw"], False),
        ("shared/a-b-c", ["reg-a-rw"], True),
        ("shared/a-b-c", ["reg-a-b-rw"], True),
        ("shared/a-b-c", ["reg-a-b-c-rw"], False),
        ("shared/a-b-c", ["reg-b-rw"], False),
        ("-/x", ["reg---rw"], False),
        ("web/site", ["reg--rw", "reg-rw"], False),
    ],
)
def test_what_a_capture_grants(folder: Path, name: str, groups: list[str], expected: bool) -> None:
    """The group's name fits from end to end, and the text between is a legal path component."""
    assert granted(folder, TEAM, name, *groups) is expected


MINE = '["${user}-*", "x/team-${group}", "y/${group}-z/${group}"]'
OWN = f"{{id: a, to: [authenticated], repositories: {MINE}, role: reader}}"


@pytest.mark.parametrize(
    ("name", "groups", "expected"),
    [
        ("ann-x", [], True),
        ("ann", [], False),
        ("anna-x", [], False),
        ("x/team-web", ["web"], True),
        ("x/team-web", ["team-web"], False),
        ("x/team-", [""], False),
        ("y/web-z/web", ["web"], True),
        ("y/web-z/data", ["web", "data"], False),
    ],
)
def test_variables_inside_a_segment(folder: Path, name: str, groups: list[str], expected: bool) -> None:
    """A part of a segment, literally, and the same value in all of its places."""
    assert granted(folder, OWN, name, *groups) is expected


def test_a_user_with_an_illegal_name_has_no_part_of_a_segment(folder: Path) -> None:
    """Otherwise `a-` would have the names of others."""
    assert not granted(folder, OWN, "a--x", user="a-")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("web/site", True), ("web/prod/site", False), ("web/prod", True), ("web/x/prod-1", False)],
)
def test_not_takes_a_part_away(folder: Path, name: str, expected: bool) -> None:
    """A name that `not` covers is none of the rule's."""
    rule = '{id: a, to: [everyone], repositories: ["web/**"], not: ["web/prod/**", "*/*/prod-*"], role: reader}'
    assert granted(folder, rule, name) is expected


def rule_faults(folder: Path, to: str, repositories: str, more: str = "") -> list[str]:
    """The faults of one rule."""
    rule = f"{{id: a, to: {to}, repositories: {repositories}, role: reader{more}}}"
    write(folder / "a.yaml", f"version: 1\nallow:\n  - {rule}\n")
    return faults(folder)


@pytest.mark.parametrize(
    ("to", "repositories", "place", "message"),
    [
        ('["group:a-{x}-{x}"]', '["${x}/a"]', "to[0]", "a group has one capture"),
        ('["group:a-{x}-{y}"]', '["${x}/a"]', "to[0]", "a group has one capture"),
        ('["group:a-{x"]', '["${x}/a"]', "to[0]", "a group has one capture"),
        ('["group:a-{x}}"]', '["a/b"]', "to[0]", "a group has one capture"),
        ('["group:a-{}"]', '["a/b"]', "to[0]", "'' is no name for a variable"),
        ('["group:a-{X}"]', '["${X}/b"]', "to[0]", "'X' is no name for a variable"),
        ('["group:a-{user}"]', '["${user}/b"]', "to[0]", "'user' is the name of another variable"),
        ('["group:{x}"]', '["${x}/b"]', "to[0]", "is any group; fix: write to: [authenticated]"),
        ('["group:*-{x}"]', '["${x}/b"]', "to[0]", "names are literal"),
        ('["group:a-{x}"]', '["a/b"]', "repositories[0]", "does not use ${x}, which the rule captures"),
        ('["group:a-{x}"]', '["${x}/a", "a/**"]', "repositories[1]", "does not use ${x}"),
        ('["group:a-{x}"]', '["${y}/a"]', "repositories[0]", "the variables are ${user} and ${x}"),
        ('["group:a-{x}"]', '["${x}/${group}"]', "repositories[0]", "has no ${group}; fix: use ${x}"),
        ('["group:a-{x}", "group:b-{y}"]', '["${x}/a"]', "to", "captures {x}, {y}, which each principal"),
        ('["group:a-{x}", everyone]', '["${x}/a"]', "to", "fix: write a rule of its own for the others"),
        (
            "[everyone]",
            '["${team}/a"]',
            "repositories[0]",
            "${team} needs a rule to a group such as group:reg-{team}-rw",
        ),
    ],
)
def test_faults(folder: Path, to: str, repositories: str, place: str, message: str) -> None:
    """One fault for each mistake, where it is; no other is invented."""
    (found,) = rule_faults(folder, to, repositories)
    assert found.startswith(f"a.yaml:3: allow[0].{place}: ")
    assert message in found


@pytest.mark.parametrize(
    ("more", "place", "message"),
    [
        (", not: []", "not", "is an empty list"),
        (', not: ["a/${user}"]', "not[0]", "has no variables here; fix: write *"),
        (', not: ["a//b"]', "not[0]", "has an empty segment"),
    ],
)
def test_faults_of_not(folder: Path, more: str, place: str, message: str) -> None:
    """A part that is taken away is written like any other pattern, without variables."""
    (found,) = rule_faults(folder, "[everyone]", '["a/**"]', more)
    assert found.startswith(f"a.yaml:3: allow[0].{place}: ")
    assert message in found


def test_faults_of_registry_resources(folder: Path) -> None:
    """A registry's own resources have neither parts nor variables."""
    rule = '{id: a, to: ["group:a-{x}"], registry: [catalog], not: ["a"], actions: ["*"]}'
    write(folder / "a.yaml", f"version: 1\nallow:\n  - {rule}\n")
    assert sorted(fault.partition(": ")[2].partition(": ")[0] for fault in faults(folder)) == [
        "allow[0].not",
        "allow[0].to",
    ]


RULE = "    id: a\n    role: reader\n"
TEAM_TO = '["group:reg-{team}-rw"]'
TEAM_PATTERNS = '["${team}/**"]'
NO_CAPTURE = "captures such as {team} are only in a rule's to; fix: name each group, such as reg-web-rw, or"


def written(to: str = "[everyone]", repositories: str = '["web/**"]', more: str = "", before: str = "") -> str:
    """A file with one rule, whose `to` is in line 3, `repositories` in line 4, and more in line 7."""
    return f"version: 1\nallow:\n  - to: {to}\n    repositories: {repositories}\n{RULE}{more}{before}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            written("[group:reg-{team}-rw]", TEAM_PATTERNS),
            ["3: ", 'fix: quote a value with {, as in "group:reg-{team}-rw"'],
            id="unquoted-principal-in-brackets",
        ),
        pytest.param(
            written("[group:{team}-rw]", TEAM_PATTERNS), ["3: ", "fix: quote a value with {"], id="capture-in-front"
        ),
        pytest.param(
            written("[group: reg-{team}-rw]", TEAM_PATTERNS), ["3: ", "fix: quote a value with {"], id="with-a-blank"
        ),
        pytest.param(
            "version: 1\nallow:\n  - {id: a, to: group:reg-{team}, repositories: [a], role: reader}\n",
            ["3: ", "fix: quote a value with {"],
            id="unquoted-text-in-braces",
        ),
        pytest.param(
            written(TEAM_TO, "[shared/${team}-*]"),
            ["4: ", 'fix: quote a value with ${, as in "${user}/**"'],
            id="unquoted-pattern-in-brackets",
        ),
        pytest.param(
            written("group:reg-{team}", TEAM_PATTERNS),
            ["3: allow[0].to: must be a list, not text; ", 'fix: write ["group:reg-{team}"]'],
            id="text-for-principals",
        ),
        pytest.param(
            written("[group: reg-x]", '["web/**"]').replace("reg-x", '"reg-{team}"'),
            ["3: allow[0].to[0]: must be text", 'fix: quote it: "group:reg-{team}"'],
            id="a-blank-after-the-colon",
        ),
        pytest.param(
            written(more="    not: web/prod/**\n"),
            ["7: allow[0].not: must be a list, not text; ", 'fix: write ["web/prod/**"]'],
            id="text-for-not",
        ),
        pytest.param(
            written(more="    not: [**/prod]\n"), ["7: ", "fix: quote a value that begins with *"], id="unquoted-not"
        ),
        pytest.param(
            written(more='    when: {not: ["web/prod/**"]}\n'),
            ["7: allow[0].when.not: unknown key; ", "fix: move it out of when, beside repositories"],
            id="not-under-when",
        ),
        pytest.param(
            written(before='not: ["web/prod/**"]\n'),
            ["7: not: unknown key; ", "fix: write it in a rule, beside repositories"],
            id="not-at-the-top",
        ),
        pytest.param(
            written(more='    exclude: ["web/prod/**"]\n'),
            ["7: allow[0].exclude: unknown key; ", "did you mean 'not' (patterns) or 'except' (principals)?"],
            id="exclude",
        ),
        pytest.param(
            written(more='    without: ["web/prod/**"]\n'),
            ["7: allow[0].without: unknown key; did you mean 'not'?"],
            id="without",
        ),
        pytest.param(
            written(repositories='["web/**", "!web/prod/**"]'),
            ["4: allow[0].repositories[1]: '!web/prod/**': ", 'fix: write not: ["web/prod/**"]'],
            id="negated-pattern",
        ),
        pytest.param(
            written(more='    except: ["group:reg-{team}-rw"]\n'),
            [f"7: allow[0].except[0]: 'reg-{{team}}-rw': {NO_CAPTURE}"],
            id="capture-in-except",
        ),
        pytest.param(
            written(before='groups:\n  web: {groups: ["reg-{team}-rw"]}\n'),
            [f"8: groups.web.groups[0]: 'reg-{{team}}-rw': {NO_CAPTURE}"],
            id="capture-in-groups",
        ),
        pytest.param(
            written(before='tests:\n  - {as: {groups: ["reg-{team}-rw"]}, can: [pull web/x]}\n'),
            [f"8: tests[0].as.groups[0]: 'reg-{{team}}-rw': {NO_CAPTURE}"],
            id="capture-in-a-test",
        ),
        pytest.param(
            written(before='tests:\n  - {who_can: pull web/x, exactly: ["group:reg-{team}-rw"]}\n'),
            [f"8: tests[0].exactly[0]: 'reg-{{team}}-rw': {NO_CAPTURE}"],
            id="capture-in-an-answer",
        ),
        pytest.param(
            written('["group:reg-${team}-rw"]', TEAM_PATTERNS),
            ["3: allow[0].to[0]: ", "a capture has no $; fix: write group:reg-{team}-rw"],
            id="capture-with-a-dollar",
        ),
        pytest.param(
            written('["user:{name}-ci"]', '["${name}/**"]'),
            ["3: allow[0].to[0]: '{name}-ci': names are literal"],
            id="capture-in-a-user",
        ),
        pytest.param(
            written('["group:reg-{ team }"]', TEAM_PATTERNS),
            ["3: allow[0].to[0]: ", "' team ' is no name"],
            id="blanks",
        ),
        pytest.param(
            written('["group:{org}-{team}"]', '["${org}/${team}/**"]'),
            ["3: allow[0].to[0]: ", "a group has one capture"],
            id="two-captures",
        ),
        *(
            pytest.param(
                written(TEAM_TO, f'["{wrong}/**"]'),
                ["4: allow[0].repositories[0]: ", "the variables are ${user} and ${team}; fix: write ${team}"],
                id=f"{wrong}-for-a-variable",
            )
            for wrong in ("{team}", "$team", "${ team }", "${TEAM}", "${team", "x-$team")
        ),
        pytest.param(
            written("[authenticated]", '["users/$user/**"]'),
            ["4: allow[0].repositories[0]: '$user': ", "${user} and ${group}; fix: write ${user}"],
            id="dollar-user",
        ),
    ],
)
def test_a_beginner_reads_what_to_write(folder: Path, text: str, expected: list[str]) -> None:
    """One fault, at its line and place, with the right spelling; a mistake in `to` makes no pattern look wrong."""
    write(folder / "a.yaml", text)
    (found,) = faults(folder)
    assert found.startswith(f"a.yaml:{expected[0]}")
    assert all(part in found for part in expected[1:])


@pytest.mark.parametrize(
    ("limits", "place", "message"),
    [
        ('repositories: ["web/**"], not: ["web/prod/**"]', "not", "fix: deny that part in this file"),
        ('repositories: ["shared/${team}-*"]', "repositories[0]", "only rules have captures; fix: write * in place of"),
        ('repositories: ["web/**"], principals: ["group:reg-{team}-rw"]', "principals[0]", NO_CAPTURE),
    ],
)
def test_faults_of_delegations(folder: Path, limits: str, place: str, message: str) -> None:
    """What a delegation cannot say, and what can instead."""
    write(folder / "a.yaml", f"version: 1\ndelegate:\n  - {{file: teams/a.yaml, actions: [pull], {limits}}}\n")
    (folder / "teams").mkdir(mode=0o755)
    write(folder / "teams" / "a.yaml", written())
    (found,) = faults(folder)
    assert found.startswith(f"a.yaml:3: delegate[0].{place}: ")
    assert message in found
