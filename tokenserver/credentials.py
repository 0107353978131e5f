"""What a client brought: nothing, a user name with a password, or something that cannot be used."""

from __future__ import annotations

import hmac
from dataclasses import dataclass


class Secret:
    """Text that must not print: its `repr`, `str` and `format` show dots. `reveal()` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the one place that needs it."""
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
class Nothing:
    """No credentials at all: no header, or the empty user with the empty password (`Basic Og==`)."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Credentials were brought, but in no form that can be read. Never treated as nothing.

    `reason` is for the audit event and repeats nothing of what was sent.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Password:
    """A user name as typed (NFC) and its password as typed. The name is not an identity yet."""

    username: str
    password: Secret


Credentials = Nothing | Unusable | Password
