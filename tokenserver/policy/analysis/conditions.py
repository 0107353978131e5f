"""Symbolic conditions: the part of a rule's `when` that a question leaves open, implication, and spelling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from tokenserver.identity import Kind
from tokenserver.policy.model import Condition, Context, Effect, Rule
from tokenserver.policy.networks import Ranges, are_disjoint, are_within, ranges_of

ALWAYS = Condition()
"""The empty condition, which holds in every context."""


@dataclass(frozen=True, slots=True)
class Given:
    """The circumstances that a question states; conditions on all others stay open.

    With `is_closed`, a missing address counts as unknown, as in a decision.
    """

    service: str
    client: IPv4Address | IPv6Address | None = None
    now: datetime | None = None
    is_closed: bool = False


def left_open(rule: Rule, possible: frozenset[Kind], given: Given) -> Condition | None:
    """The part of the rule's condition that `given` leaves open (`ALWAYS`: none); None if the rule cannot apply.

    `possible` are the kinds of credential that the clients have whom the question is about.
    """
    if rule.services is not None and given.service not in rule.services:
        return None
    condition = rule.condition
    if condition is None:
        return ALWAYS
    if condition.kinds and not condition.kinds & possible:
        return None
    kinds = frozenset[Kind]() if not condition.kinds or condition.kinds >= possible else condition.kinds & possible
    since, until, addresses = condition.since, condition.until, condition.of_address
    if given.now is not None:
        if not Condition(since=since, until=until).holds(Kind.ANONYMOUS, Context("", None, given.now)):
            return None
        since = until = None
    if addresses.needs_address and given.client is not None:
        # Networks do not depend on the time.
        any_time = Context("", given.client, datetime.min.replace(tzinfo=UTC))
        if not addresses.holds(Kind.ANONYMOUS, any_time):
            return None
        addresses = ALWAYS
    if addresses.needs_address and given.is_closed:
        if rule.effect is Effect.ALLOW:
            return None
        addresses = ALWAYS
    return replace(addresses, since=since, until=until, kinds=kinds)


def implies(narrow: Condition, wide: Condition) -> bool:
    """Whether `wide` holds wherever `narrow` does."""
    return (
        (wide.since is None or (narrow.since is not None and narrow.since >= wide.since))
        and (wide.until is None or (narrow.until is not None and narrow.until <= wide.until))
        and (not wide.kinds or (bool(narrow.kinds) and narrow.kinds <= wide.kinds))
        and (not wide.needs_address or (narrow.needs_address and _is_within(narrow, wide)))
    )


def are_apart(one: Condition, other: Condition) -> bool:
    """Whether the two never hold together."""
    return (
        _ends_before(one, other)
        or _ends_before(other, one)
        or bool(one.kinds and other.kinds and not one.kinds & other.kinds)
        or (one.needs_address and other.needs_address and are_disjoint(_ranges(one), _ranges(other)))
    )


def as_facts(condition: Condition) -> dict[str, Any]:
    """The condition as JSON, with the keys of a policy file; empty without a condition."""
    facts: dict[str, Any] = {}
    if condition.networks:
        facts["from"] = [str(network) for network in condition.networks]
    if condition.outside:
        facts["not_from"] = [str(network) for network in condition.outside]
    if condition.since is not None:
        facts["since"] = spell_moment(condition.since)
    if condition.until is not None:
        facts["until"] = spell_moment(condition.until)
    if condition.kinds:
        facts["kind"] = sorted(condition.kinds)
    return facts


def spell_condition(condition: Condition) -> str:
    """The condition in words, such as `from 10.0.0.0/8, until 2027-01-01`; empty without a condition."""
    return ", ".join(f"{key.replace('_', ' ')} {_spell_value(value)}" for key, value in as_facts(condition).items())


def spell_moment(moment: datetime) -> str:
    """A moment in UTC as short as a policy file writes it."""
    text = f"{moment.replace(tzinfo=None).isoformat()}Z"  # `strftime` writes early years with fewer than four digits
    return text.removesuffix("T00:00:00Z")


def _spell_value(value: str | Iterable[str]) -> str:
    return value if isinstance(value, str) else " or ".join(value)


def _ranges(condition: Condition) -> Ranges:
    return ranges_of(condition.networks, condition.outside)


def _is_within(narrow: Condition, wide: Condition) -> bool:
    """Whether every address that one condition admits is admitted by the other one."""
    same = (narrow.networks, narrow.outside) == (wide.networks, wide.outside)
    return same or are_within(_ranges(narrow), _ranges(wide))


def _ends_before(one: Condition, other: Condition) -> bool:
    return one.until is not None and other.since is not None and one.until <= other.since
