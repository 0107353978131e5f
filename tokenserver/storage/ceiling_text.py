"""The stored form of ceilings: JSON with sorted keys."""

from __future__ import annotations

import json
from typing import cast

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.errors import TokenserverError
from tokenserver.patterns import PatternError, SegmentKind, parse_pattern
from tokenserver.scopes import ACTIONS


class UnreadableCeiling(TokenserverError):
    """A stored ceiling that this program cannot read. Its credential must not be used."""


def spell_ceiling(ceiling: Ceiling) -> str:
    """The ceiling as JSON, the same for equal ceilings."""
    bounds = [
        {
            "actions": sorted(bound.actions),
            "patterns": [pattern.text for pattern in bound.patterns],
            "type": bound.type,
        }
        for bound in ceiling.bounds
    ]
    services = None if ceiling.services is None else sorted(ceiling.services)
    return json.dumps({"bounds": bounds, "services": services}, sort_keys=True, separators=(",", ":"))


def parse_ceiling(text: str) -> Ceiling:
    """The ceiling that `spell_ceiling` wrote.

    Raises:
        UnreadableCeiling: the text is none. Nothing is skipped: a bound that is not understood may be the narrow one.
    """
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.keys() != {"bounds", "services"}:
            raise UnreadableCeiling("has other members than bounds and services")
        bounds = tuple(map(_bound, document["bounds"]))
        services = document["services"]
        return Ceiling(bounds, None if services is None else frozenset(_texts(services)))
    except (ValueError, TypeError, RecursionError, PatternError) as error:
        raise UnreadableCeiling("is no ceiling") from error


def _bound(document: object) -> Bound:
    if not isinstance(document, dict) or document.keys() != {"actions", "patterns", "type"}:
        raise UnreadableCeiling("has a bound with other members than actions, patterns and type")
    actions = frozenset(_texts(document["actions"]))
    if not actions <= frozenset(ACTIONS):
        raise UnreadableCeiling("has unknown actions")
    patterns = tuple(map(parse_pattern, _texts(document["patterns"])))
    if any(pattern.uses(kind) for pattern in patterns for kind in (SegmentKind.USER, SegmentKind.GROUP)):
        raise UnreadableCeiling("has a pattern with a variable")
    (kind,) = _texts([document["type"]])
    return Bound(patterns, actions, kind)


def _texts(values: object) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UnreadableCeiling("has something else where a list of texts belongs")
    return cast("list[str]", values)
