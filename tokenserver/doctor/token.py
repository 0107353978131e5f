"""Takes a token apart: header, claims, signature. Nothing is believed; its text is in no error and in no result."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenserver.documents.base64url import decode_base64url
from tokenserver.errors import TokenserverError

MAX_TOKEN = 64 * 1024


class UnreadableToken(TokenserverError):
    """No token at all; the text says what is missing, and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An unverified token: `signed` is what its `signature` is over (RFC 7515, section 5.2)."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The header's `alg`, empty where it is no text."""
        return _text(self.header.get("alg"))

    @property
    def kid(self) -> str:
        """The header's `kid`, empty where it is no text."""
        return _text(self.header.get("kid"))

    @property
    def x5c(self) -> tuple[bytes, ...] | None:
        """The chain in DER; None where there is none, an empty one where it cannot be read."""
        chain = self.header.get("x5c")
        if chain is None:
            return None
        try:
            return tuple(base64.b64decode(one, validate=True) for one in chain)
        except (TypeError, ValueError, binascii.Error):
            return ()


def token_text(text: str) -> str:
    """The token in what was pasted: as it is, with `Bearer` before it, or in a token server's JSON answer.

    Raises:
        UnreadableToken: there is none.
    """
    if len(text) > MAX_TOKEN:
        raise UnreadableToken(f"is longer than {MAX_TOKEN} characters")
    text = text.strip().strip("'\"").strip()
    if text.startswith("{"):
        answer = _object(text.encode("utf-8", "surrogatepass"), "answer")
        text = _text(answer.get("token")) or _text(answer.get("access_token"))
    text = text.removeprefix("Authorization:").strip().removeprefix("Bearer ").strip()
    if text.count(".") != 2 or not text.isascii():
        raise UnreadableToken("is no token: a token has three parts with dots between them")
    return text


def open_unverified(text: str) -> Opened:
    """A token's parts (RFC 7515, section 7.1).

    Raises:
        UnreadableToken: it is none.
    """
    header, claims, signature = token_text(text).split(".")
    return Opened(
        _object(_decoded(header, "header"), "header"),
        _object(_decoded(claims, "claims"), "claims"),
        f"{header}.{claims}".encode("ascii"),
        _decoded(signature, "signature"),
    )


def _decoded(part: str, name: str) -> bytes:
    try:
        return decode_base64url(part)
    except ValueError:
        raise UnreadableToken(f"is no token: its {name} is not base64url") from None


def _object(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnreadableToken(f"is no token: its {name} is no JSON object")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
