"""Segment automata: the shortest words of each class that globs distinguish."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pattern_languages import ONLY_A

from tokenserver.policy.budget import TooComplex
from tokenserver.policy.variables.segment_automata import GlobAutomaton, shortest_hosts, shortest_words
from tokenserver.scopes import is_path_component


def test_words_for_every_class() -> None:
    """Each way to be told apart has its shortest word, and as many more as are asked that nobody has taken."""
    assert sorted(shortest_words(["a*", "*b"])) == [["a"], ["ab"], ["b"], ["x"]]
    assert sorted(shortest_words(["a*"], {"a", "x"})) == [["a", "ax"], ["x", "y"]]
    assert sorted(shortest_words(["a*"], (), 2)) == [["a", "ax"], ["x", "y"]]


def test_a_small_class_is_there_as_a_whole() -> None:
    """What begins with a, but not with two characters, is a alone, however many words are asked."""
    assert ["a"] in shortest_words(["a*", *ONLY_A], {"a"}, 3)


def test_words_are_no_longer_than_names() -> None:
    """Whatever a glob would take."""
    found = shortest_words(["a" * 254 + "*", "b.*"])
    assert max(len(word) for words in found for word in words) == 254


def test_hosts_have_a_port() -> None:
    """A host comes with one to five digits of a port."""
    assert sorted(shortest_hosts(["a*", "*:5*"])) == ["a:0", "a:5", "x:0", "x:5"]


glob_texts = st.text(st.sampled_from("ab-*"), min_size=1, max_size=5).filter(lambda text: "**" not in text)


@given(st.lists(glob_texts, min_size=1, max_size=4, unique=True), st.text("ab-x", max_size=6))
def test_globs_side_by_side_match_as_each_by_itself(texts: list[str], word: str) -> None:
    """One automaton of several globs ends at exactly those that match the word, as a regular expression says."""
    automaton = GlobAutomaton.of(texts)
    state = automaton.start
    for character in word:
        state = automaton.step(state, character)
    expected = {text for text in texts if re.fullmatch(text.replace("*", ".*"), word)}
    assert automaton.texts_at(state & automaton.ends) == expected
    for text in automaton.texts_at(automaton.settled(state)):
        assert text in expected
        assert text.endswith("*")


@given(glob_texts, st.text("ab-x", max_size=6))
def test_the_furthest_state_decides_alike(text: str, word: str) -> None:
    """Positions before the last star that was reached add nothing."""
    automaton = GlobAutomaton.of([text])
    whole = short = automaton.start
    for character in word:
        whole = automaton.step(whole, character)
        short = automaton.furthest(automaton.step(short, character))
        assert bool(whole & automaton.ends) is bool(short & automaton.ends)


@given(st.lists(glob_texts, max_size=4))
def test_every_class_has_its_shortest_word(texts: list[str]) -> None:
    """Words of one class are matched by the same globs; no word is of another class, or shorter than its class."""
    words = [word for length in (1, 2, 3) for word in map("".join, product("ab-x", repeat=length))]

    def class_of(word: str) -> frozenset[str]:
        return frozenset(text for text in texts if re.fullmatch(text.replace("*", ".*"), word))

    shortest = {class_of(one[0]): len(one[0]) for one in shortest_words(texts)}
    assert len(shortest) == len(shortest_words(texts))
    for word in filter(is_path_component, words):
        assert shortest[class_of(word)] <= len(word)


def test_too_many_classes_are_not_gone_over() -> None:
    """Twenty globs distinguish a million classes."""
    with pytest.raises(TooComplex):
        shortest_words([f"*{one}{other}*" for one in "abcdef" for other in "abcdef"])
