"""What people paste from a client's output: a `WWW-Authenticate` header, a token. Read, and never trusted.

Nothing here verifies a token; that is for registries. Its text is in no error and in no result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tokenserver.doctor.token import UnreadableToken, open_unverified
from tokenserver.errors import TokenserverError
from tokenserver.scopes import Resource, Scope, ScopeRequest, parse_scopes

MAX_PASTED = 64 * 1024

# A value that lost its quotes to a shell goes on to the next `, name=`: a list of actions has commas of its own.
_PARAMETER = re.compile(
    r'\s*([A-Za-z_]{1,20})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^"]*?))\s*(?:,+\s*(?=[A-Za-z_]{1,20}\s*=)|,?\s*\Z)', re.DOTALL
)
_HEADER = re.compile(r"[<\s]*(?:www-authenticate\s*:)?\s*bearer(?:\s+|\Z)", re.IGNORECASE)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"'})


class PastedError(TokenserverError):
    """What was pasted is not what it should be; the text says what is missing, and never repeats it."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asked a client to bring (RFC 6750, section 3). What it did not say is empty."""

    realm: str
    service: str
    scopes: ScopeRequest
    error: str


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says, whoever made it. `expires` is None where it does not say."""

    subject: str
    service: str
    access: Mapping[Resource, frozenset[str]]
    expires: datetime | None

    def lacks(self, scope: Scope) -> frozenset[str]:
        """The actions of `scope` that the token does not carry."""
        return scope.actions - self.access.get(scope.resource, frozenset())


def parse_challenge(text: str) -> Challenge:
    """Read a header as a client printed it, with or without its name, its quotes as they are or lost to a shell.

    Raises:
        PastedError: no Bearer challenge, or something in it that is no `name="value"`.
    """
    text = text.strip().strip("'").translate(_QUOTES)
    if len(text) > MAX_PASTED:
        raise PastedError(f"the challenge is longer than {MAX_PASTED} characters")
    start = _HEADER.match(text)
    if start is None:
        raise PastedError('is no challenge for a token; it begins with: Bearer realm="…"')
    values: dict[str, list[str]] = {}
    position = start.end()
    while position < len(text):
        matched = _PARAMETER.match(text, position)
        if matched is None:
            raise PastedError(f'after {position} characters no name="value" follows')
        quoted, bare = matched[2], matched[3]
        value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        values.setdefault(matched[1].lower(), []).append(value)
        position = matched.end()
    if "realm" not in values:
        raise PastedError("says no realm, so a client would not know where to ask")
    first = {name: listed[0] for name, listed in values.items()}
    scopes = parse_scopes(values.get("scope", []))
    return Challenge(first["realm"], first.get("service", ""), scopes, first.get("error", ""))


def read_unverified(text: str) -> Unverified:
    """What a token says (RFC 7519), or the token in a token server's JSON answer. Its signature is not verified.

    Raises:
        PastedError: the text is no token, or its claims are not what a registry reads.
    """
    try:
        claims = open_unverified(text).claims
    except UnreadableToken as error:
        raise PastedError(str(error)) from None
    subject, service = claims.get("sub", ""), claims.get("aud", "")
    if isinstance(service, list) and len(service) == 1:
        service = service[0]
    if not isinstance(subject, str) or not isinstance(service, str):
        raise PastedError("the token's sub or aud is no text")
    return Unverified(subject, service, _access(claims.get("access")), _moment(claims.get("exp")))


def _access(claim: Any) -> dict[Resource, frozenset[str]]:
    """The entries that a registry would read; others grant nothing."""
    found: dict[Resource, frozenset[str]] = {}
    for entry in claim if isinstance(claim, list) else ():
        match entry:
            case {"type": str(kind), "name": str(name), "actions": [*actions]}:
                resource = Resource(kind, name)
                said = {action for action in actions if isinstance(action, str)}
                found[resource] = found.get(resource, frozenset()) | said
            case _:
                continue
    return found


def _moment(claim: Any) -> datetime | None:
    if not isinstance(claim, (int, float)) or isinstance(claim, bool):
        return None
    try:
        return datetime.fromtimestamp(claim, UTC)
    except (ValueError, OverflowError, OSError):
        return None
