"""The shortest words that some globs match and as few others as possible."""

from __future__ import annotations

from hypothesis import given, settings
from nasty_globs import LONG, covering, globs, users
from policy_globs import WORDS

from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.shortest_names import least_words
from tokenserver.policy.budget import Budget
from tokenserver.policy.variables.segment_automata import Grammar


@settings(deadline=None)
@given(globs, globs)
def test_least_words_leave_no_better_one_out(required: frozenset[str], avoided: frozenset[str]) -> None:
    """Whatever word all required globs take, one that is no longer is taken by no other avoided globs."""
    found = least_words(Grammar.COMPONENT, required, avoided, 0, Budget())
    taken = {text: {word for word, _ in covering(parse_pattern(text))} for text in required | avoided}
    for word, by in found:
        assert all(list(users(parse_pattern(text), word)) for text in required)
        assert by == {text for text in avoided if list(users(parse_pattern(text), word))}
    for word in LONG:
        if all(word in taken[text] for text in required):
            others = {text for text in avoided if word in taken[text]}
            assert any(len(one) <= len(word) and theirs <= others for one, theirs in found)


def test_least_words_are_few() -> None:
    """As many as there are globs, where the globs tell more than a million classes of words apart."""
    words = frozenset(f"*{word}*" for word in WORDS[:20])
    assert least_words(Grammar.COMPONENT, frozenset(), words, 0, Budget()) == (("y", frozenset()),)
    letters = frozenset(f"*{letter}*" for letter in "abcdefghijklmnopqrstuvwxyz0123456789")
    assert len(least_words(Grammar.COMPONENT, frozenset(), letters, 0, Budget())) == 36
