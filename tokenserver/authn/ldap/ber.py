"""Strict BER decoder (X.690) for the messages of LDAP servers (RFC 4511).

ldap3's own fast decoder trusts the lengths inside a message, so a damaged answer can look like a success. Here a
value that does not end where its frame ends is an error, and nothing is read past a limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes in one message; a longer one is malformed. `deadline.py` bounds how much is read in total."""

MAX_VALUES = 100_000
"""Values in one message, including nested ones: a value can be two bytes long, but costs far more memory."""

INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x0A, 0x30, 0x31
BIND_RESPONSE, ENTRY, DONE, REFERENCE, EXTENDED_RESPONSE, INTERMEDIATE = 0x61, 0x64, 0x65, 0x73, 0x78, 0x79
_REFERRAL, _VALUE = 0xA3, 0x8B
_CONTROLS = 0xA0

PAGED_RESULTS = "1.2.840.113556.1.4.319"
"""The control for paged search results (RFC 2696)."""

PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105 - an OID, not a secret
"""The control for password policies (draft-behera-ldap-password-policy-11, section 6)."""

_RESULTS = frozenset({BIND_RESPONSE, DONE, EXTENDED_RESPONSE})


class Malformed(ValueError):
    """The bytes are not a message of an LDAP server."""


class TooMany(Malformed):
    """The message contains more than `MAX_VALUES` values."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an operation: its code (RFC 4511, appendix A) and the server's diagnostic message.

    `referrals` are the URLs of other servers that the request should be sent to.
    """

    code: int
    diagnostic: str
    referrals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """One entry found by a search. Attribute names are in lower case."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of an attribute that are valid UTF-8, in the server's order."""
        found = []
        for value in self.attributes.get(name.lower(), ()):
            try:
                found.append(value.decode("utf-8"))
            except UnicodeDecodeError:
                continue
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: the number of the request it answers (0: none), its tag, and its body if the tag is known.

    `cookie` requests the next page; it is empty on the last one. `policy` is the value of the password policy control
    in the answer to a bind, and empty without that control. `value` is that of the answer to an extended operation.
    """

    number: int
    tag: int
    body: Result | SearchEntry | None
    cookie: bytes = b""
    policy: bytes = b""
    value: bytes = b""


def message_size(data: bytes | bytearray) -> int | None:
    """The size of the message that begins with `data`, or None if too few bytes of it have arrived.

    Raises:
        Malformed: it does not begin like a message, or is larger than `MAX_MESSAGE`.
    """
    if data and data[0] != SEQUENCE:
        raise Malformed("does not begin like an LDAP message")
    if len(data) < 2:
        return None
    size, start = data[1], 2
    if size >= 0x80:
        count = size - 0x80
        if not 1 <= count <= 4:
            raise Malformed("has an invalid message length")
        start += count
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    if size > MAX_MESSAGE:
        raise Malformed(f"is larger than {MAX_MESSAGE} bytes")
    return start + size


def parse_message(data: bytes) -> Message:
    """Parse one complete message. Only what the result keeps is copied.

    Raises:
        TooMany: it contains more values than any answer needs.
        Malformed: it does not conform to RFC 4511.
    """
    budget = _ValueBudget(MAX_VALUES)
    parts = _parts(_only(memoryview(data), SEQUENCE, budget), budget)
    if not 2 <= len(parts) <= 3 or parts[0][0] != INTEGER:
        raise Malformed("is not an LDAP message")
    number = integer(bytes(parts[0][1]))
    tag, content = parts[1]
    if tag == ENTRY:
        return Message(number, tag, _entry(content, budget))
    controls = parts[2][1] if len(parts) == 3 and parts[2][0] == _CONTROLS else None
    cookie = _cookie(controls, budget) if tag == DONE and controls is not None else b""
    policy = _control(controls, PASSWORD_POLICY, budget) if tag == BIND_RESPONSE and controls is not None else None
    body = _result(content, budget) if tag in _RESULTS else None
    value = _extended_value(content, budget) if tag == EXTENDED_RESPONSE else b""
    return Message(number, tag, body, cookie, bytes(policy or b""), value)


def only_value(data: bytes) -> tuple[int, bytes]:
    """Decode `data`, which must encode exactly one value, into its tag and content.

    Raises:
        Malformed: it encodes no value, or several.
    """
    parts = values(data)
    if len(parts) != 1:
        raise Malformed("is not exactly one value")
    return parts[0]


def values(data: bytes) -> list[tuple[int, bytes]]:
    """Decode `data`, which must encode consecutive values, into their tags and contents.

    Raises:
        Malformed: it does not.
    """
    return [(tag, bytes(content)) for tag, content in _parts(memoryview(data), _ValueBudget(MAX_VALUES))]


def integer(content: bytes) -> int:
    """Decode the content of an INTEGER or ENUMERATED of at most four bytes.

    Raises:
        Malformed: it is empty, or longer.
    """
    if not 1 <= len(content) <= 4:
        raise Malformed("has an invalid number")
    return int.from_bytes(content, "big", signed=True)


class _ValueBudget:
    """The number of further values that a message may contain."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


def _result(content: memoryview, budget: _ValueBudget) -> Result:
    parts = _parts(content, budget)
    if [tag for tag, _ in parts[:3]] != [ENUMERATED, OCTETS, OCTETS]:
        raise Malformed("is not a result")
    code = integer(bytes(parts[0][1]))
    referrals = [_parts(part, budget) for tag, part in parts[3:] if tag == _REFERRAL]
    if code == 0 and referrals:
        raise Malformed("is both a success and a referral")
    urls = tuple(bytes(url).decode("utf-8", "replace") for part in referrals for _, url in part)
    return Result(code, bytes(parts[2][1]).decode("utf-8", "replace"), urls)


def _extended_value(content: memoryview, budget: _ValueBudget) -> bytes:
    return next((bytes(part) for tag, part in _parts(content, budget)[3:] if tag == _VALUE), b"")


def _cookie(controls: memoryview, budget: _ValueBudget) -> bytes:
    """The cookie of the control for paged results, or empty if that control is missing."""
    value = _control(controls, PAGED_RESULTS, budget)
    if value is None:
        return b""
    pair = _parts(_only(value, SEQUENCE, budget), budget)
    if [inner for inner, _ in pair] != [INTEGER, OCTETS]:
        raise Malformed("has an invalid paged results control")
    return bytes(pair[1][1])


def _control(controls: memoryview, oid: str, budget: _ValueBudget) -> memoryview | None:
    """The value of the first control with that OID (RFC 4511, section 4.1.11), empty if it has none; None: missing."""
    for tag, control in _parts(controls, budget):
        parts = _parts(control, budget)
        if tag != SEQUENCE or not parts or parts[0][0] != OCTETS:
            raise Malformed("has an invalid control")
        if parts[0][1] == oid.encode():
            return parts[-1][1] if parts[1:] and parts[-1][0] == OCTETS else memoryview(b"")
    return None


def _entry(content: memoryview, budget: _ValueBudget) -> SearchEntry:
    parts = _parts(content, budget)
    if [tag for tag, _ in parts] != [OCTETS, SEQUENCE]:
        raise Malformed("is not an entry")
    attributes: dict[str, tuple[bytes, ...]] = {}
    for tag, attribute in _parts(parts[1][1], budget):
        pair = _parts(attribute, budget)
        if tag != SEQUENCE or [inner for inner, _ in pair] != [OCTETS, SET]:
            raise Malformed("has an invalid attribute")
        values = _parts(pair[1][1], budget)
        if any(inner != OCTETS for inner, _ in values):
            raise Malformed("has an invalid attribute value")
        name = _text(pair[0][1]).lower()
        if name in attributes:
            raise Malformed("repeats an attribute")
        attributes[name] = tuple(bytes(value) for _, value in values)
    return SearchEntry(_text(parts[0][1]), attributes)


def _only(data: memoryview, tag: int, budget: _ValueBudget) -> memoryview:
    parts = _parts(data, budget)
    if len(parts) != 1 or parts[0][0] != tag:
        raise Malformed("is not exactly one value")
    return parts[0][1]


def _parts(data: memoryview, budget: _ValueBudget) -> Sequence[tuple[int, memoryview]]:
    """The consecutive values in `data`, each with its tag; together they fill `data` exactly."""
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
                raise Malformed("has an invalid length")
            size = int.from_bytes(data[start : start + count], "big")
            start += count
        place = start + size
        if place > len(data):
            raise Malformed("has a value that is longer than its frame")
        budget.left -= 1
        if budget.left < 0:
            raise TooMany(f"contains more than {MAX_VALUES} values")
        found.append((tag, data[start:place]))
    return found


def _text(content: memoryview) -> str:
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("has a name that is not UTF-8") from error
