"""Sets of characters: Go's recorded case folding, and the laws of sets."""

from __future__ import annotations

from go_questions import disagreements
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.golang.characters import ANY, MAX_RUNE, category, contains, folded, merged, negated

RANGES = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])))


def test_go_agrees() -> None:
    """Every recorded orbit of case folding."""
    assert disagreements("fold") == []


@given(RANGES, st.integers(0, 90))
def test_sets(ranges: list[tuple[int, int]], char: int) -> None:
    """Merging keeps the members, and negation turns them around."""
    is_in = any(low <= char <= high for low, high in ranges)
    assert contains(merged(ranges), char) is is_in
    assert contains(negated(ranges), char) is not is_in
    assert negated(negated(ranges)) == merged(ranges)


def test_ends() -> None:
    """The first and the last character."""
    assert negated(ANY) == ()
    assert negated(()) == ANY
    assert negated([(0, 5)]) == ((6, MAX_RUNE),)
    assert negated([(5, MAX_RUNE)]) == ((0, 4),)
    assert folded(ANY) == ANY


def test_categories() -> None:
    """A category and the one above it."""
    assert contains(category("Lu"), ord("A"))
    assert not contains(category("Lu"), ord("a"))
    assert contains(category("L"), ord("a"))
