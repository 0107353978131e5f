"""W3C Trace Context: reads and writes the headers `traceparent` and `tracestate` (W3C Recommendation, level 1). Pure.

Whatever does not follow the grammar is ignored as a whole, and the request is treated as one without the header.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_TRACEPARENT = 256
"""Characters of a `traceparent` of a later version that are looked at; one of version 00 has 55."""

MAX_STATE = 512
MAX_STATE_MEMBERS = 32

_SAMPLED = 1
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER = re.compile(rf"({_KEY})=[ !-+\--<>-~]{{0,255}}[!-+\--<>-~]", re.ASCII)


class TraceContext(NamedTuple):
    """The place of a request in a trace: lower-case hex ids, whether the caller records it, and the `tracestate`."""

    trace_id: str
    span_id: str
    is_sampled: bool
    state: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that hand this context to another server."""
        sent = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.is_sampled:02x}"}
        return sent | {"tracestate": self.state} if self.state else sent


def read_context(traceparent: str | None, tracestate: str | None) -> TraceContext | None:
    """The context that a client sent; None if there is none that may be used.

    Several lines of one header are joined with commas: allowed in `tracestate`, and malformed in `traceparent`.
    """
    if traceparent is None or len(traceparent) > MAX_TRACEPARENT:
        return None
    found = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), _read_state(tracestate or ""))


def _read_state(text: str) -> str:
    """The `tracestate` without its empty members; nothing if it is malformed or too large."""
    if len(text) > MAX_STATE:
        return ""
    members = [member for member in (part.strip(" \t") for part in text.split(",")) if member]
    matches = [_MEMBER.fullmatch(member) for member in members]
    keys = {match[1] for match in matches if match is not None}
    is_valid = len(keys) == len(members) <= MAX_STATE_MEMBERS
    return ",".join(members) if is_valid else ""
