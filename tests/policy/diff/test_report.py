"""The report of a diff: lines in words, the summary, and JSON, for each sort of client and of change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from policy_folders import NOW, folder, write

from tokenserver.policy.diff.diff import Difference, diff
from tokenserver.policy.diff.report import (
    DIFF_HEADS,
    administrator_changes,
    as_facts,
    diff_lines,
    spell_limit,
    summary_of,
)
from tokenserver.policy.loading.loader import load_policies

__all__ = ["folder"]

BASE = "version: 1\nallow:\n  - {id: a, to: ['user:ann'], repositories: [a], role: reader}\n"


def compared(folder: Path, old: str, new: str) -> Difference:
    """What differs between two texts of the only file."""
    write(folder / "a.yaml", old)
    before = load_policies(folder, now=NOW)
    write(folder / "a.yaml", new)
    return diff(before, load_policies(folder, now=NOW), NOW)


ADMINISTRATORS = BASE + "administrators: ['user:ben', 'group:ops']\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(BASE, BASE, "the same access as before", id="same"),
        pytest.param(BASE, BASE.replace("reader", "writer"), "new access (1 gained, 0 lost)", id="more"),
        pytest.param(BASE.replace("reader", "writer"), BASE, "only less access (1 lost)", id="less"),
        pytest.param(BASE, ADMINISTRATORS, "new access (2 gained, 0 lost)", id="administrators"),
        pytest.param(ADMINISTRATORS, BASE, "only less access (2 lost)", id="no-administrators"),
    ],
)
def test_summary(folder: Path, old: str, new: str, expected: str) -> None:
    """Administrators count as access."""
    assert summary_of(compared(folder, old, new)) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "to: [everyone], repositories: [b], role: reader, when: {from: [10.0.0.0/8]}",
            ["everyone", "pull", "b", "from 10.0.0.0/8", "b as Somebody", "b (a.yaml:4)"],
        ),
        (
            "to: [anonymous], repositories: ['b/*'], not: ['b/c'], role: reader",
            ["anonymous", "pull", "b/* but not b/c", "", "b/x, not logged in", "b (a.yaml:4)"],
        ),
        (
            "to: ['group:ops'], registry: [catalog], actions: ['*']",
            ["group:ops", "*", "registry:catalog", "", "registry:catalog as Somebody in ops", "b (a.yaml:4)"],
        ),
    ],
)
def test_lines(folder: Path, rule: str, expected: list[str]) -> None:
    """Rows for the same names and circumstances are one line."""
    found = compared(folder, BASE, f"{BASE}  - {{id: b, {rule}}}\n")
    (line,) = diff_lines(found.gains, found.parts)
    assert line.cells() == expected
    assert len(DIFF_HEADS) == len(expected)


def test_administrators(folder: Path) -> None:
    """Each change with what it is, who it is about, and the entries by which."""
    found = compared(folder, BASE + "administrators: ['user:carl']\n", ADMINISTRATORS)
    assert [(change, str(one.who)) for change, one in administrator_changes(found)] == [
        ("added", "directory:ops"),
        ("added", "user:ben"),
        ("removed", "user:carl"),
    ]
    assert as_facts(found)["administrators"] == [
        {"change": "added", "who": "directory group ops", "entries": ["group:ops"]},
        {"change": "added", "who": "user:ben", "entries": ["user:ben"]},
        {"change": "removed", "who": "user:carl", "entries": ["user:carl"]},
    ]
    assert (found.adds, found.removes) == (True, True)


MACHINES = """\
version: 1
robots: {ci: {description: d}}
workloads:
  web: {from: github, claims: {ref: main, repository: [octo/web]}}
allow:
  - {id: a, to: ['user:ann'], repositories: [a], role: reader}
"""


@pytest.mark.parametrize(
    ("to", "client", "example"),
    [
        pytest.param("user:bob", {"user": "bob", "groups": []}, "b as bob", id="user"),
        pytest.param("robot:ci", {"robot": "ci"}, "b as robot:ci", id="robot"),
        pytest.param(
            "workload:web",
            {"workload": {"from": "github", "claims": {"ref": "main", "repository": "octo/web"}}},
            "b as workload from github with ref=main, repository=octo/web",
            id="workload",
        ),
    ],
)
def test_witnesses(folder: Path, to: str, client: dict[str, Any], example: str) -> None:
    """The witness in the form that tests have, and in words."""
    rule = f"  - {{id: b, to: ['{to}'], repositories: [b], role: reader}}\n"
    found = compared(folder, MACHINES, MACHINES + rule)
    (line,) = diff_lines(found.gains, found.parts)
    assert (as_facts(found)["gains"][0]["as"], line.example) == (client, example)


def test_limits_of_lifetimes() -> None:
    """In words."""
    assert (spell_limit(None), spell_limit(300)) == ("no limit", "300 s")
