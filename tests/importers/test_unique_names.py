"""Names for what an import makes: legal, unique, and as similar as possible to what they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.unique_names import MAX_ID, MAX_MACHINE, UniqueNames, as_machine_name, as_rule_id
from tokenserver.policy.machines.robots import parse_machine_name
from tokenserver.policy.terms import parse_rule_id


def test_each_once() -> None:
    """A name that is taken gets a number, also one that looks like another's."""
    names = UniqueNames(["web"])
    assert [names.give(one) for one in ("web", "web", "web-2", "data", "web")] == [
        *("web-2", "web-3", "web-2-2", "data", "web-4"),
    ]


def test_long_names() -> None:
    """They are cut, with room for the number, and never end in a separator."""
    names = UniqueNames(limit=6)
    assert [names.give(one) for one in ("abcdefgh", "abcdefxy", "abcde.gh")] == ["abcdef", "abcd-2", "abcde"]


@pytest.mark.parametrize(
    ("text", "rule", "machine"),
    [
        pytest.param("web-public", "web-public", "web-public", id="legal"),
        pytest.param("Web/Shop: x", "Web-Shop-x", "web-shop-x", id="others"),
        pytest.param("robot$web+ci", "robot-web-ci", "robot-web-ci", id="a robot of Harbor"),
        pytest.param("__", "rule", "robot", id="separators alone"),
        pytest.param("", "rule", "robot", id="nothing"),
    ],
)
def test_legal_names(text: str, rule: str, machine: str) -> None:
    """What is not legal becomes a dash."""
    assert (as_rule_id(text), as_machine_name(text)) == (rule, machine)


@given(st.lists(st.text(max_size=150), max_size=6))
def test_any_text_becomes_a_name(texts: list[str]) -> None:
    """The policy language accepts it."""
    rules, machines = UniqueNames(limit=MAX_ID), UniqueNames(limit=MAX_MACHINE)
    ids = [parse_rule_id(rules.give(as_rule_id(text))) for text in texts]
    names = [parse_machine_name(machines.give(as_machine_name(text))) for text in texts]
    assert len(set(ids)) == len(set(names)) == len(texts)
