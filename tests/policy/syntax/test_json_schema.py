"""The JSON Schema of policy files: it accepts whatever the reader accepts, and finds faults of a file's shape."""

from __future__ import annotations

import re
from typing import Any

import pytest
from changed_documents import CHANGES, changed, places
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from yaml_texts import TESTS, documents_with

from tokenserver.documents.document import Document, parse
from tokenserver.documents.json_schema import Schema
from tokenserver.policy.syntax import answers, conditions, delegation, file, groups, json_schema, machines, tests
from tokenserver.policy.syntax.file import read_policy_file

SCHEMA = json_schema.policy_schema()
VALIDATOR = Draft7Validator(SCHEMA)
GROUP = SCHEMA["properties"]["groups"]["additionalProperties"]

# Faults of a file's shape, in the words of the reader. All others are about what a text means.
SHAPE = re.compile(
    r"unknown key|must be (a mapping|a list|text|1,)|is empty: |is an empty list|unknown (action|kind of credential) "
    r"|needs exactly one of (repositories|role)|needs as:|expects nothing|only a deny rule|says nothing"
    r"|(version|id|to|file|repositories|actions|hash|expires|from|claims) is missing|is one client|is empty; fix: "
    r"|no registry has this resource"
)


def has_wrong_shape(document: Document) -> bool:
    """Whether the reader finds a fault that a schema can find."""
    return any(SHAPE.match(re.sub(r"^'[^']*': ", "", fault.message)) for fault in read_policy_file(document).faults)


def test_it_is_a_schema() -> None:
    """Of draft 7, by its own schema."""
    Draft7Validator.check_schema(SCHEMA)


def test_there_are_enough_documents() -> None:
    """Both good and bad ones are among those of the tests."""
    good = [document for document in documents_with("version") if not read_policy_file(document).faults]
    bad = [document for document in documents_with("version") if has_wrong_shape(document)]
    assert len(good) > 50
    assert len(bad) > 10


def test_documents() -> None:
    """Every sample, and every good or bad policy file in the tests."""
    for document in documents_with("version"):
        found = [error.message for error in VALIDATOR.iter_errors(document.value)]
        if not read_policy_file(document).faults:
            assert (document.file, found) == (document.file, [])
        elif has_wrong_shape(document):
            assert found != [], document.file


def keys(*path: str) -> set[str]:
    """The keys of a mapping in the schema."""
    here: Schema = SCHEMA
    for step in path:
        here = here["properties"][step] if "properties" in here else here
        here = here.get("items", here)
    return set(here["properties"])


@pytest.mark.parametrize(
    ("found", "known"),
    [
        pytest.param(keys(), file._FILE_KEYS, id="file"),
        pytest.param(keys("allow"), {*file._RULE_KEYS} - {"message"}, id="allow"),
        pytest.param(keys("deny"), file._RULE_KEYS, id="deny"),
        pytest.param(keys("delegate"), delegation._KEYS, id="delegation"),
        pytest.param(set(json_schema.WHEN["properties"]), {*conditions._WHEN_KEYS, "claims"}, id="when"),
        pytest.param(set(json_schema.ROBOT["properties"]), machines._ROBOT_KEYS, id="robot"),
        pytest.param(set(json_schema.SECRET["properties"]), machines._SECRET_KEYS, id="secret"),
        pytest.param(set(json_schema.WORKLOAD["properties"]), machines._WORKLOAD_KEYS, id="workload"),
        pytest.param(set(GROUP["properties"]), groups._MEMBERS, id="group"),
        pytest.param(set(json_schema.AS_TEST["properties"]), tests._AS_KEYS, id="as-test"),
        pytest.param(set(json_schema.WHO_TEST["properties"]), tests._WHO_KEYS, id="who-test"),
        pytest.param(set(json_schema.WHAT_TEST["properties"]), tests._WHAT_KEYS, id="what-test"),
        pytest.param(set(json_schema._LINE["properties"]), answers._ENTRY_KEYS, id="line"),
    ],
)
def test_keys(found: set[str], known: Any) -> None:
    """The schema has exactly the keys of the reader."""
    assert found == set(known)


REFERENCE, MACHINES = (
    parse((TESTS / "corpus" / "policy" / f"{name}.yaml").read_text("utf-8"), f"{name}.yaml")
    for name in ("reference", "machines")
)
OTHER_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        "",
        "x",
        1,
        True,
        2.5,
        [],
        {},
        ["x"],
        [[]],
        [1],
        {"x": "y"},
        {"user": "ann"},
        {"robot": "ci"},
        {"robot": "ci", "user": "ann"},
    ]
)


@given(
    at=st.sampled_from([(one.value, place) for one in (REFERENCE, MACHINES) for place in places(one.value)[1:]]),
    change=CHANGES,
    other=OTHER_VALUES,
)
def test_changed_files(at: tuple[Any, tuple[Any, ...]], change: str, other: Any) -> None:
    """Wherever a reference is changed: no file is refused that the reader accepts, and no wrong shape is missed."""
    value = changed(*at, change, other)
    document = Document("a.yaml", value, {})
    if not read_policy_file(document).faults:
        assert VALIDATOR.is_valid(value)
    elif has_wrong_shape(document):
        assert not VALIDATOR.is_valid(value)
