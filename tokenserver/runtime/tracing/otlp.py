"""OTLP encoding: finished traces as the protobuf message that collectors take. The only importer of opentelemetry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from tokenserver.runtime.tracing.spans import Attribute, FinishedTrace, TraceSpan

MAX_TEXT = 256
"""Characters of one attribute."""

SCOPE = "tokenserver"


def encoded(traces: Iterable[FinishedTrace], resource: Mapping[str, str], version: str) -> bytes:
    """One export request with these traces. `resource` describes this server, `version` is that of the program."""
    spans = [_span(trace, span) for trace in traces for span in trace.spans]
    scope = ScopeSpans(scope=InstrumentationScope(name=SCOPE, version=version), spans=spans)
    described = Resource(attributes=_attributes(resource))
    message = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=described, scope_spans=[scope])])
    return bytes(message.SerializeToString())


def _span(trace: FinishedTrace, span: TraceSpan) -> OtlpSpan:
    error = {} if span.error is None else {"error.type": span.error}
    return OtlpSpan(
        trace_id=bytes.fromhex(trace.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        trace_state=trace.state,
        flags=1,
        name=_text(span.name),
        kind=int(span.kind),  # type: ignore[arg-type]  # the generated stubs know its own enumeration alone
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=_attributes({**span.attributes, **error}),
        status=Status(code=Status.STATUS_CODE_UNSET if span.error is None else Status.STATUS_CODE_ERROR),
    )


def _attributes(values: Mapping[str, Attribute]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in values.items()]


def _value(value: Attribute) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=_text(value))


def _text(text: str) -> str:
    """At most `MAX_TEXT` characters that are UTF-8: a lone surrogate would make the whole message unusable."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
