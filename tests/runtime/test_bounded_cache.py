"""The cache evicts its oldest entries, and survives concurrent use."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.runtime.bounded_cache import FREE_ENTRIES, BoundedCache


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(), st.integers(1, 3)), max_size=40), st.integers(3, 8))
def test_the_newest_entries_are_kept(puts: list[tuple[int, int, int]], size: int) -> None:
    """It holds the last entries put that together weigh no more than `size`; one that is put again counts as new."""
    bounded: BoundedCache[int, int] = BoundedCache(size)
    expected: dict[int, tuple[int, int]] = {}
    for key, value, weight in puts:
        bounded.put(key, value, weight)
        expected.pop(key, None)
        expected[key] = (value, weight)
        while sum(weight for _, weight in expected.values()) > size:
            del expected[next(iter(expected))]
    assert {key: bounded.get(key) for key in range(10)} == {
        key: expected[key][0] if key in expected else None for key in range(10)
    }
    assert len(bounded) == len(expected)
    bounded.clear()
    assert len(bounded) == 0
    assert [bounded.offer(number, number) for number in range(size)] == [True] * size


def test_a_heavy_entry_needs_room() -> None:
    """While there is less room than it weighs, it is offered twice; what weighs more than all is never stored."""
    bounded: BoundedCache[int, int] = BoundedCache(10)
    assert [bounded.offer(number, number) for number in range(8)] == [True] * 8
    assert [bounded.offer(100, 1, weight=3), bounded.offer(200, 2, weight=2)] == [False, True]
    assert (bounded.offer(100, 1, weight=3), bounded.get(100), bounded.get(0), bounded.get(2)) == (True, 1, None, None)
    bounded.put(300, 3, weight=11)
    assert (bounded.get(300), len(bounded)) == (None, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=60), st.integers(1, 5))
def test_what_is_offered_once_evicts_nothing(calls: list[tuple[bool, int]], size: int) -> None:
    """Offered to a full cache, a key is taken if it is stored or was offered to the full cache before."""
    bounded: BoundedCache[int, int] = BoundedCache(size)
    expected: dict[int, int] = {}
    places: dict[int, int] = {}
    for number, (is_put, key) in enumerate(calls):
        is_full = len(expected) >= size
        place, mark = key % (4 * size), key // (4 * size) or 1
        is_taken = is_put or not is_full or key in expected or places.get(place, 0) == mark
        if is_full and not is_put:
            places[place] = mark
        if is_put:
            bounded.put(key, number)
        else:
            assert bounded.offer(key, number) == is_taken
        if is_taken:
            expected.pop(key, None)
            expected[key] = number
            expected = dict(list(expected.items())[-size:])
    assert {key: bounded.get(key) for key in range(31)} == {key: expected.get(key) for key in range(31)}


def test_a_stream_of_new_keys_passes_by() -> None:
    """What is asked again stays in the cache, or enters it, whatever is offered once in between."""
    bounded: BoundedCache[int, int] = BoundedCache(100)
    assert all(bounded.offer(number, number) for number in range(100))
    taken = [bounded.offer(number, number) for number in range(1_000, 1_400)]
    assert (any(taken), bounded.get(0), len(bounded)) == (False, 0, 100)
    assert [bounded.offer(number, number) for number in (5_000, 5_001, 5_000)] == [False, False, True]
    assert (bounded.get(5_000), bounded.get(0), bounded.get(1), len(bounded)) == (5_000, None, 1, 100)


def test_a_large_cache_is_not_filled_with_what_comes_once() -> None:
    """It takes what comes first, then only what comes again, until it is full of that."""
    bounded: BoundedCache[int, int] = BoundedCache(1_000)
    taken = [bounded.offer(number, number) for number in range(900)]
    assert (taken, len(bounded)) == ([True] * FREE_ENTRIES + [False] * (900 - FREE_ENTRIES), FREE_ENTRIES)
    assert all(bounded.offer(number, number) for number in range(900))
    assert [bounded.get(number) for number in range(900)] == [*range(900)]


def test_many_threads() -> None:
    """Concurrent puts and gets raise nothing and keep the size."""
    bounded: BoundedCache[int, int] = BoundedCache(8)
    failures: list[Exception] = []

    def work(start: int) -> None:
        try:
            for number in range(start, start + 2000):
                bounded.put(number, number)
                bounded.get(number - 1)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(start * 1000,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, len(bounded)) == ([], 8)
