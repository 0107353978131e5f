"""A collector of traces on a loopback port: it takes OTLP over HTTP and decodes the real protobuf messages."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class TakenSpan:
    """One span as it arrived; ids are hex, times in nanoseconds. `resource` describes the sender."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start: int
    end: int
    state: str
    is_error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


class FakeCollector:
    """What arrived, and how the next requests are answered: after `delay` seconds, with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.delay = 0.0
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.spans: list[TakenSpan] = []
        self.port = 0

    @property
    def url(self) -> str:
        """The endpoint, as in a configuration."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def trace(self, trace_id: str, *, spans: int = 1, seconds: float = 120.0) -> list[TakenSpan]:
        """The spans of a trace, once there are so many."""
        end = time.monotonic() + seconds
        while True:
            found = [span for span in list(self.spans) if span.trace_id == trace_id]
            if len(found) >= spans or time.monotonic() > end:
                return found
            time.sleep(0.02)

    def take(self, body: bytes) -> None:
        """Keep the spans of one message."""
        message = ExportTraceServiceRequest.FromString(body)
        for of_resource in message.resource_spans:
            resource = _values(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans += [_taken(span, resource) for span in scope.spans]


def decoded(body: bytes) -> list[TakenSpan]:
    """The spans of one message."""
    collector = FakeCollector()
    collector.take(body)
    return collector.spans


def _taken(span: Any, resource: dict[str, Any]) -> TakenSpan:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    times = (span.start_time_unix_nano, span.end_time_unix_nano)
    is_error = span.status.code == Status.STATUS_CODE_ERROR
    named = (span.name, span.kind, *times, span.trace_state)
    return TakenSpan(*ids, *named, is_error, _values(span.attributes), resource)


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def fake_collector() -> Iterator[FakeCollector]:
    """A collector that listens."""
    collector = FakeCollector()

    class Handler(BaseHTTPRequestHandler):
        """One export."""

        def do_POST(self) -> None:
            """Take it, and answer as the test says."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers.append(dict(self.headers.items()))
            time.sleep(collector.delay)
            if collector.status == 200:
                plain = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
                collector.bodies.append(plain)
                collector.take(plain)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(collector.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Keep the output of tests clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
