"""Tracing, composed from the settings: the tracer of a worker, and what would stop it from working."""

from __future__ import annotations

import gzip
import importlib.util
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tokenserver import __version__
from tokenserver.config.settings import Settings
from tokenserver.config.telemetry.tracing import TracingSettings
from tokenserver.documents.files import read_text
from tokenserver.documents.tls_files import client_context
from tokenserver.errors import Fault, LoadError
from tokenserver.metrics.recorder import Meter
from tokenserver.runtime.http.fetch import fetch
from tokenserver.runtime.http.response import FetchFailure
from tokenserver.server.sources.directory_files import attempt

if TYPE_CHECKING:
    from tokenserver.runtime.tracing.spans import FinishedTrace
    from tokenserver.runtime.tracing.tracer import Tracer

SEND_SECONDS = 10
"""For one export; a collector that takes longer gets the next one."""

NOT_INSTALLED = "needs a library that is not installed; fix: pip install 'tokenserver[otel]'"

MAX_HEADERS = 16

_TAKEN = range(200, 300)
"""OTLP says 200; some vendors answer 202."""

_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,64})[ \t]*:[ \t]*([!-~](?:[\t -~]{0,4094}[!-~])?)[ \t]*", re.ASCII)
_OURS = frozenset({"content-encoding", "content-length", "content-type", "host", "transfer-encoding", "user-agent"})


class Tracing(NamedTuple):
    """The `tracer` of a worker; `finish` exports what waits, within so many seconds."""

    tracer: Tracer
    finish: Callable[[float], None]


def tracing_of(settings: Settings, meter: Meter | None) -> Tracing | None:
    """The running tracer of this process, to be made after the fork; None if nothing is traced.

    Raises:
        LoadError: as `tracing_faults`.
    """
    section = settings.tracing
    if section is None:
        return None
    from tokenserver.runtime.tracing.exporter import TraceExporter  # noqa: PLC0415 - only where requests are traced
    from tokenserver.runtime.tracing.sampling import Sampler  # noqa: PLC0415
    from tokenserver.runtime.tracing.tracer import Tracer  # noqa: PLC0415

    exporter = TraceExporter(_sender(section), count=_uncounted if meter is None else meter.count_spans)
    exporter.start()
    return Tracing(Tracer(Sampler(section.sample, section.client_rate), exporter), exporter.finish)


def tracing_faults(settings: Settings, file: str) -> list[Fault]:
    """What would stop a worker that traces; `file` is the configuration file."""
    section = settings.tracing
    if section is None:
        return []
    faults: list[Fault] = []
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.proto") is None:
        faults.append(Fault(file, 0, "tracing", NOT_INSTALLED))
    attempt(partial(_context, section), faults)
    attempt(partial(_headers, section), faults)
    return faults


def read_headers(text: str, file: str) -> dict[str, str]:
    """The headers of `headers_file`: one `Name: value` in each line; empty lines and those after `#` count for nothing.

    Raises:
        LoadError: every line that is none, by its number and never by its text.
    """
    faults: list[Fault] = []
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _HEADER.fullmatch(line.rstrip("\r"))
        if match is None:
            faults.append(Fault(file, number, "", "must be a header: Name: value"))
        elif match[1].lower() in _OURS:
            faults.append(Fault(file, number, "", f"{match[1]} is set by the server itself; leave it out"))
        elif match[1].lower() in {name.lower() for name in found}:
            faults.append(Fault(file, number, "", f"{match[1]} stands twice; keep one of the two"))
        else:
            found[match[1]] = match[2]
    if not faults and not 0 < len(found) <= MAX_HEADERS:
        faults.append(Fault(file, 0, "", f"must have 1 to {MAX_HEADERS} headers, each a line Name: value"))
    if faults:
        raise LoadError(faults)
    return found


def _headers(section: TracingSettings) -> dict[str, str]:
    file = section.headers_file
    return {} if file is None else read_headers(read_text(file, private=True), str(file))


def _context(section: TracingSettings) -> ssl.SSLContext:
    return client_context(section.ca_file)


def _sender(section: TracingSettings) -> Callable[[Sequence[FinishedTrace]], str | None]:
    from tokenserver.runtime.tracing.otlp import encoded  # noqa: PLC0415 - an optional extra

    headers = {**_headers(section), "Content-Encoding": "gzip"}
    context = _context(section)
    resource = {
        "service.name": "tokenserver",
        "service.version": __version__,
        "host.name": socket.gethostname(),
        **section.attributes,
    }

    def send(batch: Sequence[FinishedTrace]) -> str | None:
        body = gzip.compress(encoded(batch, resource, __version__), 1)
        outcome = fetch(
            section.endpoint,
            context=context,
            deadline=SEND_SECONDS,
            agent="tokenserver",
            is_plain_local=section.headers_file is not None,
            method="POST",
            body=body,
            content_type="application/x-protobuf",
            accept="application/x-protobuf",
            headers=headers,
        )
        if isinstance(outcome, FetchFailure):
            return f"{outcome.reason}: {outcome.detail}"
        return None if outcome.status in _TAKEN else f"it answers with status {outcome.status}"

    return send


def _uncounted(_: str, __: int) -> None:
    """For a server without metrics."""
