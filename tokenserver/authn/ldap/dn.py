"""Escaping for LDAP filters (RFC 4515), and parsing of distinguished names (RFC 4514)."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from tokenserver.authn.ldap import ber

Rdn = tuple[tuple[str, str], ...]
"""The attributes of one component of a DN: (type in lower case, value)."""

_ATTRIBUTES = {
    **dict.fromkeys(("commonname", "2.5.4.3"), "cn"),
    **dict.fromkeys(("organizationalunitname", "2.5.4.11"), "ou"),
    **dict.fromkeys(("organizationname", "2.5.4.10"), "o"),
    **dict.fromkeys(("userid", "0.9.2342.19200300.100.1.1"), "uid"),
    **dict.fromkeys(("domaincomponent", "0.9.2342.19200300.100.1.25"), "dc"),
}
"""Long names and OIDs of attributes common in DNs, and their short names (RFC 4519, sections 2 and 4.2)."""

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*")
_SPECIAL = ',+"\\<>;=#'
_TEXT_TAGS = frozenset({ber.OCTETS, 0x0C, 0x13, 0x16})
"""OCTET STRING and the string types of X.690 that are valid UTF-8: UTF8String, PrintableString, IA5String."""
_MAX_CACHED = 1024
"""Characters of a DN whose normal form is cached; a longer one is parsed every time."""

_HARMLESS = frozenset(string.ascii_letters + string.digits + "-_.@")


class NotADn(ValueError):
    """The text is not a distinguished name."""


def escape_filter(text: str) -> str:
    """Escape `text` as a value in a filter: every byte but `A-Za-z0-9-_.@` becomes `\\xx` (RFC 4515, section 3).

    That is more than the RFC requires, so that no filter parser has anything to interpret or to strip.

    Raises:
        ValueError: a NUL, another control character or a surrogate, which no name contains.
    """
    return "".join(chr(byte) if chr(byte) in _HARMLESS else f"\\{byte:02x}" for byte in _plain(text).encode())


def escape_rdn(text: str) -> str:
    """Escape `text` as a value in a DN (RFC 4514, section 2.4); it parses back to one component with that value.

    Raises:
        ValueError: as with `escape_filter`.
    """
    last = len(text) - 1
    return "".join(
        "\\" + character if character in _SPECIAL or (character == " " and place in (0, last)) else character
        for place, character in enumerate(_plain(text))
    )


def escape_value(value: bytes) -> str:
    """Escape arbitrary bytes as a value in a filter: every byte but an ASCII letter or digit becomes `\\xx`."""
    return "".join(chr(byte) if byte < 128 and chr(byte).isalnum() else f"\\{byte:02x}" for byte in value)


def fill(template: str, user: str, *, dn: bool = False) -> str:
    """Replace every `{user}` in a template by the typed name, escaped for a filter, or with `dn` for a DN.

    Raises:
        ValueError: as with `escape_filter`.
    """
    return template.replace("{user}", escape_rdn(user) if dn else escape_filter(user))


def parse_dn(text: str) -> tuple[Rdn, ...]:
    """Parse a DN into its components, leftmost first (RFC 4514, section 3). The empty text is the empty DN.

    Raises:
        NotADn: the text is not a DN.
    """
    if not text.strip(" "):
        return ()
    rdns: list[Rdn] = []
    attributes: list[tuple[str, str]] = []
    place = 0
    while True:
        equals = text.find("=", place)
        kind = text[place:equals].strip(" ") if equals >= 0 else ""
        if _TYPE.fullmatch(kind) is None:
            raise NotADn("an attribute type is missing")
        value, place = _value(text, equals + 1)
        attributes.append((kind.lower(), value))
        if place == len(text) or text[place] in ",;":
            rdns.append(tuple(attributes))
            attributes = []
        if place == len(text):
            return tuple(rdns)
        place += 1


def is_below(dn: str, base: str) -> bool:
    """Whether the entry `dn` is `base` or below it, ignoring case and surplus blanks.

    Raises:
        NotADn: one of them is not a DN.
    """
    above = _folded(base)
    return not above or same_dn(dn)[-len(above) :] == above


def outermost(bases: Iterable[str]) -> tuple[str, ...]:
    """These bases without those that are below, or the same as, an earlier or a wider one.

    Raises:
        NotADn: one of them is not a DN.
    """
    kept: list[str] = []
    for base in bases:
        if not any(is_below(base, other) for other in kept):
            kept = [*(other for other in kept if not is_below(other, base)), base]
    return tuple(kept)


def same_dn(dn: str) -> tuple[Rdn, ...]:
    """The normal form of a DN: the same for all spellings of one DN.

    Raises:
        NotADn: it is not a DN.
    """
    return _folded(dn) if len(dn) <= _MAX_CACHED else _folded.__wrapped__(dn)


def same_attribute(name: str, other: str) -> bool:
    """Whether two names denote the same attribute, ignoring case (RFC 4519 gives some attributes several names)."""
    name, other = name.lower(), other.lower()
    return _ATTRIBUTES.get(name, name) == _ATTRIBUTES.get(other, other)


def rdn_values(dn: str, kind: str) -> tuple[str, ...]:
    """The values of the attribute `kind` in the leftmost component of `dn`; usually one or none.

    Raises:
        NotADn: it is not a DN.
    """
    rdns = parse_dn(dn)
    return tuple(value for name, value in rdns[0] if same_attribute(name, kind)) if rdns else ()


def _plain(text: str) -> str:
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise ValueError("contains a control character or a lone surrogate")
    return text


def _value(text: str, place: int) -> tuple[str, int]:
    """The value that begins at `place`, and the place of the separator after it."""
    while place < len(text) and text[place] == " ":
        place += 1
    if place < len(text) and text[place] == '"':
        return _quoted(text, place + 1)
    if place < len(text) and text[place] == "#":
        return _encoded(text, place + 1)
    found = bytearray()
    kept = 0  # trailing blanks count only if they are escaped
    while place < len(text) and text[place] not in ",;+":
        character = text[place]
        if character == "\\":
            piece, place = _unescaped(text, place)
            found += piece
            kept = len(found)
            continue
        if character in '"<>\0':
            raise NotADn("a special character is not escaped")
        found += character.encode("utf-8", "surrogatepass")
        kept = kept if character == " " else len(found)
        place += 1
    return _decoded(bytes(found[:kept])), place


def _quoted(text: str, place: int) -> tuple[str, int]:
    """A quoted value, which RFC 2253 requires to be accepted from LDAPv2."""
    found = bytearray()
    while place < len(text) and text[place] != '"':
        if text[place] == "\\":
            piece, place = _unescaped(text, place)
            found += piece
        elif text[place] == "\0":
            raise NotADn("a NUL is not escaped")
        else:
            found += text[place].encode("utf-8", "surrogatepass")
            place += 1
    place += 1
    while place < len(text) and text[place] == " ":
        place += 1
    if place > len(text) or (place < len(text) and text[place] not in ",;+"):
        raise NotADn("a quoted value does not end at its closing quote")
    return _decoded(bytes(found)), place


def _encoded(text: str, place: int) -> tuple[str, int]:
    """A value given as the hexadecimal digits of its BER encoding (RFC 4514, section 2.4); text types only."""
    end = min((found for found in (text.find(mark, place) for mark in ",;+") if found >= 0), default=len(text))
    digits = text[place:end].rstrip(" ")
    if not digits or len(digits) % 2 or not set(digits) <= set(string.hexdigits):
        raise NotADn("a # is not followed by hexadecimal digits")
    try:
        tag, value = ber.only_value(bytes.fromhex(digits))
    except ber.Malformed as error:
        raise NotADn("a # is not followed by a BER value") from error
    if tag not in _TEXT_TAGS:
        raise NotADn("a # is followed by a value that is not text")
    return _decoded(value), end


def _unescaped(text: str, place: int) -> tuple[bytes, int]:
    pair = text[place + 1 : place + 3]
    if len(pair) == 2 and set(pair) <= set(string.hexdigits):
        return bytes.fromhex(pair), place + 3
    if not pair or pair[0] not in _SPECIAL + " ":
        raise NotADn("a backslash escapes nothing")
    return pair[0].encode(), place + 2


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotADn("a value is not UTF-8") from error


@lru_cache(maxsize=4096)
def _folded(dn: str) -> tuple[Rdn, ...]:
    return tuple(
        tuple(
            sorted(
                (_ATTRIBUTES.get(kind, kind), " ".join(unicodedata.normalize("NFKC", value).casefold().split()))
                for kind, value in rdn
            )
        )
        for rdn in parse_dn(dn)
    )
