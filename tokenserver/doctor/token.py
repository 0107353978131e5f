"""Parser for tokens that are not trusted: header, claims, signature. The token's text is in no error and no `repr`.

Nothing here verifies a signature; `registry.verifiers` does that, once for each kind of registry.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tokenserver.documents.base64url import decode_base64url
from tokenserver.errors import TokenserverError
from tokenserver.scopes import Resource, Scope

MAX_TOKEN = 1280 * 1024


class UnreadableToken(TokenserverError):
    """The text is not a token. The message says what is missing and quotes none of it."""


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token's parts, unverified. `signed` is the input of `signature` (RFC 7515, section 5.2)."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The header's `alg`; empty if it is not a string."""
        return _text(self.header.get("alg"))

    @property
    def kid(self) -> str:
        """The header's `kid`; empty if it is not a string."""
        return _text(self.header.get("kid"))

    @property
    def x5c(self) -> tuple[bytes, ...] | None:
        """The certificate chain in DER; None if the header has none, empty if it cannot be decoded."""
        chain = self.header.get("x5c")
        if chain is None:
            return None
        try:
            return tuple(base64.b64decode(one, validate=True) for one in chain)
        except (TypeError, ValueError, binascii.Error):
            return ()


@dataclass(frozen=True, slots=True)
class UnverifiedClaims:
    """The claims of a token that a user pastes, unverified. `expires` is None if there is no usable `exp`."""

    subject: str
    service: str
    access: Mapping[Resource, frozenset[str]]
    expires: datetime | None

    def lacks(self, scope: Scope) -> frozenset[str]:
        """The actions of `scope` that the token does not carry."""
        return scope.actions - self.access.get(scope.resource, frozenset())


def token_text(text: str) -> str:
    """The token in a pasted text: bare, after `Bearer`, or in a token server's JSON response.

    Raises:
        UnreadableToken: the text holds no token.
    """
    if len(text) > MAX_TOKEN:
        raise UnreadableToken(f"is longer than {MAX_TOKEN} characters")
    text = text.strip().strip("'\"").strip()
    if text.startswith("{"):
        response = _object(text.encode("utf-8", "surrogatepass"), "answer")
        text = _text(response.get("token")) or _text(response.get("access_token"))
    text = text.removeprefix("Authorization:").strip().removeprefix("Bearer ").strip()
    if any(character.isspace() for character in text) and re.sub(r"\s+", "", text).count(".") == 2:
        raise UnreadableToken("is not whole: it was broken over lines, or something else was copied with it")
    if text.endswith(("%", "…", "...")):
        raise UnreadableToken(f"is not whole: it ends in {text[-1]}, which is not the token's but was copied with it")
    if text.count(".") != 2 or not text.isascii():
        raise UnreadableToken(
            "is no token: a token has three parts with dots between them; check that it was copied whole"
        )
    return text


def open_unverified(text: str) -> UnverifiedToken:
    """Split a token in compact serialization into its decoded parts (RFC 7515, section 7.1).

    Raises:
        UnreadableToken: the text is not a token.
    """
    header, claims, signature = token_text(text).split(".")
    return UnverifiedToken(
        _part(header, "header"),
        _part(claims, "claims"),
        f"{header}.{claims}".encode("ascii"),
        _decoded(signature, "signature"),
    )


def read_claims(text: str) -> UnverifiedClaims:
    """Read only the claims (RFC 7519, section 4.1), so that a token with a redacted signature is accepted.

    Raises:
        UnreadableToken: the text is not a token, or `sub` or `aud` does not have the type that registries read.
    """
    claims = _part(token_text(text).split(".")[1], "claims")
    subject, service = claims.get("sub", ""), claims.get("aud", "")
    if isinstance(service, list) and len(service) == 1:
        service = service[0]
    if not isinstance(subject, str) or not isinstance(service, str):
        raise UnreadableToken("is no token for a registry: its sub or aud is no text")
    return UnverifiedClaims(subject, service, access_in(claims), _moment(claims.get("exp")))


def access_in(claims: Mapping[str, Any]) -> dict[Resource, frozenset[str]]:
    """The `access` entries that a registry reads. Malformed entries grant nothing and are left out."""
    found: dict[Resource, frozenset[str]] = {}
    access = claims.get("access")
    for entry in access if isinstance(access, list) else ():
        match entry:
            case {"type": str(kind), "name": str(name), "actions": [*listed]}:
                resource = Resource(kind, name)
                actions = {action for action in listed if isinstance(action, str)}
                found[resource] = found.get(resource, frozenset()) | actions
            case _:
                continue
    return found


def _part(part: str, name: str) -> dict[str, Any]:
    return _object(_decoded(part, name), name)


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


def _moment(claim: Any) -> datetime | None:
    if not isinstance(claim, (int, float)) or isinstance(claim, bool):
        return None
    try:
        return datetime.fromtimestamp(claim, UTC)
    except (ValueError, OverflowError, OSError):
        return None
