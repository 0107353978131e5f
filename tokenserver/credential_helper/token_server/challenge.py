"""Strict parser for the `WWW-Authenticate` headers of a registry (RFC 9110, section 11.6.1). Pure.

`doctor/challenge.py` reads what people paste, and forgives; here a credential depends on what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_CHALLENGE = 8192

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a production of the grammar
_SCHEME = re.compile(rf"[ \t,]*({_TOKEN})(?:[ \t]+|(?=,)|\Z)", re.ASCII)
_PARAMETER = re.compile(
    rf'[ \t,]*({_TOKEN})[ \t]*=[ \t]*(?:"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)"|({_TOKEN}))[ \t]*(?=,|\Z)',
    re.ASCII,
)
_TOKEN68 = re.compile(r"[0-9A-Za-z._~+/-]+=*[ \t]*(?=,|\Z)", re.ASCII)
_BLANK = re.compile(r"[ \t,]*")


@dataclass(frozen=True, slots=True)
class BearerChallenge:
    """Where a registry wants its clients to fetch a token, and for which service. The service may be empty."""

    realm: str
    service: str


def bearer_challenge(headers: Iterable[str]) -> BearerChallenge | None:
    """The one Bearer challenge in the headers; None if there is none, several, or any part that is malformed."""
    found: list[BearerChallenge] = []
    for header in headers:
        challenges = _challenges(header)
        if challenges is None:
            return None
        for scheme, parameters in challenges:
            if scheme != "bearer":
                continue
            realm = parameters.get("realm")
            if not realm:
                return None
            found.append(BearerChallenge(realm, parameters.get("service", "")))
    return found[0] if len(found) == 1 else None


def _challenges(header: str) -> list[tuple[str, dict[str, str]]] | None:
    """The challenges of one header: scheme in lower case, and parameters; None if it is malformed."""
    if len(header) > MAX_CHALLENGE:
        return None
    challenges: list[tuple[str, dict[str, str]]] = []
    position = _after_blanks(header, 0)
    while position < len(header):
        parameter = _PARAMETER.match(header, position) if challenges else None
        if parameter is not None:
            name = parameter[1].lower()
            if name in challenges[-1][1]:
                return None
            challenges[-1][1][name] = _value(parameter)
            position = _after_blanks(header, parameter.end())
            continue
        scheme = _SCHEME.match(header, position)
        if scheme is None:
            return None
        challenges.append((scheme[1].lower(), {}))
        position = scheme.end()
        token68 = None if _PARAMETER.match(header, position) else _TOKEN68.match(header, position)
        position = _after_blanks(header, position if token68 is None else token68.end())
    return challenges


def _value(parameter: re.Match[str]) -> str:
    return parameter[3] if parameter[2] is None else re.sub(r"\\(.)", r"\1", parameter[2])


def _after_blanks(header: str, position: int) -> int:
    matched = _BLANK.match(header, position)
    return position if matched is None else matched.end()
