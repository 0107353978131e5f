"""Questions survive the way to another process, whatever is in the texts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playground_trees import NOW, TREE

from tokenserver.errors import LinkedText
from tokenserver.identity import NamespaceRule, Namespaces
from tokenserver.policy.machines.claim_names import SourceClaims
from tokenserver.policy.playground.question import PlaygroundQuestion, Surroundings

FULL = Surroundings(
    frozenset({"one", "two"}),
    Namespaces(frozenset({None, NamespaceRule.SLUG})),
    {
        "github": SourceClaims(frozenset({frozenset({"repository_id"}), frozenset({"a", "b"})})),
        "cluster": SourceClaims(frozenset({frozenset({"a"})}), {"a": "b/c"}),
        "open": SourceClaims(frozenset()),
    },
    False,
    True,
    {"github": "github_actions"},
    timedelta(days=30),
    True,
)


@pytest.mark.parametrize("surroundings", [Surroundings(), FULL], ids=["unknown", "known"])
@pytest.mark.parametrize("marked", [True, False])
def test_round_trip(surroundings: Surroundings, marked: bool) -> None:
    """What the other process reads is what was asked."""
    question = PlaygroundQuestion(TREE, {"a.yaml": "x"}, NOW, surroundings, marked)
    assert PlaygroundQuestion.from_json(question.as_json()) == question


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_text(texts: dict[str, str]) -> None:
    """Text that is no UTF-8 is told as it is."""
    question = PlaygroundQuestion(texts, texts, NOW)
    assert PlaygroundQuestion.from_json(question.as_json()).texts == texts
    question.as_json().encode("ascii")


def test_links() -> None:
    """A text that was read through a link is still one, so that no fault shows it."""
    question = PlaygroundQuestion({"a.yaml": LinkedText("secret", "/etc/passwd")}, {}, NOW)
    text = PlaygroundQuestion.from_json(question.as_json()).texts["a.yaml"]
    assert isinstance(text, LinkedText)
    assert (str(text), text.target) == ("secret", "/etc/passwd")
