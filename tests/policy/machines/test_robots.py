"""Robots: their names, and what they are called in tokens and logs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import Identity, Kind
from tokenserver.policy.machines.robots import (
    MAX_NAME,
    MachineNameError,
    Robot,
    parse_machine_name,
    robot_of,
    subject_of,
)


@pytest.mark.parametrize("text", ["ci", "0", "ci-web.2_x", "a" * MAX_NAME])
def test_names(text: str) -> None:
    """A name is what it is, and the subject leads back to it."""
    assert parse_machine_name(text) == text
    assert robot_of(subject_of(text)) == text
    assert Robot(text).subject == f"robot:{text}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a" * (MAX_NAME + 1), id="long"),
        pytest.param("CI", id="capitals"),
        pytest.param("ci ", id="blank"),
        pytest.param("ci\n", id="line break"),
        pytest.param("-ci", id="begins with a dash"),
        pytest.param("ci.", id="ends with a dot"),
        pytest.param("web-*", id="wildcard"),
        pytest.param("team/ci", id="slash"),
        pytest.param("robot:ci", id="principal"),
        pytest.param("\u0661", id="another digit"),
    ],
)
def test_refused(text: str) -> None:
    """No other text is the name of a machine."""
    with pytest.raises(MachineNameError, match="has 1 to 64 characters of a-z 0-9"):
        parse_machine_name(text)


@given(st.text(max_size=8))
def test_a_user_is_no_robot(name: str) -> None:
    """Only a subject with the prefix is a robot's, and no text in another form."""
    assert robot_of(name) is None or name.startswith("robot:")


def test_a_robot_has_no_namespace() -> None:
    """`${user}` is for people, so a robot called as somebody's namespace gets nothing of theirs."""
    assert Identity(subject_of("ann"), Kind.ROBOT).user_value == ""
