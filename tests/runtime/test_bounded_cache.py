"""The cache evicts its oldest entries, and survives concurrent use."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.runtime.bounded_cache import BoundedCache


@given(st.lists(st.tuples(st.integers(0, 9), st.integers()), max_size=40), st.integers(1, 5))
def test_the_newest_entries_are_kept(puts: list[tuple[int, int]], size: int) -> None:
    """It holds the last `size` entries put; an entry that is put again counts as new."""
    bounded: BoundedCache[int, int] = BoundedCache(size)
    expected: dict[int, int] = {}
    for key, value in puts:
        bounded.put(key, value)
        expected.pop(key, None)
        expected[key] = value
    newest = dict(list(expected.items())[-size:])
    assert {key: bounded.get(key) for key in range(10)} == {key: newest.get(key) for key in range(10)}
    assert len(bounded) == len(newest)


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
