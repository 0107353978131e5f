"""Access keys: their text form with its checksum, and the secrets that policy files declare by a hash.

A key has 66 characters: `tkn`, the letter of its form, `_`, an id (12), a secret (43) and a checksum (6). All but the
underscore are letters and digits of ASCII, so a double click selects the whole key, and no tool needs to escape it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from tokenserver.credentials import AccessKeyForm, Secret
from tokenserver.errors import TokenserverError

KEY_PATTERN = r"\btkn[prfs]_[0-9A-Za-z]{61}\b"
"""The published regular expression that finds keys in text, for secret scanners."""

ID_LENGTH = 12

RANDOM_BYTES = 48
"""Random bytes of a new key: 16 for its id and 32 for its secret."""

_SECRET_BYTES = 32
_SECRET_LENGTH = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORMS = "".join(AccessKeyForm)
_KEY = re.compile(rf"tkn([{_FORMS}])_([0-9A-Za-z]{{12}})[0-9A-Za-z]{{43}}([0-9A-Za-z]{{6}})", re.ASCII)
_MARKED = re.compile(r"tkn[a-z]_", re.ASCII)
_ID = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)
_HASH_LINE = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class MalformedAccessKey(TokenserverError):
    """The text is no access key of this server. The message says nothing about the text."""

    def __init__(self) -> None:
        super().__init__("malformed access key")


class InvalidDeclaration(TokenserverError):
    """Part of a declared secret is wrong. The message says how to fix it, and never repeats a secret."""


@dataclass(frozen=True, slots=True)
class AccessKey:
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


def is_marked(text: str) -> bool:
    """Whether the text begins as every access key does, and so is one or nothing else."""
    return _MARKED.match(text) is not None


def parse_key(text: str) -> AccessKey:
    """The key that the text is, with nothing before or after it.

    Raises:
        MalformedAccessKey: the form, the length, the alphabet or the checksum is wrong.
    """
    matched = _KEY.fullmatch(text)
    if matched is None or not hmac.compare_digest(_checksum(text[:-_CHECKSUM_LENGTH]), matched[3]):
        raise MalformedAccessKey
    return AccessKey(AccessKeyForm(matched[1]), matched[2], Secret(text))


def digest_of(text: Secret) -> bytes:
    """The SHA-256 of the text."""
    return hashlib.sha256(text.reveal().encode("utf-8", "surrogatepass")).digest()


def hash_line(key: AccessKey) -> str:
    """The value of `hash` with which a policy file declares the key."""
    return f"sha256:{digest_of(key.text).hex()}"


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
    if _MARKED.search(text) is not None:
        raise InvalidDeclaration(
            f"must be the {name} of a secret, not the secret itself, which everybody who can read this file now knows;"
            " fix: remove it, and declare a new one: tokenserver robots secret new NAME --for-file"
        )


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("utf-8", "surrogatepass")), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    """The number in base 62, most significant digit first, padded with zeros to `length` digits."""
    digits: list[str] = []
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)).rjust(length, "0")
