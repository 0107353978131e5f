"""Documents validated against models: messages, places, suggestions, and all faults at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tokenserver.documents.document import Document, PlacedError, parse, validate, validation_faults
from tokenserver.errors import LoadError


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class Leaf(Strict):
    name: str
    size: int = 1
    colour: Literal["red", "green"] = "red"
    flag: bool = False

    @model_validator(mode="after")
    def _names(self) -> Leaf:
        if self.name == "placed":
            raise PlacedError(("size",), "does not fit the name")
        if self.name == "bad":
            raise ValueError("must not be bad")
        return self


class Branch(Strict):
    leaves: list[Leaf] = []
    by_name: dict[str, Leaf] = Field(default={}, alias="by-name")


class Marker:
    """A type that is checked by isinstance alone."""


def _even(value: Any) -> Any:
    if value == 3:
        raise ValueError("must be even")
    return value


class Tree(Strict):
    branch: Branch | None = None
    either: str | list[Leaf] | Leaf = "x"
    tags: tuple[str, ...] = Field(default=(), strict=False)
    even: Annotated[int, BeforeValidator(_even)] = 0
    marker: Marker | None = None
    bounded: Annotated[int, Field(ge=1, le=5)] = 1


def _refusals(text: str) -> list[str]:
    with pytest.raises(LoadError) as caught:
        validate(parse(text, "f.yaml"), Tree)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("branhc: {}", ["f.yaml:1: branhc: unknown key; did you mean 'branch'?"], id="typo"),
        pytest.param(
            "branch:\n  leaves:\n    - name: a\n      sise: 3\n",
            ["f.yaml:4: branch.leaves[0].sise: unknown key; did you mean 'size'?"],
            id="typo-below",
        ),
        pytest.param(
            "branch:\n  by-nmae: {}\n",
            ["f.yaml:2: branch.by-nmae: unknown key; did you mean 'by-name'?"],
            id="typo-of-an-alias",
        ),
        pytest.param(
            "branch:\n  by-name:\n    colour: {name: a, colr: red}\n",
            ["f.yaml:3: branch.by-name.colour.colr: unknown key; did you mean 'colour'?"],
            id="typo-below-a-free-key-that-is-called-like-a-field",
        ),
        pytest.param(
            "qqq: 1",
            ["f.yaml:1: qqq: unknown key; known here: bounded, branch, either, even, marker, tags"],
            id="nothing-near",
        ),
        pytest.param(
            "branch:\n  leaves:\n    - size: 3\n", ["f.yaml:3: branch.leaves[0].name: is missing"], id="missing"
        ),
        pytest.param(
            "branch:\n  leaves:\n    - name: 12\n",
            ["f.yaml:3: branch.leaves[0].name: must be text, not a number; quote it if text is meant"],
            id="number-for-text",
        ),
        pytest.param(
            "branch:\n  leaves: [{name: true}]\n",
            ["f.yaml:2: branch.leaves[0].name: must be text, not a boolean; quote it if text is meant"],
            id="boolean-for-text",
        ),
        pytest.param(
            "branch:\n  leaves: [{name: ~}]\n",
            ["f.yaml:2: branch.leaves[0].name: must be text, not nothing; quote it if text is meant"],
            id="nothing-for-text",
        ),
        pytest.param(
            "branch:\n  leaves: [{name: [a]}]\n",
            ["f.yaml:2: branch.leaves[0].name: must be text, not a list"],
            id="list-for-text, which quotes would not make right",
        ),
        pytest.param(
            "branch:\n  leaves: [{name: {a: b}}]\n",
            ["f.yaml:2: branch.leaves[0].name: must be text, not a mapping"],
            id="mapping-for-text",
        ),
        pytest.param(
            "branch:\n  leaves: [{name: a, flag: no}]\n",
            ["f.yaml:2: branch.leaves[0].flag: must be true or false, not 'no'"],
            id="no-for-a-boolean",
        ),
        pytest.param(
            "branch:\n  leaves: [{name: a, colour: blue}]\n",
            ["f.yaml:2: branch.leaves[0].colour: must be one of 'red' or 'green', not 'blue'"],
            id="literal",
        ),
        pytest.param(
            "branch: [a]", ["f.yaml:1: branch: must be a mapping (key: value), not a list"], id="list-for-a-mapping"
        ),
        pytest.param(
            "branch: {by-name: text}",
            ["f.yaml:1: branch.by-name: must be a mapping (key: value), not text"],
            id="text-for-a-free-mapping",
        ),
        pytest.param(
            "branch: {leaves: {}}", ["f.yaml:1: branch.leaves: must be a list, not a mapping"], id="mapping-for-a-list"
        ),
        pytest.param("tags: a", ["f.yaml:1: tags: must be a list, not text"], id="text-for-a-list"),
        pytest.param("marker: 1.5", ["f.yaml:1: marker: must be a marker, not a number"], id="other-class"),
        pytest.param("even: 3", ["f.yaml:1: even: must be even"], id="own-validator"),
        pytest.param("even: x", ["f.yaml:1: even: input should be a valid integer"], id="other-message"),
        pytest.param("bounded: 9", ["f.yaml:1: bounded: input should be less than or equal to 5"], id="bound"),
        pytest.param("bounded: 0", ["f.yaml:1: bounded: input should be greater than or equal to 1"], id="low-bound"),
        pytest.param(
            "branch:\n  leaves:\n    - name: bad\n",
            ["f.yaml:3: branch.leaves[0]: must not be bad"],
            id="validator-of-a-model",
        ),
        pytest.param(
            "branch:\n  leaves:\n    - name: placed\n      size: 4\n",
            ["f.yaml:4: branch.leaves[0].size: does not fit the name"],
            id="placed-error",
        ),
        pytest.param(
            "branch:\n  leaves:\n    - name: placed\n",
            ["f.yaml:3: branch.leaves[0].size: does not fit the name"],
            id="placed-error-about-a-key-that-is-not-there",
        ),
        pytest.param("- a\n", ["f.yaml:1: must be a mapping (key: value), not a list"], id="list-as-document"),
        pytest.param("", ["f.yaml:1: must be a mapping (key: value), not nothing"], id="empty-document"),
    ],
)
def test_validation_messages(text: str, expected: list[str]) -> None:
    """Line, path, the fault and what would be right, in the terms of the file."""
    assert _refusals(text) == expected


def test_union_branches_stand_in_no_path() -> None:
    """Each branch says what it expected; no branch name appears in the path, and the lines are right."""
    found = _refusals("tags: []\neither:\n  - name: a\n    sise: 3\n")
    assert "f.yaml:4: either[0].sise: unknown key; did you mean 'size'?" in found
    assert {fault.split(": ")[1] for fault in found} == {"either", "either[0].sise"}


def test_union_branches_of_a_mapping_stand_in_no_path() -> None:
    """The branch's name is skipped on the way to the key below it."""
    found = _refusals("either:\n  name: a\n  colr: red\n")
    assert "f.yaml:3: either.colr: unknown key; did you mean 'colour'?" in found


def test_all_faults_at_once() -> None:
    """Five faults in five places give five faults, in the order of the lines."""
    found = _refusals(
        "brnch: 1\neven: 3\ntags: [1]\nbounded: 7\nbranch:\n  leaves:\n    - {}\n    - {name: a}\n    - {name: 5}\n"
    )
    assert [fault.split(":")[1] for fault in found] == ["1", "2", "3", "4", "7", "9"]


def test_what_is_right_is_the_model() -> None:
    """A right document becomes the model."""
    tree = validate(parse("branch: {by-name: {x: {name: a, size: 2}}}\neven: 4\n", "f.yaml"), Tree)
    assert (tree.even, tree.branch and tree.branch.by_name["x"].size) == (4, 2)


def test_faults_of_a_document_without_lines() -> None:
    """Values that come from no file give faults as well, on line 1."""
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"even": 3})
    faults = validation_faults(Document("the environment", {"even": 3}, {}), Tree, caught.value)
    assert [str(fault) for fault in faults] == ["the environment:1: even: must be even"]


def test_kind_of_what_no_file_holds() -> None:
    """A value that YAML never gives is called by its type."""
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"tags": b"x"})
    faults = validation_faults(Document("f", {"tags": b"x"}, {}), Tree, caught.value)
    assert [fault.message for fault in faults] == ["must be a list, not bytes"]


def test_nothing_may_stand_in_a_model_without_fields() -> None:
    """An unknown key where no key is known says so."""

    class Empty(Strict):
        pass

    with pytest.raises(LoadError, match=r"f\.yaml:1: x: unknown key; nothing is allowed here"):
        validate(parse("x: 1", "f.yaml"), Empty)
