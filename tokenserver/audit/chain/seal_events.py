"""Events that have a seal: which they are, when they were written, and the seal in them. Pure."""

from __future__ import annotations

import json

from tokenserver.exchange.audit_chain.seal_text import EVENT, seal_of_members

_TIME = slice(len('{"time":"'), len('{"time":"2026-01-31T00:00:00.000Z'))
_SEAL = b'","event":"' + EVENT.encode("ascii") + b'",'


def time_of_event(text: bytes) -> str:
    """The time that an event says of itself."""
    return text[_TIME].decode("ascii", "replace")


def is_seal_event(text: bytes) -> bool:
    """Whether an event says that it has a seal."""
    return text.startswith(_SEAL, _TIME.stop)


def seal_of_event(text: bytes) -> str:
    """The text of the seal of an event; empty if it has none."""
    try:
        return seal_of_members(json.loads(text)["seal"])
    except (ValueError, RecursionError, KeyError):
        return ""
