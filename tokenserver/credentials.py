"""Credentials of a request: none, a user name with a password, a refresh token, or malformed ones."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum


class Secret:
    """Text that does not print: its `repr`, `str` and `format` show dots. Only `reveal()` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

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
        mine, theirs = (text.encode("utf-8", "surrogatepass") for text in (self._text, other._text))
        return hmac.compare_digest(mine, theirs)

    __hash__ = None  # type: ignore[assignment]  # a secret is no key of a dictionary


@dataclass(frozen=True, slots=True)
class NoCredentials:
    """No credentials at all: no header, or the empty user with the empty password (`Basic Og==`)."""


@dataclass(frozen=True, slots=True)
class MalformedCredentials:
    """Credentials were sent in a form that cannot be read. Never treated as `NoCredentials`.

    `reason` is for the audit event and does not repeat what was sent.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Password:
    """A user name as typed (NFC) and its password as typed. The name is not an identity yet."""

    username: str
    password: Secret


class AccessKeyForm(StrEnum):
    """What an access key is for, by the letter in its text (see `access_keys`)."""

    PERSONAL = "p"
    ROBOT = "r"
    REFRESH = "f"
    SESSION = "s"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, which docker keeps as "identity token" in place of a password. It comes without a user name."""

    secret: Secret


Credentials = NoCredentials | MalformedCredentials | Password | RefreshToken
