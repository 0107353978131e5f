"""The BER decoder: answers, damaged answers, and any bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rogue_directory import message, tagged, text

from tokenserver.authn.ldap.ber import (
    DONE,
    ENTRY,
    MAX_VALUES,
    Malformed,
    Message,
    Result,
    SearchEntry,
    TooMany,
    message_size,
    parse_message,
)

SUCCESS = b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00"


FOUND = b"\x30\x1a\x02\x01\x02\x64\x15\x04\x04cn=a\x30\x0d\x30\x0b\x04\x03UID\x31\x04\x04\x02ab"


def test_answers() -> None:
    """A result and an entry; attribute names in lower case."""
    assert parse_message(SUCCESS) == Message(1, DONE, Result(0, ""))
    assert parse_message(FOUND) == Message(2, ENTRY, SearchEntry("cn=a", {"uid": (b"ab",)}))


@pytest.mark.parametrize("whole", [pytest.param(SUCCESS, id="result"), pytest.param(FOUND, id="entry")])
def test_a_cut_answer_is_none(whole: bytes) -> None:
    """Cut at any place, its size says that more is due, and the part received is not an answer."""
    for length in range(len(whole)):
        assert message_size(whole[:length]) in (None, len(whole))
        with pytest.raises(Malformed):
            parse_message(whole[:length])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 400", id="HTTP"),
        pytest.param(b"\x30\x84\x7f\xff\xff\xff", id="2 GB"),
        pytest.param(b"\x30\x80", id="unknown length"),
        pytest.param(b"\x30\x85\x00\x00\x00\x00\x01", id="length of five bytes"),
    ],
)
def test_a_size_that_no_message_has(data: bytes) -> None:
    """Rejected before any memory is allocated for it."""
    with pytest.raises(Malformed):
        message_size(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x7f\x04\x00", id="a length beyond the frame"),
        pytest.param(
            b"\x30\x10\x02\x01\x01\x61\x0b\x0a\x01\x00\x04\x00\x04\x00\xa3\x02\x04\x00", id="a success that refers"
        ),
        pytest.param(b"\x30\x0a\x02\x01\x01\x61\x05\x0a\x01\x00\x04\x00", id="a result without its end"),
        pytest.param(b"\x30\x0d\x02\x01\x01\x61\x08\x0a\x02\x00\x00\x0c\x00\x04\x00", id="a wrong tag"),
    ],
)
def test_a_false_success(data: bytes) -> None:
    """A damaged answer is never a success."""
    with pytest.raises(Malformed):
        parse_message(data)


def _paged(control: bytes) -> bytes:
    return tagged(0x30, b"\x02\x01\x01" + b"\x65\x07\x0a\x01\x00\x04\x00\x04\x00" + tagged(0xA0, control))


PAGED = b"\x04\x161.2.840.113556.1.4.319"


def test_a_cookie() -> None:
    """The control of RFC 2696 among others; without it, or on the last page, there is no cookie."""
    other = tagged(0x30, b"\x04\x031.2")
    page = tagged(0x30, PAGED + b"\x01\x01\xff" + text(b"\x30\x08\x02\x01\x00\x04\x03abc"))
    last = tagged(0x30, PAGED + text(b"\x30\x05\x02\x01\x00\x04\x00"))
    found = [parse_message(_paged(control)).cookie for control in (other + page, last, other)]
    assert found == [b"abc", b"", b""]


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(b"\x04\x00", id="no control"),
        pytest.param(tagged(0x30, b""), id="empty"),
        pytest.param(tagged(0x30, PAGED), id="without a value"),
        pytest.param(tagged(0x30, PAGED + text(b"\x30\x02\x04\x00")), id="a value without a size"),
        pytest.param(tagged(0x30, PAGED + text(b"\x30\x05\x02\x01\x00\x04\x01")), id="cut"),
    ],
)
def test_no_cookie(control: bytes) -> None:
    """Nothing else is accepted as one."""
    with pytest.raises(Malformed):
        parse_message(_paged(control))


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda data: b"\x30" + bytes([len(data)]) + data))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are an answer or malformed."""
    with contextlib.suppress(Malformed):
        assert isinstance(parse_message(data), Message)


def test_more_values_than_any_answer_has() -> None:
    """Two bytes each, and a hundred in memory: rejected before they are kept."""
    values = b"\x04\x00" * (MAX_VALUES + 1)
    whole = message(1, tagged(0x64, text(b"cn=a") + tagged(0x30, tagged(0x30, text(b"x") + tagged(0x31, values)))))
    with pytest.raises(TooMany):
        parse_message(whole)
