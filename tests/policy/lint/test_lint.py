"""Lint: every code at its line, near misses without a finding, and suppressions."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import captured_rules as captured
import machine_rules as machine
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from lint_trees import READERS, ROBOT, WORKLOADS, boundary, codes
from slow_properties import slow_examples

from tokenserver.cli import main
from tokenserver.errors import LoadError
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import Pattern, matches, parse_pattern
from tokenserver.policy.analysis.subsumption import covers, excludes_no_more
from tokenserver.policy.budget import Budget
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.lint.lint import CODES, LintedFile, lint
from tokenserver.policy.lint.single_rules import about_itself
from tokenserver.policy.lint.suppressions import Suppression, find_suppressions
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.terms import parse_network
from tokenserver.policy.variables.readings import matches_somebody
from tokenserver.scopes import Resource, Scope

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DOCS = Path(__file__).parents[3] / "docs" / "policy-lint.md"


def findings(folder: Path, files: dict[str, str], *, have_groups: bool = True) -> list[str]:
    """What lint says about these files: `file:line CODE text`."""
    root = folder / "policies"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    policies, tests = compile_policies(root)
    linted = [
        LintedFile(name, (root / name).read_text(), one.document, one.tests, one.service)
        for name, one in zip(policies.files, tests, strict=True)
    ]
    found = lint(policies, linted, NOW, have_groups=have_groups)
    return [f"{one.file}:{one.line} {one.code} {one.text}" for one in found]


def policy(*rules: str, deny: tuple[str, ...] = (), rest: str = "") -> str:
    """A policy file: allow rules from line 3 on, deny rules after them."""
    lines = ["version: 1", "allow:", *(f"  - {{{rule}}}" for rule in rules)]
    if deny:
        lines += ["deny:", *(f"  - {{{rule}}}" for rule in deny)]
    return "\n".join(lines) + "\n" + rest


A = 'id: a, to: [authenticated], repositories: ["a/**"], role: writer'

KEPT = "  # lint: ignore TS120 because rules of another tree use it\n"

FINDINGS = [
    pytest.param(
        policy(A, 'id: b, to: ["user:x"], except: [everyone], repositories: [b], role: reader'),
        "4 TS101",
        id="except-everybody",
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:x"], except: ["user:x"], repositories: [b], role: reader'),
        "4 TS101",
        id="except-the-same",
    ),
    pytest.param(
        policy(A, "id: b, to: [anonymous], repositories: [b], role: reader, when: {kind: password}"),
        "4 TS101",
        id="kind",
    ),
    pytest.param(
        policy(A, 'id: b, to: [anonymous], repositories: ["${user}/b"], role: reader'),
        "4 TS101",
        id="anonymous-in-a-user-s-place",
    ),
    pytest.param(
        policy(A, 'id: b, to: [anonymous], repositories: ["${group}/b"], role: reader'),
        "4 TS101",
        id="anonymous-in-a-group-s-place",
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:a b"], repositories: ["${user}/b"], role: reader'), "4 TS101", id="unfit-user"
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:a b", "user:x"], repositories: ["${user}/b"], role: reader'),
        "4 TS116",
        id="one-unfit-user",
    ),
    pytest.param(
        policy(
            A,
            'id: b, to: [authenticated], repositories: ["${user}/b", b], role: reader',
            rest="groups:\n  g: {users: [ann@x.org]}" + KEPT,
        ),
        "4 TS116",
        id="unfit-member",
    ),
    pytest.param(
        policy(
            A,
            'id: b, to: ["user:a b"], repositories: [b], role: reader',
            deny=('id: d, to: [everyone], repositories: ["${user}/x"], actions: [push]',),
        ),
        "6 TS116",
        id="unfit-user-not-denied",
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:x"], repositories: ["a._*"], role: reader'), "4 TS101", id="impossible-name"
    ),
    pytest.param(
        policy(A, deny=('id: d, to: [everyone], repositories: ["a/**"], actions: ["*"]',)),
        "3 TS102",
        id="wholly-denied",
    ),
    pytest.param(
        policy(
            A,
            deny=(
                'id: d, to: [everyone], except: [anonymous], repositories: ["a/*", "a/*/**"], actions: [pull, push]',
            ),
        ),
        "3 TS102",
        id="denied-by-two-patterns",
    ),
    pytest.param(policy(A, 'id: b, to: ["user:x"], repositories: ["a/b/*"], role: reader'), "4 TS103", id="covered"),
    pytest.param(
        policy(
            'id: a, to: ["group:u"], repositories: [a], role: reader',
            'id: b, to: ["group:v"], repositories: [a], role: reader',
            rest="groups:\n  u: {users: [x], groups: [g]}\n  v: {groups: [g]}\n",
        ),
        "4 TS103",
        id="a-group-within-another",
    ),
    pytest.param(
        policy(
            'id: a, to: ["user:x"], repositories: [a], role: reader',
            'id: b, to: ["group:v"], repositories: [a], role: reader',
            rest="groups:\n  v: {users: [x]}\n",
        ),
        "4 TS103",
        id="a-group-of-one",
    ),
    pytest.param(
        policy(A, 'id: b, to: [authenticated], repositories: ["a/**"], role: writer'),
        "4 TS103",
        id="twins-tell-the-later",
    ),
    pytest.param(policy(A, 'id: b, to: ["group:g"], repositories: [b], actions: [push]'), "4 TS104", id="push-alone"),
    pytest.param(
        policy(A, 'id: b, to: ["group:g"], repositories: [b, "a._*"], role: reader'),
        "4 TS105",
        id="one-impossible-name",
    ),
    pytest.param(
        policy(A, "id: b, to: [everyone], repositories: [b], role: maintainer"), "4 TS108", id="everyone-pushes"
    ),
    pytest.param(
        policy(A, "id: b, to: [anonymous, authenticated], repositories: [b], actions: [delete]"),
        "4 TS108",
        id="anonymous-deletes",
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:x"], repositories: [b], role: reader, when: {until: 2026-06-01}'),
        "4 TS109",
        id="until-now",
    ),
    pytest.param(
        policy(A, deny=("id: d, to: [everyone], repositories: [b], actions: [pull], when: {until: 2026-01-01}",)),
        "5 TS109",
        id="deny-has-ended",
    ),
    pytest.param(
        policy(A, rest="tests:\n  - {as: anonymous, cannot: [pull a/b]}\n  - {as: anonymous, cannot: [pull a/b]}\n"),
        "6 TS110",
        id="test-twice",
    ),
    pytest.param(
        policy(
            A,
            rest="tests:\n" + 2 * '  - {who_can: pull a/b, includes: ["user:x"]}\n',
        ),
        "6 TS110",
        id="who-can-twice",
    ),
    pytest.param(policy(A, 'id: b, to: ["user:Ann"], repositories: [b], role: reader'), "4 TS111", id="capital-user"),
    pytest.param(policy(A, rest="groups:\n  g: {users: [Bob]}" + KEPT), "5 TS111", id="capital-member"),
    pytest.param(policy(A, 'id: b, to: ["user:x"], registry: [catalog], actions: [pull]'), "4 TS112", id="catalog"),
    pytest.param(
        policy(A, rest="groups:\n  g: {users: [x]}" + KEPT + "  h: {groups: [g]}" + KEPT),
        "6 TS107",
        id="group-in-group",
    ),
    pytest.param(
        policy(A, rest="groups:\n  g: {users: [x]}" + KEPT + "tests:\n  - {as: {groups: [g]}, can: [pull a/b]}\n"),
        "7 TS107",
        id="hidden-group-in-a-test",
    ),
    pytest.param(
        policy(A, deny=("id: d, to: [everyone], repositories: [a/b, registry.example.com/b], actions: [push]",)),
        "5 TS114",
        id="host",
    ),
    pytest.param(
        policy(A, 'id: b, to: [everyone], repositories: ["localhost/b"], role: reader'), "4 TS114", id="localhost"
    ),
    pytest.param(
        policy(A, 'id: b, to: [everyone], repositories: ["*.example.com/b"], role: reader'), "4 TS114", id="host-glob"
    ),
    pytest.param(
        policy(A, rest='tests:\n  - {as: anonymous, cannot: [pull a/b, "pull host:5000/a"]}\n'),
        "5 TS114",
        id="host-in-a-test",
    ),
]


@pytest.mark.parametrize(("text", "expected"), FINDINGS)
def test_a_finding_is_reported_at_its_line(tmp_path: Path, text: str, expected: str) -> None:
    """Exactly one finding, with this code, at this line, and with a fix."""
    (found,) = findings(tmp_path, {"p.yaml": text})
    assert found.startswith(f"p.yaml:{expected} ")
    assert "; fix: " in found


FINE = [
    pytest.param(policy(A), id="one-rule"),
    pytest.param(
        policy(
            'id: a, to: [everyone], except: ["user:x"], repositories: [a], role: reader',
            "id: b, to: [authenticated], repositories: [a], role: reader",
        ),
        id="for-the-excepted-as-well",
    ),
    pytest.param(policy(A, 'id: b, to: ["user:x"], repositories: ["a/*"], role: maintainer'), id="more-actions"),
    pytest.param(policy(A, "id: b, to: [everyone], repositories: [a/b], role: reader"), id="more-people"),
    pytest.param(policy(A, 'id: b, to: [authenticated], repositories: ["a/b", "*/c"], role: reader'), id="more-names"),
    pytest.param(
        policy(
            A,
            'id: b, to: ["user:x"], repositories: [x/b], role: reader',
            'id: c, to: ["user:y"], repositories: [x/c], role: maintainer',
            deny=('id: d, to: [everyone], except: ["user:x"], repositories: ["x/**"], actions: [pull, push]',),
        ),
        id="excepted-from-the-deny",
    ),
    pytest.param(
        policy(A, deny=('id: d, to: [everyone], repositories: ["a/**"], actions: ["*"], when: {until: 2027-01-01}',)),
        id="denied-for-a-while",
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:x"], repositories: [a/b], actions: [push, delete]'), id="pull-from-another-rule"
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:x"], repositories: [b], role: reader, when: {until: 2026-06-02}'),
        id="until-tomorrow",
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:a-b", "user:x"], repositories: ["${user}/b"], role: reader'),
        id="fit-users",
    ),
    pytest.param(
        policy(A, 'id: b, to: ["user:a b", "user:x"], repositories: ["b/**"], role: reader'),
        id="unfit-user-without-a-variable",
    ),
    pytest.param(
        policy(
            A,
            'id: b, to: [authenticated], except: ["user:a b"], repositories: ["${user}/b"], role: reader',
        ),
        id="unfit-user-excepted",
    ),
    pytest.param(policy(A, 'id: b, to: ["user:x"], repositories: ["${group}/b"], role: reader'), id="user-in-a-group"),
    pytest.param(
        policy(
            A,
            'id: b, to: [anonymous], repositories: ["b/**"], role: reader, when: {kind: anonymous}',
            'id: c, to: [authenticated], repositories: ["b/**"], role: reader',
        ),
        id="kind-that-fits",
    ),
    pytest.param(policy(A, "id: b, to: [everyone], registry: [catalog], actions: ['*']"), id="open-catalog"),
    pytest.param(
        policy(A, 'id: b, to: [everyone], repositories: [b.c, "b/c.d", "local/**"], role: reader'), id="dots-elsewhere"
    ),
    pytest.param(
        policy(
            A,
            rest="groups:\n  g: {users: [x], groups: [g]}"
            + KEPT
            + "tests:\n  - {as: {groups: [g]}, can: [pull a/b]}\n",
        ),
        id="group-of-its-own-name",
    ),
    pytest.param(
        policy(
            A,
            rest="tests:\n  - {as: anonymous, cannot: [pull a/b, pull a/c]}\n"
            "  - {as: anonymous, from: 10.0.0.1, cannot: [pull a/b]}\n",
        ),
        id="other-tests",
    ),
]


def test_many_users_for_whom_a_variable_never_stands(tmp_path: Path) -> None:
    """The first five are named, and the others counted."""
    users = ", ".join(f"u{number}@x.org" for number in range(7))
    own = policy('id: own, to: [authenticated], repositories: ["users/${user}/**"], role: writer')
    (found,) = findings(tmp_path, {"p.yaml": f"{own}groups:\n  g: {{users: [{users}]}}{KEPT}"})
    names = ", ".join(f"'u{number}@x.org'" for number in range(5))
    said = (
        f"own: ${{user}} never matches {names} and 2 more, which no segment of a repository name can be;"
        " fix: map names to namespaces with names: in the user source, rename the user, or add a rule without ${user}"
    )
    assert found == f"p.yaml:3 TS116 {said}"


@pytest.mark.parametrize("text", FINE)
def test_near_misses_have_no_finding(tmp_path: Path, text: str) -> None:
    """Each is one step away from a finding."""
    assert findings(tmp_path, {"p.yaml": text}) == []


def test_undefined_groups_are_reported_if_no_user_source_has_groups(tmp_path: Path) -> None:
    """In `to`, in `except` and inside groups; not where a directory may know them."""
    text = policy('id: a, to: ["group:g"], repositories: [b], role: reader')
    text += 'deny:\n  - {id: d, to: [everyone], except: ["group:h"], repositories: [b], actions: [pull]}\n'
    text += "groups:\n  k: {users: [x], groups: [l]}  # lint: ignore TS120 because it is kept\n"
    assert findings(tmp_path, {"p.yaml": text}) == []
    found = findings(tmp_path, {"p.yaml": text}, have_groups=False)
    assert [one.split(" ")[0:2] for one in found] == [
        ["p.yaml:3", "TS106"],
        ["p.yaml:5", "TS106"],
        ["p.yaml:7", "TS106"],
    ]


def test_a_delegated_file_s_own_group_is_known(tmp_path: Path) -> None:
    """It is nobody else's, and its members are looked at at its own line."""
    root = policy(A) + 'delegate:\n  - {file: t/b.yaml, repositories: ["b/**"], actions: [pull]}\n'
    team = "version: 1\ngroups:\n  own: {users: [Bob]}\nallow:\n"
    team += '  - {id: b, to: ["group:own"], repositories: ["b/*"], role: reader}\n'
    found = findings(tmp_path, {"root.yaml": root, "t/b.yaml": team}, have_groups=False)
    assert [one[:18] for one in found] == ["t/b.yaml:3 TS111 o"]


def group(name: str, members: str, *, rule: str = "") -> str:
    """A rule to a group, and a group of the tree."""
    return f"id: b, to: ['group:{rule or name}'], repositories: [q], role: reader\ngroups: {{{name}: {{{members}}}}}"


UNDEFINED = [
    (group("g", "users: [x]"), False),
    (group("g", "users: [x]", rule="h"), True),
    (group("g", "groups: [h]"), True),
    (group("g", "includes: [h]}, h: {users: [x]"), False),
    (group("g", "groups: [h]}, h: {users: [x]"), False),
    (READERS, False),
    (READERS + "deny id: d, to: [everyone], except: ['group:h'], repositories: [p], actions: [pull]", True),
    (READERS + "deny id: d, to: ['group:h'], repositories: [p], actions: [pull]", True),
    (READERS + "deny id: d, to: ['group:h'], repositories: [p], actions: [pull]\ngroups: {h: {users: [x]}}", False),
    ("id: b, to: ['group:h-{x}'], repositories: ['${x}'], role: reader", False),
    (READERS + "tests: [{as: {groups: [h]}, can: [pull p]}]", False),
]
HIDDEN = [
    (group("g", "groups: [h]}, h: {users: [x]"), True),
    (group("g", "includes: [h]}, h: {users: [x]"), False),
    (group("g", "groups: [h]"), False),
    (group("g", "groups: [g]"), False),
    (group("g", "groups: [g, h]}, h: {groups: [h]"), True),
    (group("g", "users: [x]") + "\ntests: [{as: {groups: [g]}, cannot: [pull q]}]", True),
    (group("g", "users: [x]") + "\ntests: [{as: {groups: [h]}, cannot: [pull q]}]", False),
    (group("g", "groups: [g]") + "\ntests: [{as: {groups: [g]}, can: [pull q]}]", False),
    (group("g", "groups: [h]") + "\ntests: [{as: {groups: [h]}, can: [pull q]}]", False),
    (group("g", "users: [x]") + "\ntests: [{as: {user: x}, can: [pull q]}]", False),
    (group("g", "users: [x]", rule="h") + "\ntests: [{as: {groups: [h, g]}, can: [pull q]}]", True),
]
WIDE = " ".join(f"'*{one}*/**'," for one in "abcdefgh")
MANY = (
    "id: a, to: [authenticated], repositories: [{}], role: reader\n"
    "id: b, to: ['user:x'], repositories: [{}], role: reader"
)
UNDECIDED = [
    (READERS, False),
    (MANY.format("'p/*'", "p/q"), False),
    (MANY.format(WIDE, "'*c*/**'"), False),
    (MANY.format(WIDE, "'x*y*z/**'"), True),
    (MANY.format("'*a*/**'", "'x*y*z/**'"), False),
    (MANY.format("'a/**', 'b/**', 'c/**', 'd/**'", "'a/x*y*z/**'"), False),
    (MANY.format(WIDE, "xyz"), False),
    (MANY.format("'p/**'], not: ['p/x*'", "'p/**'], not: ['p/*'"), False),
    (MANY.format(f"'**'], not: [{WIDE}", "'**'], not: ['x*/**'"), True),
    (MANY.format(f"'**'], not: [{WIDE}", f"'**'], not: [{WIDE}"), True),
    (MANY.format("'${user}/**'", "'${user}/a'"), False),
]


UNDEFINED += [
    ("id: b, to: ['robot:ci', 'workload:web'], repositories: [q], role: reader\n" + ROBOT + WORKLOADS, False),
    (group("g", "robots: [ci], workloads: [web]") + "\n" + ROBOT + WORKLOADS, False),
    (group("g", "robots: [ci], groups: [h]") + "\n" + ROBOT, True),
    (READERS + "deny id: d, to: ['group:ci'], repositories: [p], actions: [pull]\n" + ROBOT, True),
]
HIDDEN += [
    (group("g", "workloads: [web]}, web: {users: [x]") + "\n" + WORKLOADS, False),
    (group("g", "groups: [web]}, web: {workloads: [web]") + "\n" + WORKLOADS, True),
    (group("g", "robots: [ci]") + "\n" + ROBOT + "tests: [{as: {robot: ci}, can: [pull q]}]", False),
]


@boundary({"TS106": UNDEFINED, "TS107": HIDDEN})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree, have_groups=False)) is expected


@boundary({"TS113": UNDECIDED})
def test_boundary_of_the_budget(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """What many wildcards make undecided in this many steps is reported."""
    assert (code in codes(tmp_path, tree, budget=Budget(700))) is expected


def test_every_code_has_its_trees() -> None:
    """On both sides of its boundary, in one of the tables of this folder."""
    tables = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert {*re.findall(r'"(TS\d{3})": [A-Z_]+\b', tables)} >= CODES.keys()


# --- suppressions ----------------------------------------------------------------------------------------------------

PUSH = '  - {id: b, to: ["user:x"], repositories: [b], actions: [push]}'
SUPPRESSIONS = [
    pytest.param(f"{PUSH} # lint: ignore TS104 because it mounts", [], id="on-the-line"),
    pytest.param(f"  # lint: ignore TS104 because it mounts\n{PUSH}", [], id="above"),
    pytest.param(f"  # lint: ignore TS104 because it mounts\n\n  # another comment\n{PUSH}", [], id="above-with-more"),
    pytest.param(f"{PUSH} # lint: ignore TS104", ["TS104", "TS201"], id="no-reason"),
    pytest.param(f"{PUSH} # lint: ignore TS104 because ", ["TS104", "TS201"], id="empty-reason"),
    pytest.param(f"{PUSH} # lint: off", ["TS104", "TS201"], id="another-form"),
    pytest.param(f"{PUSH} # lint: ignore TS999 because I like to", ["TS104", "TS201"], id="no-such-code"),
    pytest.param(
        f"{PUSH} # lint: ignore TS104, TS201 because I like to", ["TS201"], id="suppresses-a-suppression-finding"
    ),
    pytest.param(f"{PUSH} # lint: ignore TS101 because I like to", ["TS104", "TS202"], id="another-code"),
    pytest.param(f"{PUSH}\n# lint: ignore TS104 because it is below", ["TS104", "TS202"], id="below-at-the-end"),
    pytest.param(f"{PUSH} # lint: ignore TS104,TS111 because it mounts", ["TS202"], id="one-of-two"),
]


@pytest.mark.parametrize(("rules", "expected"), SUPPRESSIONS)
def test_a_suppression_applies_to_one_line(tmp_path: Path, rules: str, expected: list[str]) -> None:
    """An invalid or unused suppression is a finding itself."""
    found = findings(tmp_path, {"p.yaml": f"version: 1\nallow:\n{rules}\n"})
    assert [one.split(" ")[1] for one in found] == expected


def test_a_suppression_applies_to_its_own_file(tmp_path: Path) -> None:
    """The same line of another file keeps its finding."""
    loud = policy('id: b, to: ["user:x"], repositories: [b], actions: [push]')
    quiet = policy("id: a, to: [authenticated], repositories: [a], role: reader").replace(
        "reader}", "reader} # lint: ignore TS104 because of the other file"
    )
    found = findings(tmp_path, {"loud.yaml": loud, "quiet.yaml": quiet})
    assert [one.split(" ")[:2] for one in found] == [["loud.yaml:3", "TS104"], ["quiet.yaml:3", "TS202"]]


NO_COMMENTS = [
    pytest.param('a: "x # lint: ignore TS104 because y"\n', id="in-quotes"),
    pytest.param("a: |\n  x # lint: ignore TS104 because y\n", id="in-a-block"),
    pytest.param("a: x# lint: ignore TS104 because y\n", id="inside-a-word"),
    pytest.param("a: 'x\n  # lint: ignore TS104 because y'\n", id="closing-quote-on-its-line"),
    pytest.param("# lint is fine\n", id="other-comment"),
]


@pytest.mark.parametrize("text", NO_COMMENTS)
def test_text_that_only_looks_like_a_suppression(text: str) -> None:
    """Text inside a YAML value is not a comment."""
    assert list(find_suppressions(text)) == []


def test_a_comment_beside_something_that_looks_like_one_is_found() -> None:
    """If not all marks are comments, each is examined on its own."""
    text = 'a: "# lint: ignore TS101 because x"\nb: 1 # lint: ignore TS104, TS105 because of this  \n'
    assert list(find_suppressions(text)) == [Suppression(2, 2, ("TS104", "TS105"), "of this")]


# --- documentation and the command -----------------------------------------------------------------------------------


def test_every_code_has_its_section() -> None:
    """With the same title, in the same order, below an anchor that stays when the title changes."""
    sections = re.findall(r'^<a id="(\w+)"></a>\n\n## (TS\d+): (.*)$', DOCS.read_text(), re.MULTILINE)
    assert sections == [(code.lower(), code, title) for code, title in CODES.items()]


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["policy", "lint", *map(str, arguments)])
    return result.exit_code, result.stdout


def test_the_command_reports_and_counts(tmp_path: Path) -> None:
    """0 nothing, 1 findings with file and line, 2 faulty files; the same as JSON."""
    (tmp_path / "p.yaml").write_text(policy(A))
    assert run("--policies", tmp_path) == (0, "")
    (tmp_path / "p.yaml").write_text(policy('id: b, to: ["user:x"], repositories: [b], actions: [push]'))
    code, output = run("--policies", tmp_path)
    assert (code, output.split(" ")[:2]) == (1, [f"{tmp_path / 'p.yaml'}:3:", "TS104"])
    code, output = run("--policies", tmp_path, "--json")
    (found,) = json.loads(output)
    assert (code, found["file"], found["line"], found["code"]) == (1, str(tmp_path / "p.yaml"), 3, "TS104")
    (tmp_path / "p.yaml").write_text("version: 2\n")
    assert run("--policies", tmp_path) == (2, "")


def test_the_command_knows_that_htpasswd_has_no_groups(tmp_path: Path) -> None:
    """An undefined group is reported with the configuration, and not with a bare folder."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "p.yaml").write_text(policy('id: b, to: ["group:g"], repositories: [b], role: reader'))
    config = tmp_path / "c.yaml"
    config.write_text(
        "issuer: i\nserver: {url: http://localhost}\nregistries: [{service: r}]\n"
        "authentication: [{htpasswd: {file: u}}]\npolicies: p\nkeys: k\n"
    )
    assert run("--policies", tmp_path / "p")[0] == 0
    code, output = run("--config", config)
    assert (code, "TS106" in output) == (1, True)


@pytest.mark.parametrize(("more", "expected"), [("", True), ("anonymous: true\n", False)])
def test_the_command_knows_whether_anonymous_clients_get_tokens(tmp_path: Path, more: str, expected: bool) -> None:
    """A rule for them is a finding where the configuration gives them none."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "p.yaml").write_text(
        policy("id: b, to: [anonymous, authenticated], repositories: [b], role: reader")
    )
    config = tmp_path / "c.yaml"
    config.write_text(
        "issuer: i\nserver: {url: http://localhost}\nregistries: [{service: r}]\n"
        f"authentication: [{{htpasswd: {{file: u}}}}]\npolicies: p\nkeys: k\n{more}"
    )
    assert ("TS121" in run("--config", config)[1]) is expected


def test_the_command_refuses_files_that_change_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line numbers of one version are never reported for the text of another."""
    (tmp_path / "p.yaml").write_text(policy(A))
    monkeypatch.setattr("tokenserver.cli.policy.lint.read_text", lambda _: "# moved\n" + policy(A))
    assert run("--policies", tmp_path)[0] == 2


# --- covers is never wrong -------------------------------------------------------------------------------------------

USERS, BROUGHT = ("x", "y"), ("g", "h")
TREE = [
    Group("t", frozenset({"x"})),
    Group("u", frozenset(), frozenset({"g"})),
    Group("h", frozenset({"y"}), frozenset({"h"})),
]
NAMES = ["a", "b", "a/a", "a/b", "x/a", "g/a"]
PATTERNS = ["a", "*", "**", "a/*", "a/**", "${user}/a", "${group}/a", "*/a"]
NETWORKS = [None, "10.0.0.0/8", "10.1.0.0/16"]
SUBSETS_OF_USERS = st.frozensets(st.sampled_from(USERS))
PEOPLE = st.builds(
    Principals,
    everyone=st.integers(0, 5).map(lambda n: n == 0),
    authenticated=st.integers(0, 4).map(lambda n: n == 0),
    anonymous=st.integers(0, 4).map(lambda n: n == 0),
    users=SUBSETS_OF_USERS,
    groups=st.frozensets(st.sampled_from(["t", "u", "g", "h"]), max_size=2),
)
CONDITIONS = st.none() | st.builds(
    Condition,
    networks=st.sampled_from(NETWORKS).map(lambda text: () if text is None else (parse_network(text),)),
    since=st.none() | st.just(NOW),
    until=st.none() | st.just(datetime(2027, 1, 1, tzinfo=UTC)),
    kinds=st.frozensets(st.sampled_from([Kind.PASSWORD, Kind.ANONYMOUS]), max_size=1),
    outside=st.sampled_from(NETWORKS).map(lambda text: () if text is None else (parse_network(text),)),
)


@st.composite
def rules(draw: st.DrawFn, name: str, effect: Effect) -> Rule:
    return Rule.of(
        name,
        effect,
        draw(PEOPLE),
        [parse_pattern(text) for text in draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2))],
        draw(st.frozensets(st.sampled_from(["pull", "push"]), min_size=1)),
        excluded=draw(st.none() | PEOPLE),
        condition=draw(CONDITIONS),
        services=draw(st.none() | st.just(frozenset({"r"}))),
    )


CLIENTS = [
    ANONYMOUS,
    *(
        Identity(user, Kind.PASSWORD, groups=frozenset(groups))
        for user in (*USERS, "z")
        for groups in itertools.chain.from_iterable(itertools.combinations(BROUGHT, n) for n in range(3))
    ),
]
CONTEXTS = [
    Context(service, None if client is None else parse_network(client).network_address, now)
    for service in ("r", "s")
    for client in (None, "10.1.0.0/32", "10.2.0.0/32", "192.0.2.0/32")
    for now in (datetime(2026, 1, 1, tzinfo=UTC), NOW, datetime(2028, 1, 1, tzinfo=UTC))
]


@settings(deadline=None, max_examples=60)
@given(rules("outer", Effect.ALLOW), rules("inner", Effect.ALLOW))
def test_a_covered_rule_grants_nothing_more(outer: Rule, inner: Rule) -> None:
    """The outer rule grants all that the inner one grants, and a deny like the outer one forbids all of it."""
    groups = Groups.of_all(TREE)
    if not covers(outer, inner, groups, inner.actions):
        return
    deny = Rule.of(
        "deny",
        Effect.DENY,
        outer.to,
        outer.patterns,
        outer.actions,
        excluded=outer.excluded,
        condition=outer.condition,
        services=outer.services,
    )
    alone, wide, denied = (
        PolicySet("", (), found, groups, build_index(found)) for found in ((inner,), (outer,), (inner, deny))
    )
    scopes = [Scope(Resource("repository", name), frozenset({"pull", "push"})) for name in NAMES]
    for client, context, scope in itertools.product(CLIENTS, CONTEXTS, scopes):
        granted = decide(alone, client, scope, context).granted
        if granted:
            assert granted <= decide(wide, client, scope, context).granted
            assert not decide(denied, client, scope, context).granted


def granted(policies: PolicySet) -> dict[tuple[Identity, str], frozenset[str]]:
    """What every client is granted of every name."""
    return {
        (client, "/".join(name)): decide(
            policies, client, Scope(Resource("repository", "/".join(name)), frozenset({"pull"})), CONTEXTS[0]
        ).granted
        for client, _ in captured.clients(policies.groups)
        for name in captured.SOME_NAMES
    }


WITHOUT_EFFECT = {"TS101", "TS102", "TS103", "TS119"}


@slow_examples()
@given(captured.mixed_worlds)
def test_a_rule_that_does_nothing_can_be_removed(policies: PolicySet) -> None:
    """No client is granted anything else without a rule that has such a finding, with captures and `not`."""
    found = lint(policies, [], NOW, have_groups=True)
    before = granted(policies) if WITHOUT_EFFECT & {one.code for one in found} else {}
    for rule in policies.rules:
        if any(one.line == rule.line and one.code in WITHOUT_EFFECT for one in found):
            others = tuple(one for one in policies.rules if one is not rule)
            assert granted(replace(policies, rules=others, index=build_index(others))) == before


@slow_examples(most=50_000)
@given(machine.worlds)
def test_a_rule_that_does_nothing_for_machines_can_be_removed(policies: PolicySet) -> None:
    """No person, robot or workload is granted anything else without a rule that has such a finding."""
    found = [one for one in lint(policies, [], NOW, have_groups=True) if one.code in WITHOUT_EFFECT]
    clients = [client for client, _ in machine.clients(policies)] if found else []
    asked = [Scope(Resource("repository", "/".join(name)), frozenset({"pull"})) for name in machine.NAMES]
    for rule in policies.rules:
        if any(one.line == rule.line for one in found):
            others = tuple(one for one in policies.rules if one is not rule)
            without = replace(policies, rules=others, index=build_index(others))
            for client, scope in itertools.product(clients, asked):
                before = decide(policies, client, scope, CONTEXTS[0]).granted
                assert before == decide(without, client, scope, CONTEXTS[0]).granted


@slow_examples()
@given(
    captured.rules,
    st.lists(st.sampled_from(["a", "x", "a/*", "*/x", "a-*", "*", "**/a", "x/**"]), min_size=1, max_size=3),
)
def test_which_parts_of_not_are_idle(rule: Rule, without: list[str]) -> None:
    """Without them the rule has the same names, and without any other part it has more."""
    rule = replace(rule, without=tuple(map(parse_pattern, without)))
    count = len([code for code, _ in about_itself(rule, Budget()) if code == "TS125"])

    def names(parts: list[Pattern]) -> set[tuple[str, ...]]:
        return {
            name
            for name in captured.NAMES
            if any(matches_somebody(one, name) for one in rule.patterns)
            and not any(matches(one, name, None, ()) for one in parts)
        }

    needed = list(rule.without)
    for part in reversed(rule.without):
        others = [one for one in needed if one is not part]
        needed = others if names(others) == names(needed) else needed
    assert count == len(rule.without) - len(needed)


def test_a_folder_that_does_not_load_is_not_linted(tmp_path: Path) -> None:
    """Lint is for legal policies; faults are still reported as faults."""
    with pytest.raises(LoadError, match="says nothing"):
        findings(tmp_path, {"p.yaml": "version: 1\n"})


def test_excluding_everyone_excludes_more() -> None:
    """A rule that excludes everybody never covers a rule that applies to somebody."""
    inner = Rule.of("inner", Effect.ALLOW, Principals(users=frozenset({"ann"})), [], ["pull"])
    assert not excludes_no_more(Principals(everyone=True), inner, Groups.of_all([]))
    assert excludes_no_more(Principals(), inner, Groups.of_all([]))
