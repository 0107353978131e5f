"""The tracer: from the headers of a request to the trace that is exported."""

from __future__ import annotations

import pytest

from tokenserver.runtime.tracing.exporter import TraceExporter
from tokenserver.runtime.tracing.sampling import Sampler
from tokenserver.runtime.tracing.spans import FinishedTrace, current, step
from tokenserver.runtime.tracing.tracer import Tracer

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Kept(TraceExporter):
    """Keeps what would be exported."""

    def __init__(self) -> None:
        super().__init__(lambda _: None, count=lambda *_: None)
        self.traces: list[FinishedTrace] = []

    def put(self, trace: FinishedTrace) -> None:
        """Keep it."""
        self.traces.append(trace)


def tracer(ratio: float = 0.0, rate: int = 10) -> tuple[Tracer, Kept]:
    kept = Kept()
    return Tracer(Sampler(ratio, rate), kept), kept


def test_a_request_of_a_client_that_traces() -> None:
    """Its span continues the client's; a request inside of it is a part of it."""
    tracing, kept = tracer()
    trace = tracing.begin(f"00-{TRACE}-{SPAN}-01", None)
    assert trace is not None
    with tracing.answering(trace, lambda: "GET", {"a": 1}) as span:
        span.note(b=2)
        assert tracing.begin(f"00-{TRACE}-{SPAN}-01", None) is None
        with step("s"):
            pass
    (finished,) = kept.traces
    assert [(one.name, one.attributes) for one in finished.spans] == [("s", {}), ("GET", {"a": 1, "b": 2})]
    assert (finished.trace_id, finished.spans[-1].parent_id) == (TRACE, SPAN)
    assert current() is None


def test_a_request_that_its_client_does_not_trace() -> None:
    """Has the client's trace id, and costs not even its name."""
    tracing, kept = tracer(ratio=1.0)
    trace = tracing.begin(f"00-{TRACE}-{SPAN}-00", None)
    assert trace is not None
    with tracing.answering(trace, lambda: pytest.fail("named"), {}):
        found = current()
        assert found is not None
        assert found.trace_id == TRACE
    assert (kept.traces, current()) == ([], None)


@pytest.mark.parametrize("header", [None, f"00-{'0' * 32}-{SPAN}-01"], ids=["no header", "a bad header"])
def test_a_request_without_a_trace(header: str | None) -> None:
    """Is left to chance."""
    assert tracer()[0].begin(header, None) is None
    by_chance = tracer(ratio=1.0)[0].begin(header, None)
    assert by_chance is not None
    assert by_chance.trace_id != "0" * 32


def test_an_exception() -> None:
    """Ends the trace, which is exported, and passes on."""
    tracing, kept = tracer(ratio=1.0)
    trace = tracing.begin(None, None)
    assert trace is not None
    with pytest.raises(ValueError, match="x"), tracing.answering(trace, lambda: "GET", {}):
        raise ValueError("x")
    assert [span.error for span in kept.traces[0].spans] == ["ValueError"]
    assert current() is None
