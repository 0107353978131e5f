"""The BER decoder: answers, damaged answers, and any bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rogue_directory import entry, message, result, tagged, text

from tokenserver.authn.ldap.ber import (
    DONE,
    ENTRY,
    MAX_MESSAGE,
    MAX_VALUES,
    OCTETS,
    SEQUENCE,
    SET,
    Malformed,
    Message,
    Result,
    SearchEntry,
    TooMany,
    integer,
    message_size,
    only_value,
    parse_message,
    values,
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


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"\x04\x02ab", (OCTETS, b"ab"), id="octets"),
        pytest.param(b"\x0c\x82\x00\x01a", (0x0C, b"a"), id="a length of two bytes"),
        pytest.param(b"\x04\x00", (OCTETS, b""), id="empty content"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\x04", None, id="a tag alone"),
        pytest.param(b"\x04\x00\x04\x00", None, id="two values"),
        pytest.param(b"\x1f\x01a", None, id="a tag of several bytes"),
        pytest.param(b"\x04\x80a\x00\x00", None, id="an indefinite length"),
        pytest.param(b"\x04\x85\x00\x00\x00\x00\x01a", None, id="a length of five bytes"),
        pytest.param(b"\x04\x82\x01", None, id="half a length"),
    ],
)
def test_only_value(data: bytes, expected: tuple[int, bytes] | None) -> None:
    """Exactly one value fills the data, in a form that LDAP uses (RFC 4511, section 5.1)."""
    if expected is None:
        with pytest.raises(Malformed):
            only_value(data)
    else:
        assert only_value(data) == expected


@pytest.mark.parametrize(
    ("size", "is_accepted"),
    [
        pytest.param(MAX_MESSAGE, True, id="just as large as allowed"),
        pytest.param(MAX_MESSAGE + 1, False, id="one byte more"),
    ],
)
def test_the_largest_message(size: int, is_accepted: bool) -> None:
    """The limit is checked by the length alone, before anything else has arrived."""
    head = b"\x30\x84" + size.to_bytes(4, "big")
    if is_accepted:
        assert message_size(head) == size + len(head)
    else:
        with pytest.raises(Malformed, match=f"is larger than {MAX_MESSAGE} bytes"):
            message_size(head)


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        pytest.param(
            tagged(SEQUENCE, text(b"uid") + tagged(SET, text(b"a"))) * 2, "repeats an attribute", id="the same twice"
        ),
        pytest.param(
            tagged(SEQUENCE, text(b"uid") + tagged(SET, b""))
            + tagged(SEQUENCE, text(b"UID") + tagged(SET, text(b"a"))),
            "repeats an attribute",
            id="the same in another case",
        ),
        pytest.param(
            tagged(SEQUENCE, text(b"uid") + tagged(SET, b"\x02\x01\x01")),
            "has an invalid attribute value",
            id="a number for text",
        ),
        pytest.param(tagged(SEQUENCE, text(b"uid")), "has an invalid attribute", id="no values"),
        pytest.param(tagged(SET, text(b"uid") + tagged(SET, b"")), "has an invalid attribute", id="another tag"),
        pytest.param(
            tagged(SEQUENCE, text(b"\xff") + tagged(SET, b"")),
            "has a name that is not UTF-8",
            id="a name that is no text",
        ),
    ],
)
def test_an_entry_that_could_be_read_in_two_ways(attributes: bytes, problem: str) -> None:
    """Attributes that are repeated or malformed make the whole entry malformed: none of them is chosen."""
    with pytest.raises(Malformed, match=problem):
        parse_message(message(1, tagged(ENTRY, text(b"cn=a") + tagged(SEQUENCE, attributes))))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(b"\x02\x04\x7f\xff\xff\xff", 0x7FFFFFFF, id="the largest"),
        pytest.param(b"\x02\x01\x00", 0, id="a notice"),
        pytest.param(b"\x02\x01\xff", -1, id="negative, and no request of ours"),
        pytest.param(b"\x02\x00", None, id="none"),
        pytest.param(b"\x02\x05\x00\x00\x00\x00\x01", None, id="five bytes"),
    ],
)
def test_the_number_of_a_message(number: bytes, expected: int | None) -> None:
    """A number has one to four bytes (RFC 4511, section 4.1.1.1)."""
    whole = tagged(SEQUENCE, number + result(DONE))
    if expected is None:
        with pytest.raises(Malformed, match="has an invalid number"):
            parse_message(whole)
    else:
        assert parse_message(whole).number == expected


def test_values_that_are_not_text_are_left_out() -> None:
    """`texts` gives what is UTF-8, in the server's order, under the name in any case; the bytes stay available."""
    found = SearchEntry("cn=a", {"jpegphoto": (b"b", b"\xff\xd8", b"a")})
    assert (found.texts("jpegPhoto"), found.texts("cn")) == (("b", "a"), ())


ATTRIBUTES = st.dictionaries(st.text("abcxyz;-", min_size=1, max_size=8), st.lists(st.binary(max_size=9), max_size=3))


@given(st.text(max_size=20), ATTRIBUTES)
def test_an_entry_comes_back_as_it_was_sent(dn: str, attributes: dict[str, list[bytes]]) -> None:
    """Whatever DN, names and values an entry has."""
    encoded = entry(dn.encode(), {name.encode(): values for name, values in attributes.items()})
    expected = {name: tuple(values) for name, values in attributes.items()}
    assert parse_message(message(7, encoded)) == Message(7, ENTRY, SearchEntry(dn, expected))


def _bound(controls: bytes) -> bytes:
    return tagged(0x30, b"\x02\x01\x01" + b"\x61\x07\x0a\x01\x00\x04\x00\x04\x00" + tagged(0xA0, controls))


POLICY = b"\x04\x191.3.6.1.4.1.42.2.27.8.5.1"


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        pytest.param(b"", b"", id="no control"),
        pytest.param(tagged(0x30, b"\x04\x031.2" + text(b"x")), b"", id="another control"),
        pytest.param(tagged(0x30, POLICY), b"", id="without a value"),
        pytest.param(tagged(0x30, POLICY + b"\x01\x01\xff"), b"", id="critical, without a value"),
        pytest.param(tagged(0x30, POLICY + text(b"\x30\x00")), b"\x30\x00", id="with a value"),
        pytest.param(
            tagged(0x30, b"\x04\x031.2") + tagged(0x30, POLICY + b"\x01\x01\x00" + text(b"abc")),
            b"abc",
            id="the second",
        ),
        pytest.param(
            tagged(0x30, POLICY + text(b"one")) + tagged(0x30, POLICY + text(b"two")), b"one", id="twice: the first"
        ),
    ],
)
def test_the_password_policy(controls: bytes, expected: bytes) -> None:
    """The value of its control in the answer to a bind."""
    assert parse_message(_bound(controls)).policy == expected


@pytest.mark.parametrize("control", [b"\x04\x00", tagged(0x30, b""), tagged(0x30, b"\x02\x01\x01")])
def test_a_damaged_control_of_a_bind(control: bytes) -> None:
    """The whole answer is malformed then, also if it would be a success."""
    with pytest.raises(Malformed):
        parse_message(_bound(control))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", [], id="none"),
        pytest.param(b"\x04\x01a\x30\x00", [(0x04, b"a"), (0x30, b"")], id="two"),
    ],
)
def test_consecutive_values(data: bytes, expected: list[tuple[int, bytes]]) -> None:
    """Each with its tag; they fill the data."""
    assert values(data) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"\x00", 0, id="zero"),
        pytest.param(b"\xff", -1, id="negative"),
        pytest.param(b"\x7f\xff\xff\xff", 2**31 - 1, id="the largest"),
    ],
)
def test_a_number(content: bytes, expected: int) -> None:
    """Signed, big-endian."""
    assert integer(content) == expected


@pytest.mark.parametrize("content", [b"", b"\x00" * 5])
def test_no_number(content: bytes) -> None:
    """LDAP has no longer ones than maxInt (RFC 4511, section 4.1.1)."""
    with pytest.raises(Malformed):
        integer(content)
