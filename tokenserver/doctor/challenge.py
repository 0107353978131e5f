"""Parser for a pasted `WWW-Authenticate` header: what the registry asked the client to bring."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tokenserver.errors import TokenserverError
from tokenserver.scopes import ScopeLimits, ScopeRequest, parse_scopes

MAX_CHALLENGE = 64 * 1024
_ALL = ScopeLimits(MAX_CHALLENGE, 4 * MAX_CHALLENGE)  # what a challenge of that length can hold

# An unquoted value runs to the next `, name=`, since a list of actions contains commas.
_PARAMETER = re.compile(
    r'\s*([A-Za-z_]{1,20})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^"]*?))\s*(?:,+\s*(?=[A-Za-z_]{1,20}\s*=)|,?\s*\Z)', re.DOTALL
)
_HEADER = re.compile(r"[<\s]*(?:www-authenticate\s*:)?\s*bearer(?:\s+|\Z)", re.IGNORECASE)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"'})


class UnreadableChallenge(TokenserverError):
    """The text is not a Bearer challenge. The message says what is missing and quotes none of it."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A Bearer challenge (RFC 6750, section 3). Absent parameters are empty."""

    realm: str
    service: str
    scopes: ScopeRequest
    error: str


def parse_challenge(text: str) -> Challenge:
    """Parse a header as a client printed it, with or without its name, its quotes intact or eaten by a shell.

    Raises:
        UnreadableChallenge: no Bearer challenge, no realm, or a parameter that is not `name="value"`.
    """
    text = text.strip().strip("'").translate(_QUOTES)
    if len(text) > MAX_CHALLENGE:
        raise UnreadableChallenge(f"the challenge is longer than {MAX_CHALLENGE} characters")
    start = _HEADER.match(text)
    if start is None:
        raise UnreadableChallenge('is no challenge for a token; it begins with: Bearer realm="…"')
    values: dict[str, list[str]] = {}
    position = start.end()
    while position < len(text):
        matched = _PARAMETER.match(text, position)
        if matched is None:
            raise UnreadableChallenge(f'after {position} characters no name="value" follows')
        quoted, bare = matched[2], matched[3]
        value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        values.setdefault(matched[1].lower(), []).append(value)
        position = matched.end()
    if "realm" not in values:
        raise UnreadableChallenge("names no realm, so a client would not know where to ask")
    first = {name: listed[0] for name, listed in values.items()}
    scopes = parse_scopes(values.get("scope", []), _ALL)
    return Challenge(first["realm"], first.get("service", ""), scopes, first.get("error", ""))
