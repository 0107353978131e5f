"""OTLP: what a collector decodes is what was recorded, whatever text is in it."""

from __future__ import annotations

import pytest
from fake_collector import decoded
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.runtime.tracing.otlp import MAX_TEXT, encoded
from tokenserver.runtime.tracing.spans import FinishedTrace, SpanKind, TraceSpan

TRACE = "0af7651916cd43dd8448eb211c80319c"


def span_with(**changed: object) -> TraceSpan:
    values = {"span_id": "b" * 16, "parent_id": "", "name": "GET /token", "kind": SpanKind.SERVER}
    values |= {"start": 10, "end": 20, "attributes": {}}
    return TraceSpan(**{**values, **changed})  # type: ignore[arg-type]  # a table of fields


def test_a_span() -> None:
    """Every field, with numbers and truth values as such."""
    attributes = {"a": "text", "b": 2, "c": True}
    first = span_with(attributes=attributes, parent_id="c" * 16)
    failed = span_with(span_id="d" * 16, kind=SpanKind.CLIENT, error="Timeout")
    one, two = decoded(encoded([FinishedTrace(TRACE, "v=1", (first, failed))], {"service.name": "s"}, "1.2"))
    assert (one.trace_id, one.span_id, one.parent_id, one.state) == (TRACE, "b" * 16, "c" * 16, "v=1")
    assert (one.name, one.kind, one.start, one.end, one.is_error) == ("GET /token", 2, 10, 20, False)
    assert (one.attributes, one.resource) == (attributes, {"service.name": "s"})
    assert one.attributes["c"] is True
    assert (two.parent_id, two.kind, two.is_error, two.attributes) == ("", 3, True, {"error.type": "Timeout"})


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        pytest.param("\ud800", "\\ud800", id="a lone surrogate"),
        pytest.param("x" * 1000, "x" * MAX_TEXT, id="long"),
        pytest.param("a\0b", "a\0b", id="a NUL"),
    ],
)
def test_text(text: str, arrives: str) -> None:
    """No text makes the message unusable."""
    (span,) = decoded(encoded([FinishedTrace(TRACE, "", (span_with(attributes={"t": text}),))], {}, "1"))
    assert span.attributes["t"] == arrives


@given(
    st.dictionaries(
        st.text("abc", min_size=1), st.text(st.characters()) | st.booleans() | st.integers(-(2**63), 2**63 - 1)
    )
)
def test_any_attributes(attributes: dict[str, object]) -> None:
    """Each arrives, with its type."""
    (span,) = decoded(encoded([FinishedTrace(TRACE, "", (span_with(attributes=attributes),))], {}, "1"))
    assert {name: type(value) for name, value in span.attributes.items()} == {k: type(v) for k, v in attributes.items()}
