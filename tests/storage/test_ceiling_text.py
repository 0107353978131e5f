"""The stored form of ceilings: what is written is read again, and nothing that is not understood is skipped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from some_ceilings import ceiling

from tokenserver.ceilings import Ceiling
from tokenserver.storage.ceiling_text import UnreadableCeiling, parse_ceiling, spell_ceiling

CEILING = ceiling(("web/**", "pull,push"), ("ops/*", "pull"), services={"hub", "a"})


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(CEILING, id="all"),
        pytest.param(Ceiling((), None), id="nothing, everywhere"),
        pytest.param(Ceiling((), frozenset()), id="nowhere"),
    ],
)
def test_a_ceiling_is_read_as_it_was_written(one: Ceiling) -> None:
    """None of the registries and all of them differ."""
    assert parse_ceiling(spell_ceiling(one)) == one


def test_equal_ceilings_have_one_text() -> None:
    """The text is sealed, so it must not depend on the order of a set."""
    assert spell_ceiling(CEILING) == (
        '{"bounds":[{"actions":["pull","push"],"patterns":["web/**"],"type":"repository"},'
        '{"actions":["pull"],"patterns":["ops/*"],"type":"repository"}],"services":["a","hub"]}'
    )


BOUND = {"actions": ["pull"], "patterns": ["a"], "type": "repository"}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param([], id="list"),
        pytest.param({"bounds": []}, id="no services"),
        pytest.param({"bounds": [], "services": None, "x": 1}, id="more"),
        pytest.param({"bounds": 1, "services": None}, id="no list"),
        pytest.param({"bounds": ["a"], "services": None}, id="bound is text"),
        pytest.param({"bounds": [{**BOUND, "not": []}], "services": None}, id="bound has more"),
        pytest.param({"bounds": [{**BOUND, "actions": ["fly"]}], "services": None}, id="action"),
        pytest.param({"bounds": [{**BOUND, "actions": "pull"}], "services": None}, id="actions are text"),
        pytest.param({"bounds": [{**BOUND, "patterns": ["a//b"]}], "services": None}, id="pattern"),
        pytest.param({"bounds": [{**BOUND, "patterns": ["${user}/*"]}], "services": None}, id="variable"),
        pytest.param({"bounds": [{**BOUND, "type": 1}], "services": None}, id="type"),
        pytest.param({"bounds": [], "services": [1]}, id="service"),
    ],
)
def test_anything_else_is_refused(document: Any) -> None:
    """A bound that is not understood may be the narrow one."""
    with pytest.raises(UnreadableCeiling):
        parse_ceiling(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_text_that_is_no_json_is_refused(text: str) -> None:
    """Whatever somebody writes into the column."""
    with pytest.raises(UnreadableCeiling):
        parse_ceiling(text)
