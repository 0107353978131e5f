"""Reads LDAP's answers (RFC 4511) out of BER (X.690), strictly.

ldap3's own fast decoder takes the lengths inside a message on trust, so that a damaged answer can look like a
success. Here a value that does not end where its frame ends is an error, and nothing is read past a limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes of one message; what says that it is longer is no LDAP. How much is read at all, `deadline.py` bounds."""

MAX_VALUES = 100_000
"""Of one message, those that hold others included: each costs far more memory than the two bytes that it may have."""

INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x0A, 0x30, 0x31
BIND_RESPONSE, ENTRY, DONE, REFERENCE, EXTENDED_RESPONSE, INTERMEDIATE = 0x61, 0x64, 0x65, 0x73, 0x78, 0x79
_REFERRAL = 0xA3
_CONTROLS = 0xA0

PAGED_RESULTS = "1.2.840.113556.1.4.319"
"""The control by which a search is answered page by page (RFC 2696)."""

_RESULTS = frozenset({BIND_RESPONSE, DONE, EXTENDED_RESPONSE})


class Malformed(ValueError):
    """The bytes are no answer of an LDAP server."""


class TooMany(Malformed):
    """The message holds more than `MAX_VALUES` values."""


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended: its code (RFC 4511, appendix A) and what the server says about it."""

    code: int
    diagnostic: str


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """One entry that a search found. The names of the attributes are in lower case."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of an attribute that are text, in the server's order."""
        found = []
        for value in self.attributes.get(name.lower(), ()):
            try:
                found.append(value.decode("utf-8"))
            except UnicodeDecodeError:
                continue
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: the number of the request that it answers (0: none), its tag, and what it holds, if it is known.

    `cookie` asks for the next page; empty where there is none.
    """

    number: int
    tag: int
    body: Result | SearchEntry | None
    cookie: bytes = b""


def message_size(data: bytes | bytearray) -> int | None:
    """The size of the message that begins with `data`, or None where too little of it is there.

    Raises:
        Malformed: it begins like no message, or is larger than `MAX_MESSAGE`.
    """
    if data and data[0] != SEQUENCE:
        raise Malformed("does not begin like an LDAP message")
    if len(data) < 2:
        return None
    size, start = data[1], 2
    if size >= 0x80:
        count = size - 0x80
        if not 1 <= count <= 4:
            raise Malformed("has a length that no message has")
        start += count
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    if size > MAX_MESSAGE:
        raise Malformed(f"is larger than {MAX_MESSAGE} bytes")
    return start + size


def parse_message(data: bytes) -> Message:
    """One whole message. Nothing in it is copied but what the result keeps.

    Raises:
        TooMany: it holds more values than any answer needs.
        Malformed: anything in it is not as RFC 4511 has it.
    """
    room = _Room(MAX_VALUES)
    parts = _parts(_only(memoryview(data), SEQUENCE, room), room)
    if not 2 <= len(parts) <= 3 or parts[0][0] != INTEGER:
        raise Malformed("is no LDAP message")
    number = _integer(parts[0][1])
    tag, content = parts[1]
    if tag == ENTRY:
        return Message(number, tag, _entry(content, room))
    is_last = tag == DONE and len(parts) == 3 and parts[2][0] == _CONTROLS
    cookie = _cookie(parts[2][1], room) if is_last else b""
    return Message(number, tag, _result(content, room) if tag in _RESULTS else None, cookie)


def only_value(data: bytes) -> tuple[int, bytes]:
    """The one value that `data` is the encoding of: its tag, and what it holds.

    Raises:
        Malformed: it is none, or more than one.
    """
    parts = _parts(memoryview(data), _Room(MAX_VALUES))
    if len(parts) != 1:
        raise Malformed("is not one value")
    tag, content = parts[0]
    return tag, bytes(content)


class _Room:
    """How many more values a message may hold."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


def _result(content: memoryview, room: _Room) -> Result:
    parts = _parts(content, room)
    if [tag for tag, _ in parts[:3]] != [ENUMERATED, OCTETS, OCTETS]:
        raise Malformed("is no result")
    code = _integer(parts[0][1])
    if code == 0 and any(tag == _REFERRAL for tag, _ in parts[3:]):
        raise Malformed("is a success and a referral at once")
    return Result(code, bytes(parts[2][1]).decode("utf-8", "replace"))


def _cookie(controls: memoryview, room: _Room) -> bytes:
    """The cookie of the control for paged results, if it is among them."""
    for tag, control in _parts(controls, room):
        parts = _parts(control, room)
        if tag != SEQUENCE or not parts or parts[0][0] != OCTETS:
            raise Malformed("has a control that is none")
        if parts[0][1] == PAGED_RESULTS.encode():
            pair = _parts(_only(parts[-1][1], SEQUENCE, room), room)
            if [inner for inner, _ in pair] != [INTEGER, OCTETS]:
                raise Malformed("has a page that is none")
            return bytes(pair[1][1])
    return b""


def _entry(content: memoryview, room: _Room) -> SearchEntry:
    parts = _parts(content, room)
    if [tag for tag, _ in parts] != [OCTETS, SEQUENCE]:
        raise Malformed("is no entry")
    attributes: dict[str, tuple[bytes, ...]] = {}
    for tag, attribute in _parts(parts[1][1], room):
        pair = _parts(attribute, room)
        if tag != SEQUENCE or [inner for inner, _ in pair] != [OCTETS, SET]:
            raise Malformed("is no attribute")
        values = _parts(pair[1][1], room)
        if any(inner != OCTETS for inner, _ in values):
            raise Malformed("has a value that is none")
        name = _text(pair[0][1]).lower()
        if name in attributes:
            raise Malformed("has one attribute twice")
        attributes[name] = tuple(bytes(value) for _, value in values)
    return SearchEntry(_text(parts[0][1]), attributes)


def _only(data: memoryview, tag: int, room: _Room) -> memoryview:
    parts = _parts(data, room)
    if len(parts) != 1 or parts[0][0] != tag:
        raise Malformed("is not one value")
    return parts[0][1]


def _parts(data: memoryview, room: _Room) -> Sequence[tuple[int, memoryview]]:
    """The values in a row, each with its tag; together they fill `data` exactly."""
    found = []
    place = 0
    while place < len(data):
        tag = data[place]
        if tag & 0x1F == 0x1F:
            raise Malformed("has a tag that LDAP does not use")
        if place + 2 > len(data):
            raise Malformed("ends too early")
        size, start = data[place + 1], place + 2
        if size >= 0x80:
            count = size - 0x80
            if not 1 <= count <= 4 or start + count > len(data):
                raise Malformed("has a wrong length")
            size = int.from_bytes(data[start : start + count], "big")
            start += count
        place = start + size
        if place > len(data):
            raise Malformed("has a value that is longer than its frame")
        room.left -= 1
        if room.left < 0:
            raise TooMany(f"holds more than {MAX_VALUES} values")
        found.append((tag, data[start:place]))
    return found


def _integer(content: memoryview) -> int:
    if not 1 <= len(content) <= 4:
        raise Malformed("has a number that is none")
    return int.from_bytes(content, "big", signed=True)


def _text(content: memoryview) -> str:
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("has a name that is not UTF-8") from error
