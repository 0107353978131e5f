"""The ceiling that a device asks for by scopes: `repository:PATTERN:ACTIONS`, and `registry:catalog:*`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.errors import InvalidRequest
from tokenserver.patterns import Pattern, PatternError, SegmentKind, parse_pattern
from tokenserver.policy.terms import REGISTRY_RESOURCES
from tokenserver.scopes import ACTIONS

MAX_BOUNDS = 50
"""Scopes that one device may ask for; a person has to read them."""


def requested_ceiling(values: Sequence[str]) -> Ceiling | None:
    """The ceiling of these values of `scope`, each with scopes between blanks; None: nothing narrows the person.

    Raises:
        InvalidRequest: one of them is no scope, or there are too many. Nothing is skipped: the rest would be less than
            was asked for, and a ceiling of nothing more than was shown.
    """
    pieces = list(dict.fromkeys(piece for value in values for piece in value.split()))
    if len(pieces) > MAX_BOUNDS:
        raise InvalidRequest(f"scope: a login can be narrowed by at most {MAX_BOUNDS} scopes")
    return Ceiling(tuple(map(_bound, pieces))) if pieces else None


def _bound(piece: str) -> Bound:
    kind, _, rest = piece.partition(":")
    name, colon, listed = rest.rpartition(":")
    actions = frozenset(listed.split(","))
    if not colon or not actions <= frozenset(ACTIONS):
        raise InvalidRequest(f"scope: must be type:name:actions, with actions out of {', '.join(ACTIONS)}")
    if kind == "registry":
        if name not in REGISTRY_RESOURCES:
            raise InvalidRequest(f"scope: known registry resources are {', '.join(REGISTRY_RESOURCES)}")
        return Bound((_pattern(name),), actions, "registry")
    if kind != "repository":
        raise InvalidRequest("scope: the type must be repository or registry")
    return Bound((_pattern(name),), frozenset(ACTIONS) if "*" in actions else actions)


def _pattern(text: str) -> Pattern:
    try:
        pattern = parse_pattern(text)
    except PatternError as error:
        raise InvalidRequest(f"scope: the name is no pattern of repositories: {error}") from error
    if any(pattern.uses(kind) for kind in (SegmentKind.USER, SegmentKind.GROUP)):
        raise InvalidRequest("scope: the name has a variable; fix: write out what it stands for")
    return pattern
