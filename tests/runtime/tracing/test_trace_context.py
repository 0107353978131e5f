"""W3C Trace Context: what is read from headers, whatever a client sends, and what another server is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.runtime.tracing.trace_context import TraceContext, read_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"

hexes = st.text("0123456789abcdef")
contexts = st.builds(
    TraceContext,
    st.integers(1, 2**128 - 1).map(lambda number: f"{number:032x}"),
    st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}"),
    st.booleans(),
    st.sampled_from(["", "a=1", "tenant@vendor=x y,b/c=2"]),
)


@pytest.mark.parametrize(
    ("traceparent", "is_sampled"),
    [
        pytest.param(GOOD, True, id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", False, id="not sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", True, id="with a further flag"),
        pytest.param(f"00-{TRACE}-{SPAN}-fe", False, id="further flags alone"),
        pytest.param(f"01-{TRACE}-{SPAN}-01", True, id="a later version"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-comes-then", True, id="a later version with more"),
        pytest.param(f" {GOOD}\t", True, id="blanks around it"),
    ],
)
def test_read(traceparent: str, *, is_sampled: bool) -> None:
    """W3C Trace Context, sections 3.2 and 4.3."""
    assert read_context(traceparent, None) == TraceContext(TRACE, SPAN, is_sampled)


@pytest.mark.parametrize(
    "traceparent",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param(f"{GOOD},{GOOD}", id="twice"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", id="upper case"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", id="no trace id"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="no span id"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", id="version ff"),
        pytest.param(f"FF-{TRACE}-{SPAN}-01", id="version FF"),
        pytest.param(f"{GOOD}-more", id="version 00 with more"),
        pytest.param(f"01-{TRACE}-{SPAN}-01.more", id="a later version with more behind another sign"),
        pytest.param(f"00-{TRACE}-{SPAN}-1", id="one digit of flags"),
        pytest.param(f"00-{TRACE}-{SPAN}-0x", id="no digits"),
        pytest.param(f"00-{TRACE}-{SPAN}", id="no flags"),
        pytest.param(f"00-{TRACE}-{SPAN}-01\n", id="a newline"),
        pytest.param(f"00_{TRACE}_{SPAN}_01", id="underscores"),
        pytest.param(GOOD.replace("0", "\u0660"), id="digits of another script"),
        pytest.param(f"01-{TRACE}-{SPAN}-01-" + "x" * 300, id="huge"),
    ],
)
def test_ignored(traceparent: str | None) -> None:
    """The request is treated as one without the header (docs/design/threats.md#threat-231)."""
    assert read_context(traceparent, "a=1") is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(None, "", id="none"),
        pytest.param("rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7", id="one"),
        pytest.param("a=1 , b=2,,\tc=3 ", "a=1,b=2,c=3", id="blanks and empty members"),
        pytest.param("tenant@vendor=x y", "tenant@vendor=x y", id="a tenant, a blank inside"),
        pytest.param("a=1,a=2", "", id="a key twice"),
        pytest.param("A=1", "", id="upper case"),
        pytest.param("a", "", id="no value"),
        pytest.param("a=", "", id="an empty value"),
        pytest.param("a=b=c", "", id="an equals sign in the value"),
        pytest.param("a=1\r\nX-Evil: 1", "", id="a forged header"),
        pytest.param("a=\x7f", "", id="a control character"),
        pytest.param("a=ä", "", id="a letter beyond ASCII"),
        pytest.param(",".join(f"k{number}=1" for number in range(32)), ..., id="32 members"),
        pytest.param(",".join(f"k{number}=1" for number in range(33)), "", id="33 members"),
        pytest.param("a=" + "x" * 256, "a=" + "x" * 256, id="the longest value"),
        pytest.param("a=" + "x" * 257, "", id="a longer value"),
        pytest.param("a=" + "x" * 200 + ",b=" + "x" * 200 + ",c=" + "x" * 200, "", id="too large"),
    ],
)
def test_state(sent: str | None, kept: object) -> None:
    """A malformed `tracestate` is dropped as a whole and costs nothing else (section 3.3)."""
    context = read_context(GOOD, sent)
    assert context == TraceContext(TRACE, SPAN, True, sent if kept is ... else kept)  # type: ignore[arg-type]  # a table of texts


@given(contexts)
def test_what_is_sent_is_read_alike(context: TraceContext) -> None:
    """Also by other programs, since the form is that of version 00."""
    headers = context.headers
    assert read_context(headers["traceparent"], headers.get("tracestate")) == context
    assert len(headers["traceparent"]) == 55
    assert ("tracestate" in headers) == bool(context.state)


@given(
    st.text(st.characters(), max_size=300) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-.{2,9}"), st.text()
)
def test_whatever_a_client_sends(traceparent: str, tracestate: str) -> None:
    """Nothing but lower-case hex ids of the right length and a small printable ASCII state comes out of it."""
    context = read_context(traceparent, tracestate)
    if context is not None:
        assert (len(context.trace_id), len(context.span_id)) == (32, 16)
        assert set(context.trace_id + context.span_id) <= set("0123456789abcdef")
        assert int(context.trace_id, 16) > 0 < int(context.span_id, 16)
        assert len(context.state) <= 512
        assert context.state == "" or (context.state.isascii() and context.state.isprintable())
