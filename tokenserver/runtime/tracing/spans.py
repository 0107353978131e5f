"""Spans: the steps of the request that this thread answers, as far as it is traced; otherwise nothing happens."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from enum import IntEnum
from functools import wraps
from types import TracebackType
from typing import NamedTuple, ParamSpec, Self, TypeVar

from tokenserver.runtime.tracing.trace_context import TraceContext

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

MAX_SPANS = 128
"""Spans of one request; those after them are counted in an attribute of the first span."""

OMITTED = "tokenserver.spans_omitted"

Attribute = str | int | bool


class SpanKind(IntEnum):
    """The numbers are those of OTLP."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class TraceSpan(NamedTuple):
    """One finished span. Times are in nanoseconds since the epoch; `parent_id` is empty for the first of a trace.

    `error` is the type of what went wrong, if anything did. `attributes` have no secret and no name of a person.
    """

    span_id: str
    parent_id: str
    name: str
    kind: SpanKind
    start: int
    end: int
    attributes: Mapping[str, Attribute]
    error: str | None = None


class FinishedTrace(NamedTuple):
    """The spans of one request."""

    trace_id: str
    state: str
    spans: tuple[TraceSpan, ...]


class ActiveTrace:
    """The trace of a request that is being answered. `context` is what the client sent, if it sent any.

    Only a request that `is_traced` has spans. One that is not has the trace id of its client, for its audit event.
    """

    def __init__(self, context: TraceContext | None, *, is_traced: bool) -> None:
        self.trace_id = secrets.token_hex(16) if context is None else context.trace_id
        self.is_traced = is_traced
        self.mark = 0
        """The end of the last step that the path of requests reported, for one that is measured from there."""
        self._context = context
        self._base = time.time_ns() - time.perf_counter_ns()
        self._next = secrets.randbits(63)
        self._spans: list[TraceSpan] = []
        self._omitted = 0
        self._at = "" if context is None else context.span_id

    def now(self) -> int:
        """Nanoseconds since the epoch, which no change of the clock moves back within a trace."""
        return self._base + time.perf_counter_ns()

    @property
    def context(self) -> TraceContext:
        """What another server is told that is asked now."""
        return TraceContext(self.trace_id, self._at, self.is_traced, self._state)

    @property
    def _state(self) -> str:
        return "" if self._context is None else self._context.state

    def add(
        self, name: str, start: int, end: int, attributes: Mapping[str, Attribute], *, error: str | None = None
    ) -> None:
        """A finished step below the current one."""
        self._keep(TraceSpan(self._new_id(), self._at, name, SpanKind.INTERNAL, start, end, attributes, error))

    def begin(self, name: str, kind: SpanKind, attributes: dict[str, Attribute]) -> RecordedStep:
        """A step that is in progress while its block runs."""
        return RecordedStep(self, name, kind, attributes)

    def enter(self) -> tuple[str, str]:
        """Begin a span below the current one: its id and that of its parent."""
        parent, self._at = self._at, self._new_id()
        return self._at, parent

    def leave(self, span: TraceSpan) -> None:
        """End the span that was begun last."""
        self._at = span.parent_id
        self._keep(span)

    def finished(self) -> FinishedTrace:
        """All spans, once the last one has ended."""
        if self._omitted:
            first = self._spans[-1]
            self._spans[-1] = first._replace(attributes={**first.attributes, OMITTED: self._omitted})
        return FinishedTrace(self.trace_id, self._state, tuple(self._spans))

    def _keep(self, span: TraceSpan) -> None:
        if len(self._spans) < MAX_SPANS or span.kind is SpanKind.SERVER:
            self._spans.append(span)
        else:
            self._omitted += 1

    def _new_id(self) -> str:
        self._next += 1
        return f"{self._next:016x}"


class TraceStep:
    """A step that is not recorded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to do."""

    def note(self, **attributes: Attribute) -> None:
        """Further attributes; `a__b` stands for `a.b`."""

    def fail(self, error: str) -> None:
        """Report an error that is not raised, by its type."""


class RecordedStep(TraceStep):
    """A step that becomes a span. An exception that leaves it is named by its type: its text may hold anything."""

    def __init__(self, trace: ActiveTrace, name: str, kind: SpanKind, attributes: dict[str, Attribute]) -> None:
        self._trace = trace
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._error: str | None = None

    def __enter__(self) -> Self:
        self._ids = self._trace.enter()
        self._start = self._trace.now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the span."""
        failure = self._error or (None if kind is None else kind.__name__)
        attributes = self._attributes
        span = TraceSpan(*self._ids, self._name, self._kind, self._start, self._trace.now(), attributes, failure)
        self._trace.leave(span)

    def note(self, **attributes: Attribute) -> None:
        """See `TraceStep.note`."""
        self._attributes |= {name.replace("__", "."): value for name, value in attributes.items()}

    def fail(self, error: str) -> None:
        """See `TraceStep.fail`."""
        self._error = error


_UNRECORDED = TraceStep()
_current: ContextVar[ActiveTrace | None] = ContextVar("trace", default=None)


@contextmanager
def active(trace: ActiveTrace) -> Iterator[None]:
    """While the block runs, this thread answers the request of that trace."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> ActiveTrace | None:
    """The trace of the request that this thread answers; None if it is not traced and its client named none."""
    return _current.get()


def recording() -> ActiveTrace | None:
    """The trace of the request that this thread answers, if its steps become spans."""
    trace = _current.get()
    return trace if trace is not None and trace.is_traced else None


def step(
    name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, Attribute] | None = None
) -> AbstractContextManager[TraceStep]:
    """A step of the request, for a `with` block."""
    trace = recording()
    return _UNRECORDED if trace is None else trace.begin(name, kind, dict(attributes or {}))


def outgoing_headers() -> dict[str, str]:
    """The headers with which another server is asked for this request: none, unless it has a trace."""
    trace = _current.get()
    return {} if trace is None else trace.context.headers


def traced(name: str) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Makes each call of a function that waits for another server a step of the request."""

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        @wraps(function)
        def as_step(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            with step(name, SpanKind.CLIENT):
                return function(*args, **kwargs)

        return as_step

    return decorate
