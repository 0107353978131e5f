"""Spans: which steps of a request are recorded, in which order, with which errors, and how many."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from tokenserver.runtime.tracing.spans import (
    MAX_SPANS,
    OMITTED,
    ActiveTrace,
    SpanKind,
    TraceSpan,
    active,
    current,
    outgoing_headers,
    recording,
    step,
    traced,
)
from tokenserver.runtime.tracing.trace_context import TraceContext

CLIENT = TraceContext("a" * 32, "b" * 16, is_sampled=True, state="v=1")


def spans_of(trace: ActiveTrace) -> dict[str, TraceSpan]:
    return {span.name: span for span in trace.finished().spans}


def test_steps_are_nested() -> None:
    """Each is below the one that was in progress, and the first one below the client's."""
    trace = ActiveTrace(CLIENT, is_traced=True)
    with active(trace), trace.begin("GET", SpanKind.SERVER, {}), step("a"):
        with step("b", SpanKind.CLIENT, {"x": 1}) as inner:
            inner.note(http__status=200)
        trace.add("c", 1, 2, {})
    found = spans_of(trace)
    assert (found["GET"].parent_id, found["a"].parent_id) == ("b" * 16, found["GET"].span_id)
    assert found["b"].parent_id == found["c"].parent_id == found["a"].span_id
    assert found["b"].attributes == {"x": 1, "http.status": 200}
    assert len({span.span_id for span in found.values()}) == 4
    assert found["GET"].start <= found["b"].start <= found["b"].end <= found["GET"].end
    assert trace.finished()[:2] == ("a" * 32, "v=1")


def test_a_request_without_a_client_trace() -> None:
    """Gets an id of its own, and its first span has no parent."""
    one, two = ActiveTrace(None, is_traced=True), ActiveTrace(None, is_traced=True)
    with one.begin("GET", SpanKind.SERVER, {}):
        pass
    assert spans_of(one)["GET"].parent_id == ""
    assert one.trace_id != two.trace_id
    assert len(one.trace_id) == 32


@pytest.mark.parametrize("trace", [None, ActiveTrace(CLIENT, is_traced=False)], ids=["none", "not traced"])
def test_nothing_is_recorded(trace: ActiveTrace | None) -> None:
    """A step costs a look at one variable."""
    if trace is None:
        with step("a") as one, step("b") as other:
            one.note(x=1)
            one.fail("Error")
        assert one is other
        assert (current(), recording(), outgoing_headers()) == (None, None, {})
        return
    with active(trace), step("a"):
        assert (current(), recording()) == (trace, None)
        # What the client said is passed on, since this server takes no part.
        assert outgoing_headers() == {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00", "tracestate": "v=1"}
    assert trace.finished().spans == ()


def test_outgoing_headers() -> None:
    """Name the step in progress as the parent."""
    trace = ActiveTrace(CLIENT, is_traced=True)
    with active(trace), step("call"):
        sent = outgoing_headers()
    assert sent == {"traceparent": f"00-{'a' * 32}-{spans_of(trace)['call'].span_id}-01", "tracestate": "v=1"}


def test_errors() -> None:
    """An exception is named by its type: its text may hold a secret."""
    trace = ActiveTrace(None, is_traced=True)
    with active(trace):
        with pytest.raises(ValueError, match="the password"), step("raised"):
            raise ValueError("the password is hunter2")
        with step("reported") as span:
            span.fail("timeout")
        with suppress(ValueError), step("both") as span:
            span.fail("in a word")
            raise ValueError("x")
    found = spans_of(trace)
    assert [found[name].error for name in ("raised", "reported", "both")] == ["ValueError", "timeout", "in a word"]


def test_spans_are_bounded() -> None:
    """A login that takes thousands of steps leaves a bounded trace, which says so."""
    trace = ActiveTrace(None, is_traced=True)
    with active(trace), trace.begin("GET", SpanKind.SERVER, {"a": 1}):
        for _ in range(MAX_SPANS + 10):
            with step("search"):
                pass
    spans = trace.finished().spans
    assert len(spans) == MAX_SPANS + 1
    assert (spans[-1].kind, spans[-1].attributes) == (SpanKind.SERVER, {"a": 1, OMITTED: 10})


def test_a_traced_function() -> None:
    """Each call is a step; without a trace it is just a call."""

    @traced("question")
    def ask(number: int, *, times: int) -> int:
        """Ask."""
        return number * times

    assert (ask(2, times=3), ask.__doc__) == (6, "Ask.")
    trace = ActiveTrace(None, is_traced=True)
    with active(trace):
        assert ask(2, times=4) == 8
    assert [(span.name, span.kind) for span in trace.finished().spans] == [("question", SpanKind.CLIENT)]


def test_threads_do_not_share() -> None:
    """The trace is that of one thread, and ends with its block."""
    seen: list[ActiveTrace | None] = []
    with active(ActiveTrace(None, is_traced=True)):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert [*seen, current()] == [None, None]
