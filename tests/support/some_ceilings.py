"""Ceilings of credentials, as short as tests write them."""

from __future__ import annotations

from collections.abc import Iterable

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.patterns import parse_pattern


def ceiling(*bounds: tuple[str, str], services: Iterable[str] | None = None) -> Ceiling:
    """The ceiling of these patterns, each with its actions, separated by commas."""
    parsed = tuple(
        Bound((parse_pattern(pattern),), frozenset(actions.split(",") if actions else ()))
        for pattern, actions in bounds
    )
    return Ceiling(parsed, None if services is None else frozenset(services))
