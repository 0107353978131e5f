"""Segment automata: the shortest words of each class that globs distinguish."""

from __future__ import annotations

from pattern_languages import ONLY_A

from tokenserver.policy.analysis.segment_automata import shortest_hosts, shortest_words


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
