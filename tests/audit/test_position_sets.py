"""Sets of positions: packed and united, they are the same positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit.position_sets import CHUNK_EVENTS, between, last_positions, packed, positions_of, united

_SETS = st.one_of(
    st.sets(st.integers(0, CHUNK_EVENTS - 1), max_size=20),
    st.tuples(st.integers(1, 16), st.integers(0, 15)).map(lambda one: set(range(one[1], CHUNK_EVENTS, one[0]))),
)


@given(st.lists(_SETS, max_size=4))
def test_a_union(sets: list[set[int]]) -> None:
    """Of short and long ones."""
    found = united(packed(sorted(one)) for one in sets)
    assert list(positions_of(found)) == sorted(set().union(*sets))
    assert found.bit_count() == len(set().union(*sets))
    for most in (0, 1, 3, CHUNK_EVENTS):
        assert last_positions(found, most) == sorted(set().union(*sets), reverse=True)[:most]


@pytest.mark.parametrize(
    ("positions", "size"),
    [([], 0), ([0], 2), ([CHUNK_EVENTS - 1], 2), (range(4095), 8190), (range(4096), 8192), (range(CHUNK_EVENTS), 8192)],
)
def test_the_size(positions: list[int], size: int) -> None:
    """Two bytes for each, but never more than a bit for each event of a chunk."""
    assert len(packed(positions)) == size


@pytest.mark.parametrize(("first", "end", "found"), [(0, 3, [0, 1, 2]), (2, 3, [2]), (3, 3, []), (4, 3, [])])
def test_between(first: int, end: int, found: list[int]) -> None:
    """From the first one on, before the end."""
    assert list(positions_of(between(first, end))) == found
