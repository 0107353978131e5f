"""The tracer of a worker: begins the trace of each request, and exports it when the request is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tokenserver.runtime.tracing.exporter import TraceExporter
from tokenserver.runtime.tracing.sampling import Sampler
from tokenserver.runtime.tracing.spans import ActiveTrace, Attribute, SpanKind, TraceStep, active, current
from tokenserver.runtime.tracing.trace_context import read_context

_UNTRACED = TraceStep()


class Tracer:
    """Traces the requests that `sampler` chooses, and hands them to `exporter`."""

    def __init__(self, sampler: Sampler, exporter: TraceExporter) -> None:
        self._sampler = sampler
        self._exporter = exporter

    def begin(self, traceparent: str | None, tracestate: str | None) -> ActiveTrace | None:
        """The trace of a request with these headers, for `answering`.

        None: it is not traced and its client named no trace, or it is a part of the request that is being answered.
        """
        if current() is not None:
            return None
        context = None if traceparent is None else read_context(traceparent, tracestate)
        is_traced = self._sampler.is_traced(context)
        return None if context is None and not is_traced else ActiveTrace(context, is_traced=is_traced)

    @contextmanager
    def answering(
        self, trace: ActiveTrace, name: Callable[[], str], attributes: dict[str, Attribute]
    ) -> Iterator[TraceStep]:
        """The span of a request, which the block answers. `name` is only called for a request that is traced."""
        with active(trace):
            if not trace.is_traced:
                yield _UNTRACED
                return
            try:
                with trace.begin(name(), SpanKind.SERVER, attributes) as span:
                    yield span
            finally:
                self._exporter.put(trace.finished())
