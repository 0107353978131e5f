"""Which requests are traced: by chance, and because a client asks, up to a rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.runtime.tracing.sampling import Sampler
from tokenserver.runtime.tracing.trace_context import TraceContext

TRACED = TraceContext("1" * 32, "2" * 16, is_sampled=True)
UNTRACED = TraceContext("1" * 32, "2" * 16, is_sampled=False)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("ratio", "rate", "context", "drawn", "expected"),
    [
        pytest.param(0.25, 5, None, 0.24, True, id="by chance"),
        pytest.param(0.25, 5, None, 0.25, False, id="not by chance"),
        pytest.param(0.0, 5, None, 0.0, False, id="none of those without a client's trace"),
        pytest.param(1.0, 5, None, 0.99, True, id="all"),
        pytest.param(0.0, 5, TRACED, 0.9, True, id="because the client traces it"),
        pytest.param(1.0, 5, UNTRACED, 0.0, False, id="not, because the client does not"),
        pytest.param(0.0, 0, TRACED, 0.0, False, id="clients have no say"),
        pytest.param(0.5, 0, TRACED, 0.4, True, id="clients have no say, by chance"),
        pytest.param(1.0, 0, UNTRACED, 0.9, True, id="clients have no say, all"),
    ],
)
def test_decisions(ratio: float, rate: int, context: TraceContext | None, drawn: float, *, expected: bool) -> None:
    """The chance is drawn here, never derived from a trace id, which a client chooses."""
    assert Sampler(ratio, rate, monotonic=Clock(), random=lambda: drawn).is_traced(context) is expected


def test_a_client_that_traces_everything() -> None:
    """Costs a bounded number of traces a second (docs/design/threats.md#threat-231); chance decides about the rest."""
    clock = Clock()
    sampler = Sampler(0.0, 10, monotonic=clock, random=lambda: 0.5)
    assert sum(sampler.is_traced(TRACED) for _ in range(1000)) == 10
    clock.now = 0.5
    assert sum(sampler.is_traced(TRACED) for _ in range(1000)) == 5
    clock.now = 3600.0
    assert sum(sampler.is_traced(TRACED) for _ in range(1000)) == 10
    by_chance = Sampler(0.6, 1, monotonic=clock, random=lambda: 0.5)
    assert all(by_chance.is_traced(TRACED) for _ in range(100))


@given(st.lists(st.floats(0, 3), max_size=50), st.integers(1, 20))
def test_no_more_than_the_rate(waits: list[float], rate: int) -> None:
    """In any stretch of time: at most the rate for each second, and one second's worth more at its beginning."""
    clock = Clock()
    sampler = Sampler(0.0, rate, monotonic=clock)
    taken = 0
    for wait in waits:
        clock.now += wait
        taken += sum(sampler.is_traced(TRACED) for _ in range(rate + 1))
        assert taken <= rate * (clock.now + 1) + 1e-6


def test_the_chance_is_what_it_says() -> None:
    """A tenth of ten thousand, within six standard deviations."""
    sampler = Sampler(0.1, 10)
    assert abs(sum(sampler.is_traced(None) for _ in range(10_000)) - 1000) < 180
