"""States of the product automaton: each pattern's position after a prefix of a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pattern_languages import readings, with_variables

from tokenserver.patterns import Pattern, SegmentKind, parse_pattern
from tokenserver.policy.analysis.product_search import segments_of, shortest_ends
from tokenserver.policy.analysis.product_states import (
    UNREACHABLE,
    Bindings,
    BindingsTable,
    PositionSet,
    ProductAutomaton,
    ProductState,
    fits,
)
from tokenserver.policy.budget import Budget, TooComplex

NOBODY, USER, GROUP, BOTH = (False, False), (True, False), (False, True), (True, True)


def automaton(required: str, *others: str, steps: int = 10_000) -> ProductAutomaton:
    """The automaton of one required pattern and some others."""
    segments = [segments_of(parse_pattern(text)) for text in (required, *others)]
    return ProductAutomaton(segments, [shortest_ends(segments[0])], Budget(steps))


def after(made: ProductAutomaton, name: str, binding: tuple[bool, bool] = BOTH) -> ProductState:
    """The state after a name, each segment of which has this binding."""
    state = made.start()
    for word in name.split("/"):
        if not made.expanded(state):
            break  # a dead one
        state = made.after(state, word, binding)
    return state


def ends(state: ProductState, lengths: dict[int, int]) -> set[int]:
    """The patterns that have come to their end, given how many segments each has."""
    return {place for one in state.sets for place, at, _, _ in one.positions if at == lengths[place]}


@given(with_variables, st.lists(st.sampled_from(["a", "b", "x"]), min_size=1, max_size=4))
def test_an_automaton_ends_where_the_pattern_covers_the_name(pattern: Pattern, words: list[str]) -> None:
    """If every word may be the user's and a group's, exactly the names that the pattern covers for somebody."""
    made = automaton(pattern.text)
    state = after(made, "/".join(words))
    is_end = bool(state.sets) and bool(ends(state, {0: len(segments_of(pattern))}))
    assert is_end is any(readings(pattern, "/".join(words)))


@pytest.mark.parametrize(
    ("pattern", "binding", "is_end"),
    [
        pytest.param("users/${user}", NOBODY, False, id="nobody's name is no user's"),
        pytest.param("users/${user}", USER, True, id="the user's name"),
        pytest.param("users/${user}", GROUP, False, id="a group's name is no user's"),
        pytest.param("teams/${group}", GROUP, True, id="a group's name"),
        pytest.param("teams/${group}", USER, False, id="the user's name is no group's"),
        pytest.param("teams/*", NOBODY, True, id="a star takes any word"),
    ],
)
def test_bindings_decide_for_variables(pattern: str, binding: tuple[bool, bool], is_end: bool) -> None:
    """A variable only takes a word that is bound to what it stands for."""
    state = after(
        automaton(pattern), pattern.replace("${user}", "x").replace("${group}", "x").replace("*", "x"), binding
    )
    assert bool(state.sets and ends(state, {0: 2})) is is_end


@pytest.mark.parametrize(
    ("name", "is_end"),
    [
        pytest.param("ann/x/ann", True, id="the same"),
        pytest.param("ann/x/bob", False, id="another"),
    ],
)
def test_a_repeated_variable_takes_its_value_again(name: str, is_end: bool) -> None:
    """The value of the first place is remembered until the last one, and then forgotten."""
    made = automaton("${user}/x/${user}")
    state = after(made, name)
    assert bool(state.sets and ends(state, {0: 3})) is is_end
    middle = after(made, "ann/x")
    (one, _) = made.expanded(middle)
    assert one.remembered == {"ann"}


def test_a_state_is_one_object() -> None:
    """However it is reached, so that everything computed for it is reused."""
    made = automaton("**/x", "a/**")
    assert after(made, "b/x") is after(made, "c/x")
    assert after(made, "a/x") is not after(made, "b/x")


def test_a_dead_state_is_out_of_reach() -> None:
    """Where the required pattern cannot match any more, no name is short enough."""
    made = automaton("web/x", "**")
    assert after(made, "data").needed == UNREACHABLE
    assert made.start().needed == len("web/x") + 1
    assert after(made, "web").needed == len("/x")
    assert after(made, "web/x").needed == 0


def test_the_budget_is_spent() -> None:
    """A state costs as much as it has positions that match several words."""
    patterns = [f"**/{letter}*/**" for letter in "abcdefghijklmnop"]
    made = automaton("**", *patterns, steps=3)
    with pytest.raises(TooComplex):
        after(made, "/".join("abcdefgh"))


def test_bindings_are_one_object() -> None:
    """For the same user and choices; clearing the table breaks the references between them."""
    table = BindingsTable()
    ann = table.intern("ann", frozenset({("web", GROUP), ("ann", USER)}))
    assert table.intern("ann", frozenset({("ann", USER), ("web", GROUP)})) is ann
    assert table.intern() is table.intern()
    assert (ann.user, ann.by_word, ann.group_count) == ("ann", {"web": GROUP, "ann": USER}, 1)
    ann.successors["x", True] = [(NOBODY, table.intern())]
    table.clear()
    assert ann.successors == {}
    assert isinstance(ann, Bindings)


def test_positions_are_expanded_once() -> None:
    """Literals by their text, and the rest one by one; a pattern at its end has no transition."""
    segments = [segments_of(parse_pattern(text)) for text in ("web/a*", "web", "${user}/**")]
    one = PositionSet(frozenset({(0, 0, "", ""), (1, 1, "", ""), (2, 0, "", "")}))
    for _ in range(2):
        one.expand(segments)
    assert one.literals == {"web": [(0, 1, "", "")]}
    assert [segment.kind for _, segment, _ in one.loose] == [SegmentKind.USER]
    assert one.has_variable
    assert one.after("web", USER) == {(0, 1, "", ""), (2, 1, "", "")}
    assert one.after("x", NOBODY) == frozenset()


@pytest.mark.parametrize(
    ("glob", "word", "expected"),
    [("a*", "ab", True), ("a*", "a", True), ("a*b", "ab", True), ("*b*", "abc", True), ("a*", "ba", False)],
)
def test_fits(glob: str, word: str, expected: bool) -> None:
    """A glob in one segment."""
    assert fits(parse_pattern(glob).rest[0], word) is expected
