"""Syntax of `when:`, in rules and in expected answers."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from tokenserver.documents.document import Path
from tokenserver.identity import Kind
from tokenserver.policy.model import Condition
from tokenserver.policy.networks import ranges_of
from tokenserver.policy.syntax.reader import Reader, one_of
from tokenserver.policy.terms import parse_moment, parse_network

_WHEN_KEYS = ("from", "not_from", "since", "until", "kind")
_KINDS = [kind.value for kind in Kind]


def read_when(reader: Reader, value: Any, place: Path) -> Condition:
    """Read one condition; its faults go to the reader."""
    content = reader.mapping(value, place, _WHEN_KEYS, {"not": "fix: move it out of when, beside repositories"})
    networks: list[IPv4Network | IPv6Network] = []
    outside: list[IPv4Network | IPv6Network] = []
    kinds: list[str] = []
    since = until = None
    if "from" in content:
        networks = reader.terms(content["from"], (*place, "from"), parse_network, or_one=True)
    if "not_from" in content:
        outside = reader.terms(content["not_from"], (*place, "not_from"), parse_network, or_one=True)
        if outside and not ranges_of(tuple(networks), tuple(outside)):
            left = "all of from" if networks else "every address"
            reader.fault((*place, "not_from"), f"excludes {left}, so the rule would never apply")
    if "since" in content:
        since = read_moment(reader, content["since"], (*place, "since"))
    if "until" in content:
        until = read_moment(reader, content["until"], (*place, "until"))
    if since is not None and until is not None and since >= until:
        reader.fault((*place, "until"), "is not after since, so the rule would never apply")
    if "kind" in content:
        kinds = reader.terms(content["kind"], (*place, "kind"), one_of(_KINDS, "kind of credential"), or_one=True)
    return Condition(tuple(networks), since, until, frozenset(map(Kind, kinds)), tuple(outside))


def read_moment(reader: Reader, value: Any, place: Path) -> datetime | None:
    """A moment, or None after a fault; a number such as 20270131 is a date without its dashes."""
    text = str(value)
    if type(value) is int and len(text) == len("YYYYMMDD"):
        reader.fault(place, f"must be a date, not a number; fix: write {text[:4]}-{text[4:6]}-{text[6:]}")
        return None
    return reader.term(value, place, parse_moment)
