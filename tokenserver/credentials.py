"""Credentials of a request: none, a password, an access key, a refresh token, a workload's token, or malformed ones."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Secret:
    """Text that does not print: its `repr`, `str` and `format` show dots. Only `reveal()` returns it.

    `digest` is for `access_keys.digest_of`, and `text_tag` for `token_tags.tag_of_secret`, which one request may ask
    for twice.
    """

    __slots__ = ("_text", "digest", "tag", "text_tag")

    def __init__(self, text: str, tag: bytes | None = None) -> None:
        self._text = text
        self.tag = tag
        self.digest: bytes | None = None
        self.text_tag: bytes | None = None

    def reveal(self) -> str:
        """The plain text, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('…')"

    def __str__(self) -> str:
        return "…"

    def __format__(self, spec: str) -> str:
        return "…"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")

    def __eq__(self, other: object) -> bool:
        """Compare in constant time; a Secret never equals plain text."""
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (text.encode("utf-8", "surrogatepass") for text in (self.reveal(), other.reveal()))
        return hmac.compare_digest(mine, theirs)

    __hash__ = None  # type: ignore[assignment]  # a secret is no key of a dictionary


class UnreadSecret(Secret):
    """A secret that was sent before, in the same words: `read` decodes them, if anybody wants to see it.

    `tag` stands for it meanwhile, see `authn/token_tags.py`: those with the same tag are the same.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], str], tag: bytes) -> None:
        self._text = ""
        self.tag = tag
        self.digest = None
        self.text_tag = None
        self._read: Callable[[], str] | None = read

    def reveal(self) -> str:
        """The plain text."""
        read = self._read
        if read is not None:
            self._text = read()
            self._read = None
        return self._text


@dataclass(frozen=True, slots=True)
class NoCredentials:
    """No credentials at all: no header, or the empty user with the empty password (`Basic Og==`)."""


@dataclass(frozen=True, slots=True)
class MalformedCredentials:
    """Credentials were sent in a form that cannot be read. Never treated as `NoCredentials`.

    `reason` is for the audit event and does not repeat what was sent.
    """

    reason: str


class Password(NamedTuple):
    """A user name as typed (NFC) and its password as typed. The name is not an identity yet.

    `client` is the address of the client where a user source is asked; empty: unknown, or not needed.
    """

    username: str
    password: Secret
    client: str = ""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, which docker keeps as "identity token" in place of a password. It comes without a user name."""

    secret: Secret


class AccessKeyForm(StrEnum):
    """What an access key is for, by the letter in its text; see `access_keys`."""

    PERSONAL = "p"
    ROBOT = "r"
    REFRESH = "f"
    SESSION = "s"


class Key(NamedTuple):
    """A well-formed access key; nobody has verified it yet. `text` is all of it.

    `name` is the user name as typed, empty if none was. It never decides who the client is.
    """

    form: AccessKeyForm
    id: str
    text: Secret
    name: str


class Jwt(NamedTuple):
    """The signed token with which a workload proves what it is, sent as a password.

    `issuer` is what the token says, unverified: it only tells who has to verify it. `name` is the user name as typed.
    """

    text: Secret
    issuer: str
    name: str


Credentials = NoCredentials | MalformedCredentials | Password | RefreshToken | Key | Jwt
