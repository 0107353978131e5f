"""Access keys: their text form with its checksum, and the secrets that policy files declare by a hash.

A key has 66 characters: `tkn`, the letter of its form, `_`, an id (12), a secret (43) and a checksum (6). All but the
underscore are letters and digits of ASCII, so a double click selects the whole key, and no tool needs to escape it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from tokenserver.credentials import AccessKeyForm, Secret
from tokenserver.errors import TokenserverError

KEY_PATTERN = r"\btkn[prfs]_[0-9A-Za-z]{61}\b"
"""The published regular expression that finds keys in text, for secret scanners."""

KEY_LENGTH = 66

ID_LENGTH = 12

RANDOM_BYTES = 48
"""Random bytes of a new key: 16 for its id and 32 for its secret."""

_SECRET_BYTES = 32
_SECRET_LENGTH = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_FORM_OF = {f"tkn{form}_": form for form in AccessKeyForm}
_MARKER = r"tkn[a-z]_"
_MARKED = re.compile(rf"""[\s"']*{_MARKER}""")
_HELD = re.compile(rf"{_MARKER}[0-9A-Za-z]{{20}}", re.ASCII)
_ID = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)
_HASH_LINE = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class MalformedAccessKey(TokenserverError):
    """The text is no access key of this server. The message says nothing about the text."""

    def __init__(self) -> None:
        super().__init__("malformed access key")


class InvalidDeclaration(TokenserverError):
    """Part of a declared secret is wrong. The message says how to fix it, and never repeats a secret."""


class AccessKey(NamedTuple):
    """A well-formed key with a right checksum; nobody has verified it yet. `text` is all of it."""

    form: AccessKeyForm
    id: str
    text: Secret


@dataclass(frozen=True, slots=True)
class DeclaredSecret:
    """A robot's secret as a policy file declares it.

    `digest` is the SHA-256 of the whole key, which suffices for 256 random bits. The secret is valid before `expires`
    (UTC), for clients in one of `networks`; none: for any client.
    """

    id: str
    digest: bytes = field(repr=False)
    expires: datetime
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    note: str = ""

    def matches(self, text: Secret) -> bool:
        """Whether this is the declared key, all of it. Compares in constant time."""
        return hmac.compare_digest(digest_of(text), self.digest)

    def is_expired(self, now: datetime) -> bool:
        """Whether the secret has ended at `now`."""
        return now >= self.expires

    def allows(self, client: IPv4Address | IPv6Address | None) -> bool:
        """Whether a client with this address may use the secret; an unknown address is in no network."""
        return not self.networks or (client is not None and any(client in network for network in self.networks))


def compose_key(form: AccessKeyForm, random: bytes) -> AccessKey:
    """The key of this form with an id and a secret from `RANDOM_BYTES` bytes of a cryptographic source.

    Raises:
        ValueError: there are more or fewer bytes.
    """
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a key takes {RANDOM_BYTES} random bytes")
    number = int.from_bytes(random[:-_SECRET_BYTES], "big") % len(_DIGITS) ** ID_LENGTH
    identifier = _base62(number, ID_LENGTH)
    secret = _base62(int.from_bytes(random[-_SECRET_BYTES:], "big"), _SECRET_LENGTH)
    text = f"tkn{form}_{identifier}{secret}"
    return AccessKey(form, identifier, Secret(text + _checksum(text)))


def key_parts(text: str) -> tuple[AccessKeyForm, str] | None:
    """The form and the id of the key that the text is; None if it does not begin like a key, and holds none.

    Blanks and quotes before the beginning, which are easily copied with it, do not count. Every login calls this, so
    that the order of the tests is that of their cost.

    Raises:
        MalformedAccessKey: it begins like a key, and the form, the length, the alphabet or the checksum is wrong; or
            it has a key in it, as `ci:KEY` has, which is what a server reads when a client sends `robot:ci` and KEY.
    """
    if "tkn" not in text:
        return None
    form = _FORM_OF.get(text[:5])
    if form is None:
        if _MARKED.match(text) is None and _HELD.search(text) is None:
            return None
    elif _has_shape(text) and _checksum(text) == text[-_CHECKSUM_LENGTH:]:
        return form, text[5 : 5 + ID_LENGTH]
    raise MalformedAccessKey


def parse_key(text: str) -> AccessKey:
    """The key that the text is, with nothing before or after it.

    Raises:
        MalformedAccessKey: it is none.
    """
    parts = key_parts(text)
    if parts is None:
        raise MalformedAccessKey
    return AccessKey(*parts, Secret(text))


def is_marked(text: str) -> bool:
    """Whether the text begins like an access key, and so is one or nothing else; see also `holds_key`."""
    return _MARKED.match(text) is not None


def holds_key(text: str) -> bool:
    """Whether the text has a key in it, or so much of one that part of its secret is there."""
    return "tkn" in text and _HELD.search(text) is not None


@dataclass(frozen=True, slots=True)
class InspectedKey:
    """What can be said of a text that begins like a key: what is None cannot be said. `problem` continues "the key"."""

    form: AccessKeyForm | None
    id: str | None
    is_checksum_right: bool | None
    problem: str | None


def inspect_key(text: str) -> InspectedKey:
    """Why the text is no well-formed key, or its form and id. Nothing in the result is secret."""
    form = _FORM_OF.get(text[:5])
    if form is not None and _has_shape(text):
        is_right = _checksum(text) == text[-_CHECKSUM_LENGTH:]
        problem = None if is_right else "is mistyped: its checksum is wrong"
        return InspectedKey(form, text[5 : 5 + ID_LENGTH], is_right, problem)
    if form is None:
        problem = f"has an unknown form; known forms are {', '.join(AccessKeyForm)}"
    elif len(text) != KEY_LENGTH:
        problem = f"has {len(text)} characters instead of {KEY_LENGTH}"
    else:
        problem = "has a character that is neither an ASCII letter nor a digit"
    return InspectedKey(form, None, None, problem)


def digest_of(text: Secret) -> bytes:
    """The SHA-256 of the text in UTF-8, computed once for each `Secret`."""
    digest = text.digest
    if digest is None:
        digest = text.digest = hashlib.sha256(text.reveal().encode("utf-8", "surrogatepass")).digest()
    return digest


def hash_line(key: AccessKey) -> str:
    """The value of `hash` with which a policy file declares the key."""
    return f"sha256:{digest_of(key.text).hex()}"


def declare(
    key: AccessKey, expires: datetime, networks: tuple[IPv4Network | IPv6Network, ...] = (), note: str = ""
) -> DeclaredSecret:
    """The declaration of the key."""
    return DeclaredSecret(key.id, digest_of(key.text), expires, networks, note)


def spell_declaration(secret: DeclaredSecret) -> str:
    """The declaration as an item of a robot's `secrets:` in a policy file: one line of YAML."""
    moment = f"{secret.expires.astimezone(UTC).replace(tzinfo=None).isoformat()}Z".removesuffix("T00:00:00Z")
    # Quoted, because YAML reads some ids as numbers, and an IPv6 network may begin with a colon.
    members = [f'id: "{secret.id}"', f'hash: "sha256:{secret.digest.hex()}"', f"expires: {moment}"]
    if secret.networks:
        members.append(f"networks: {json.dumps([str(network) for network in secret.networks])}")
    if secret.note:
        members.append(f"note: {json.dumps(secret.note, ensure_ascii=False)}")
    return f"- {{{', '.join(members)}}}"


def parse_key_id(text: str) -> str:
    """The id of a declared secret.

    Raises:
        InvalidDeclaration: it is none.
    """
    _reject_key(text, "id")
    if _ID.fullmatch(text) is None:
        raise InvalidDeclaration(f"must be the {ID_LENGTH} letters and digits of the key's id{_NEW}")
    return text


def parse_hash_line(text: str) -> bytes:
    """The digest of a declared secret.

    Raises:
        InvalidDeclaration: it is none, or the secret itself.
    """
    _reject_key(text, "hash")
    matched = _HASH_LINE.fullmatch(text)
    if matched is not None:
        return bytes.fromhex(matched[1])
    if _HEX.fullmatch(text) is not None:
        raise InvalidDeclaration("must name its algorithm; fix: write sha256: before the hexadecimal digits")
    raise InvalidDeclaration(f"must be sha256: and 64 hexadecimal digits in lower case{_NEW}")


_NEW = "; fix: copy the line that tokenserver robots secret new NAME --for-file prints"


def _reject_key(text: str, name: str) -> None:
    if re.search(_MARKER, text) is not None:
        raise InvalidDeclaration(
            f"must be the {name} of a secret, not the secret itself, which everybody who can read this file now knows;"
            " fix: remove it, and declare a new one: tokenserver robots secret new NAME --for-file"
        )


def _has_shape(text: str) -> bool:
    """Whether the text, which begins with a form, has the length and the characters of a key."""
    return len(text) == KEY_LENGTH and text.isascii() and text[5:].isalnum()


def _checksum(text: str) -> str:
    """The CRC32 of a key before its checksum, in base 62; two digits at a time, since each login computes it."""
    content = text[: KEY_LENGTH - _CHECKSUM_LENGTH].encode("ascii")
    rest, last = divmod(zlib.crc32(content), len(_PAIRS))
    first, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]


def _base62(number: int, length: int) -> str:
    """The number in base 62, most significant digit first, padded with zeros to `length` digits."""
    digits: list[str] = []
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)).rjust(length, "0")
