"""The syntax of `administrators:`: clients by name, never sets of all clients."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_folders import GOOD, faults, write

from tokenserver.documents.document import parse
from tokenserver.policy.model import Principal
from tokenserver.policy.syntax.administrators import parse_administrator, read_administrators
from tokenserver.policy.syntax.reader import Reader


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user:ann", Principal("user", "ann")),
        ("group:ops", Principal("group", "ops")),
        ("robot:terraform", Principal("robot", "terraform")),
        ("workload:deploy", Principal("workload", "deploy")),
    ],
)
def test_principals(text: str, expected: Principal) -> None:
    """Each sort of principal that has a name."""
    assert parse_administrator(text) == expected


@pytest.mark.parametrize("text", ["everyone", "authenticated", "anonymous", "robots", "workloads"])
def test_sets(folder: Path, text: str) -> None:
    """A set of all clients of a sort is a fault with its place and the fix."""
    write(folder / "a.yaml", f"{GOOD}administrators:\n  - user:ann\n  - {text}\n")
    expected = (
        f"a.yaml:6: administrators[1]: '{text}': administrators are named one by one; "
        "fix: name users and groups, such as group:ops"
    )
    assert faults(folder) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("administrators: group:ops\n", 'must be a list, not text; fix: write ["group:ops"]', id="text"),
        pytest.param("administrators: [ops]\n", "'ops': must be everyone, authenticated", id="no-sort"),
        pytest.param("administrators: [7]\n", "administrators[0]: must be text, not a number", id="number"),
        pytest.param("administrators: [robot:CI]\n", "'CI': the name of a machine has", id="robot-name"),
        pytest.param("administrators: [user:*]\n", "'*': names are literal", id="wildcard"),
        pytest.param("administrators: [{group: ops}]\n", 'not a mapping; fix: quote it: "group:ops"', id="unquoted"),
        pytest.param("administrators: [robot:ci]\n", "no file declares the robot 'ci'", id="undeclared-robot"),
        pytest.param("administrators: [workload:w]\n", "no file declares the workload 'w'", id="undeclared-workload"),
    ],
)
def test_faults(folder: Path, text: str, expected: str) -> None:
    """Each fault says what is wrong, in its line."""
    write(folder / "a.yaml", GOOD + text)
    found = faults(folder)
    assert len(found) == 1
    assert found[0].startswith("a.yaml:4: administrators")
    assert expected in found[0]


def test_places() -> None:
    """An entry that cannot be read leaves the others their places."""
    reader = Reader(parse("[user:ann, everyone, group:ops]", "a.yaml"))
    assert read_administrators(reader, reader.document.value) == [
        (("administrators", 0), Principal("user", "ann")),
        (("administrators", 2), Principal("group", "ops")),
    ]
    assert len(reader.faults) == 1
