"""The syntax of one group: members of each sort, and what is left of an entry with a fault."""

from __future__ import annotations

from typing import Any

import pytest

from tokenserver.documents.document import Document
from tokenserver.policy.machines.workloads import membership
from tokenserver.policy.model import Group
from tokenserver.policy.syntax.groups import read_group
from tokenserver.policy.syntax.reader import Reader


@pytest.mark.parametrize(
    ("name", "value", "expected", "faults"),
    [
        pytest.param("web", {"users": ["ann", "ben"]}, Group("web", frozenset({"ann", "ben"})), 0, id="users"),
        pytest.param("web", {"robots": ["ci"]}, Group("web", frozenset({"robot:ci"})), 0, id="robots"),
        pytest.param("web", {"groups": ["dir"]}, Group("web", groups=frozenset({"dir"})), 0, id="directory-groups"),
        pytest.param("web", {"workloads": ["w"]}, Group("web", groups=frozenset({membership("w")})), 0, id="workloads"),
        pytest.param("web", {"includes": ["ops"]}, Group("web", includes=frozenset({"ops"})), 0, id="includes"),
        pytest.param("web", {"users": ["ann", 7]}, Group("web", frozenset({"ann"})), 1, id="bad-member"),
        pytest.param("web", {"user": ["ann"]}, Group("web"), 1, id="unknown-key"),
        pytest.param("*", {"users": ["ann"]}, None, 1, id="bad-name"),
        pytest.param("web", ["ann"], Group("web"), 1, id="list"),
    ],
)
def test_read_group(name: str, value: Any, expected: Group | None, faults: int) -> None:
    """What can be read is there, so that rules about the group are checked, too."""
    reader = Reader(Document("a.yaml", value, {}))
    assert read_group(reader, name, value, ("groups", name)) == expected
    assert len(reader.faults) == faults
