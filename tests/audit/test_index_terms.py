"""Terms: what a question looks up are the events that it means, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from audit_questions import EVENTS, SINGLE, questions
from hypothesis import given

from tokenserver.audit.index_terms import POLICY_TERMS, asked_terms, terms_of
from tokenserver.audit.question import AuditQuestion


def is_found(question: AuditQuestion, event: dict[str, Any]) -> bool:
    """Whether the event has one of the terms of each condition."""
    terms = terms_of(event)
    return all(
        any(one.first <= term <= one.last and one.includes(term) for one in ranges for term in terms)
        for ranges in asked_terms(question)
    )


def without_places(question: AuditQuestion) -> AuditQuestion:
    """The question without what is not looked up by terms."""
    return replace(question, since=None, until=None, request_id="")


@pytest.mark.parametrize("question", SINGLE, ids=str)
def test_each_condition(question: AuditQuestion) -> None:
    """As `is_met_by`, for each event."""
    asked = without_places(question)
    assert [is_found(asked, event) for event in EVENTS] == [asked.is_met_by(event) for event in EVENTS]


@given(questions)
def test_conditions_together(question: AuditQuestion) -> None:
    """As `is_met_by`, for each event."""
    asked = without_places(question)
    assert [is_found(asked, event) for event in EVENTS] == [asked.is_met_by(event) for event in EVENTS]


def test_policies() -> None:
    """The digests are the terms of a range, and nothing else is."""
    first, last = POLICY_TERMS
    found = [[term for term in terms_of(event) if first <= term.encode("utf-8", "replace") <= last] for event in EVENTS]
    expected = [[f"p:{one['policy']}"] if isinstance(one.get("policy"), str) else [] for one in EVENTS]
    assert found == expected
