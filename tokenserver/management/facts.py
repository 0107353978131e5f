"""Stored credentials as commands, pages and the API show them: their state, limits in words, and facts for JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.scopes import in_order

if TYPE_CHECKING:  # the storage takes a while to import, and is not needed without one
    from tokenserver.storage.selection import Listed

SOON = timedelta(days=14)
"""What ends within this time is marked as expiring soon."""

ACTIVE, EXPIRES_SOON, EXPIRED, REVOKED, ALTERED = "active", "expires soon", "expired", "revoked", "altered"
"""The states of secrets and keys. `expired` includes what was unused for too long. `altered` is a row that is not
what this server wrote, and is never accepted."""

LIVE_STATES = frozenset({ACTIVE, EXPIRES_SOON})
"""The states of what can be used."""

EVERYTHING = "**"
"""The pattern of all repositories."""


def state_at(expires: datetime, now: datetime) -> str:
    """The state of a secret that nobody has revoked."""
    if now >= expires:
        return EXPIRED
    return EXPIRES_SOON if now + SOON >= expires else ACTIVE


def state_of(listed: Listed, now: datetime) -> str:
    """The state of a stored credential."""
    if listed.ended is not None:
        return REVOKED
    if not listed.is_genuine:
        return ALTERED
    return state_at(min(_moment(listed.credential.ends), _idle_end(listed)), now)


def is_live(listed: Listed, now: datetime) -> bool:
    """Whether the credential can be used."""
    return state_of(listed, now) in LIVE_STATES


def facts_of(listed: Listed, now: datetime) -> dict[str, Any]:
    """All that may be shown of a credential, for JSON. Nothing in it is secret."""
    one, use = listed.credential, listed.use
    return {
        "id": one.id,
        "state": state_of(listed, now),
        "owner": one.owner,
        "source": one.source,
        "name": one.name,
        "created": spelled(one.created),
        "created_by": one.created_by,
        "created_from": one.created_from,
        "client": one.client,
        "expires": spelled(one.ends),
        "idle_seconds": one.idle,
        "ceiling": None if one.ceiling is None else _ceiling_facts(one.ceiling),
        "networks": [str(network) for network in one.networks],
        "registries": None if registries_of(listed) is None else sorted(registries_of(listed) or ()),
        "replaces": one.replaces,
        "last_used": None if use is None else spelled(use.last),
        "last_used_from": None if use is None else use.last_from,
        "first_used_from": None if use is None else use.first_from,
        "uses": 0 if use is None else use.times,
        "ended": None if listed.ended is None else spelled(listed.ended),
        "ended_by": listed.ended_by,
        "reason": listed.reason,
    }


def registries_of(listed: Listed) -> frozenset[str] | None:
    """The registries where the credential can be used; None: all of them."""
    one = listed.credential
    limits = [one.services, None if one.ceiling is None else one.ceiling.services]
    given = [limit for limit in limits if limit is not None]
    return frozenset[str].intersection(*given) if given else None


def spell_limits(listed: Listed, *, networks: bool = True) -> str:
    """What narrows a credential, in a few words, with or without its networks; empty if nothing does."""
    one = listed.credential
    parts = [] if one.ceiling is None else [spell_bounds(one.ceiling)]
    registries = registries_of(listed)
    if registries is not None:
        parts.append(f"at {', '.join(sorted(registries))}")
    if networks and one.networks:
        parts.append(f"from {', '.join(map(str, one.networks))}")
    return " ".join(part for part in parts if part)


def spell_bounds(ceiling: Ceiling) -> str:
    """The actions and repositories of a ceiling, such as `pull, push on web/**`; empty if it has all of them."""
    if any(bound.type != "repository" for bound in ceiling.bounds):
        return ""
    return "; ".join(map(_spell_bound, ceiling.bounds)) or "nothing"


def spelled(seconds: int) -> str:
    """A moment in seconds since the epoch, in UTC."""
    return spell_moment(_moment(seconds))


def _spell_bound(bound: Bound) -> str:
    actions = ", ".join(action for action in in_order(bound.actions) if action != "*")
    patterns = ", ".join(pattern.text for pattern in bound.patterns if pattern.text != EVERYTHING)
    return f"{actions} on {patterns}" if patterns else actions


def _ceiling_facts(ceiling: Ceiling) -> list[dict[str, Any]]:
    return [
        {
            "type": bound.type,
            "patterns": [pattern.text for pattern in bound.patterns],
            "actions": in_order(bound.actions),
        }
        for bound in ceiling.bounds
    ]


def _idle_end(listed: Listed) -> datetime:
    """When the credential ends if it is not used again."""
    one = listed.credential
    if one.idle is None:
        return _moment(one.ends)
    return _moment(min(one.ends, (one.created if listed.use is None else listed.use.last) + one.idle))


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
