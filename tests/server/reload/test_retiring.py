"""Parts that were replaced release what they hold, those that are still held do not."""

from __future__ import annotations

import pytest

from tokenserver.server.reload.retiring import retire_all


class Holder:
    """Counts how often it is retired."""

    def __init__(self) -> None:
        self.times = 0

    def retire(self) -> None:
        """See `Retirable.retire`."""
        self.times += 1


@pytest.mark.parametrize(
    ("values", "but", "expected"),
    [
        pytest.param([0, 1], [], [1, 1], id="all"),
        pytest.param([0, 1], [1], [1, 0], id="one is kept"),
        pytest.param([0], [1], [1, 0], id="one is new"),
        pytest.param([], [0], [0, 0], id="nothing was replaced"),
    ],
)
def test_retire_all(values: list[int], but: list[int], expected: list[int]) -> None:
    """Compared as objects, among others that hold only memory."""
    holders = [Holder(), Holder()]
    retire_all([*(holders[one] for one in values), "a policy"], but=[holders[one] for one in but])
    assert [one.times for one in holders] == expected
