"""Conditions of the answer to "who can?" in words."""

from __future__ import annotations

from typing import Any

import pytest

from tokenserver.policy.queries.who_can_report import spell_conditions


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({}, "", id="always"),
        pytest.param(
            {"groups": ["a", "b"], "except": ["user:eve", "group:x"], "from": ["10.0.0.0/8"], "rule": "r"},
            "if in group:a and group:b, except user:eve or group:x, from 10.0.0.0/8",
            id="groups-and-except",
        ),
        pytest.param(
            {"since": "2026-01-01", "until": "2027-01-01", "kind": ["password"], "rule": "r"},
            "since 2026-01-01, until 2027-01-01, kind password",
            id="time-and-kind",
        ),
        pytest.param(
            {"unless": [{"except": ["group:ops"], "from": ["10.0.0.0/8"], "rule": "no-night"}], "rule": "r"},
            "but not from 10.0.0.0/8, unless in group:ops (rule no-night)",
            id="unless",
        ),
        pytest.param({"namespace": "web", "rule": "r"}, "with the namespace web", id="namespace"),
        pytest.param(
            {"not_from": ["10.1.0.0/16"], "unless": [{"not_from": ["10.0.0.0/8", "::/0"], "rule": "d"}]},
            "not from 10.1.0.0/16, but not from anywhere but 10.0.0.0/8 or ::/0 (rule d)",
            id="not-from",
        ),
        pytest.param(
            {"until": "2027-01-01", "unless": [{"who": ["user:bob", "group:a", "group:b"], "rule": "d"}], "rule": "r"},
            "until 2027-01-01, but not if user:bob and in group:a and group:b (rule d)",
            id="unless-who",
        ),
        pytest.param(
            {"unless": [{"who": ["group:a"], "except": ["group:x", "group:y", "user:u"], "rule": "d"}]},
            "but not if in group:a, unless user:u or in group:x or group:y (rule d)",
            id="unless-many",
        ),
        pytest.param(
            {
                "unless": [
                    {"since": "2026-01-01", "until": "2027-01-01", "rule": "a"},
                    {"since": "2028-01-01", "rule": "b"},
                ]
            },
            "but not between 2026-01-01 and 2027-01-01 (rule a), but not from 2028-01-01 on (rule b)",
            id="unless-times",
        ),
        pytest.param(
            {"unless": [{"until": "2026-01-01", "kind": ["password", "session"], "rule": "d"}]},
            "but not before 2026-01-01 with kind password or session (rule d)",
            id="unless-until-and-kind",
        ),
    ],
)
def test_conditions_read_as_sentences(facts: dict[str, Any], expected: str) -> None:
    """What the table of `who-can` shows in the column `when`."""
    assert spell_conditions(facts) == expected
