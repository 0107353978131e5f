"""Names that are used twice in the tree."""

from __future__ import annotations

import pytest

from tokenserver.documents.document import Path, parse
from tokenserver.policy.loading.repeated_names import repeated

ONE, TWO = (parse(f"allow:\n  - {{id: {name}}}\n", f"{name}.yaml") for name in ("one", "two"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(ONE, "a"), (TWO, "b")], [], id="different"),
        pytest.param(
            [(ONE, "a"), (TWO, "a")],
            ["two.yaml:2: allow[0].id: the rule id 'a' is already used in one.yaml:2"],
            id="twice",
        ),
        pytest.param(
            [(ONE, "a"), (TWO, "a"), (TWO, "a")],
            ["two.yaml:2: allow[0].id: the rule id 'a' is already used in one.yaml:2"] * 2,
            id="three times",
        ),
    ],
)
def test_repeated(names: list[tuple[object, str]], expected: list[str]) -> None:
    """Each that came before is a fault, with the place of the first."""
    place: Path = ("allow", 0)
    named = [(ONE if document is ONE else TWO, place, name) for document, name in names]
    assert [str(fault) for fault in repeated("rule id", named, below=("id",))] == expected
