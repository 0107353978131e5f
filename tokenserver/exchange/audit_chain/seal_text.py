"""Seals as texts, read and not yet verified. Pure.

A seal is a JWS (RFC 7515) in a line of its own (event `audit_seal`), in the flattened JSON serialization, since what
looks for leaked tokens in logs would find the compact one. It has another type than a token, none of the
claims that registries check, and its whole content below one member, so that neither can be taken for the other. The
certificate of the key is in it, so that it can be verified by the token CA long after the key was retired.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from tokenserver.documents.base64url import decode_canonical_base64url

EVENT = "audit_seal"
"""The value of `event`."""

TYPE = "tokenserver-audit-seal"
"""The `typ` of the header."""

CONTENT = "audit_seal"
"""The only member of the payload."""

MAX_SEAL = 64 * 1024


class NotASeal(ValueError):
    """A text that is no seal; the message says why."""


class UnknownSealKey(ValueError):
    """A seal of a key that no trusted certificate or key set vouches for."""


class StatedChain(NamedTuple):
    """What a seal says about another chain of its server: it has a line of this number, which was written at `since`
    (RFC 3339) or later.
    """

    chain: str
    number: int
    since: str


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal that was read, and not verified: `signature` over `signed` by the key of the first of `certificates`.

    `link` is the link of the line that it is in, `time` when it was made (RFC 3339), and `closes` says that the chain
    was meant to end with it. `others` are chains of other processes of the server. `server` is its name, and `before`
    are chains of earlier runs of it, as far as the storage knew.
    """

    algorithm: str
    certificates: tuple[str, ...]
    signed: bytes
    signature: bytes
    link: str
    time: str
    closes: bool
    others: tuple[StatedChain, ...] = ()
    server: str = ""
    before: tuple[StatedChain, ...] = ()


def seal_members(text: str) -> dict[str, str]:
    """A seal in compact serialization, as the object that an event has."""
    protected, payload, signature = text.split(".")
    return {"protected": protected, "payload": payload, "signature": signature}


def seal_of_members(value: object) -> str:
    """The compact serialization of the object that an event has; empty if that is no seal."""
    if not isinstance(value, dict) or set(value) != {"protected", "payload", "signature"}:
        return ""
    parts = [value["protected"], value["payload"], value["signature"]]
    return ".".join(parts) if all(isinstance(part, str) for part in parts) else ""


def read_seal(text: str) -> Seal:
    """A seal, read and not verified.

    Raises:
        NotASeal: anything else, such as a token.
    """
    parts = text.split(".")
    if len(text) > MAX_SEAL or len(parts) != 3:
        raise NotASeal("it is no signed text")
    header, payload = _members(parts[0]), _members(parts[1])
    if header.get("typ") != TYPE or set(header) - {"typ", "alg", "kid", "x5c"}:
        raise NotASeal("its header is not that of a seal")
    content = payload.get(CONTENT)
    if set(payload) != {CONTENT} or not isinstance(content, dict):
        raise NotASeal("its content is not that of a seal")
    algorithm, certificates = header.get("alg"), header.get("x5c")
    link, time, server = content.get("chain"), content.get("time"), content.get("server", "")
    others, before = _others(content.get("others", [])), _others(content.get("before", []))
    if not isinstance(algorithm, str) or not isinstance(certificates, list) or not certificates:
        raise NotASeal("it names no key")
    if not all(isinstance(one, str) for one in certificates):
        raise NotASeal("its certificates cannot be read")
    if not isinstance(link, str) or not isinstance(time, str) or not isinstance(server, str):
        raise NotASeal("its content is incomplete")
    try:
        signature = decode_canonical_base64url(parts[2])
    except ValueError:
        raise NotASeal("its signature cannot be read") from None
    signed = f"{parts[0]}.{parts[1]}".encode("ascii")
    closes = content.get("closes") is True
    return Seal(algorithm, tuple(certificates), signed, signature, link, time, closes, others, server, before)


def _others(values: object) -> tuple[StatedChain, ...]:
    found = []
    for value in values if isinstance(values, list) else [values]:
        chain, number, since = map(value.get, StatedChain._fields) if isinstance(value, dict) else (None, None, None)
        if not isinstance(chain, str) or type(number) is not int or not isinstance(since, str):
            raise NotASeal("what it says about other chains cannot be read")
        found.append(StatedChain(chain, number, since))
    return tuple(found)


def _members(part: str) -> dict[str, Any]:
    try:
        value = json.loads(decode_canonical_base64url(part))
    except (ValueError, RecursionError):
        raise NotASeal("it cannot be read") from None
    if not isinstance(value, dict):
        raise NotASeal("it cannot be read")
    return value
