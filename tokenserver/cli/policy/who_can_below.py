"""The output of `policy who-can` for a pattern: on all of it or on which parts, with exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tokenserver.cli.console.table import table
from tokenserver.patterns import Pattern
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED, AllOf
from tokenserver.policy.queries.who_can import Line, People
from tokenserver.policy.queries.who_can_below import Holding, PartialStop
from tokenserver.policy.queries.who_can_report import (
    condition_facts,
    excepted_from_all,
    key_of,
    people_of,
    spell_conditions,
    spell_stopped,
    unless_facts,
)

_HEADS = ("who", "where", "when", "except", "rule")


def holdings_as_facts(policies: PolicySet, found: Sequence[Holding], of_all: Iterable[AllOf]) -> dict[str, Any]:
    """The answer for `--json`: who can always do it on all of the pattern, and every entry."""
    captured = _captured(policies)
    return {
        "all": [" & ".join(map(str, sorted(who))) for who in of_all],
        "anonymous": any(ANONYMOUS in one.line.who for one in found),
        "access": [_facts(policies, one, captured) for one in found],
    }


def spell_holdings(policies: PolicySet, found: Sequence[Holding], spell_members: Callable[[Principal], str]) -> str:
    """The answer for a terminal: a table without its empty columns, the principals without access, and the members."""
    places = {rule.id: f"{rule.id} ({rule.file}:{rule.line})" for rule in policies.rules}
    captured = _captured(policies)
    people = people_of(policies, [*(one.line for one in found), *_stopping(found)])
    never = excepted_from_all(people, [one.line for one in found])
    rows = [
        (
            _spell_who(one, captured),
            "all of it" if one.is_all else ", ".join(one.parts) + _spell_without(one.without),
            _spell_when(policies, one, captured, never),
            "; ".join(_spell_stop(people, one, stop, captured) for stop in one.stops),
            places[one.line.rule],
        )
        for one in found
    ]
    shown = [place for place in range(len(_HEADS)) if any(row[place] for row in rows)]
    blocks = [table([_HEADS[place] for place in shown], [[row[place] for place in shown] for row in rows])]
    if never:
        blocks.append(f"but never {' or '.join(map(str, sorted(never)))}")
    groups = [Principal("group", name) for name in groups_in(found)]
    if groups:
        blocks.append("members:\n" + "\n".join(f"  {one}: {spell_members(one)}" for one in groups))
    return "\n\n".join(blocks)


def _stopping(found: Iterable[Holding]) -> Iterator[Line]:
    """A line for each entry with its stops, all of whose principals are asked about."""
    yield from (replace(one.line, unless=frozenset(stop.unless for stop in one.stops)) for one in found)


def groups_in(found: Iterable[Holding]) -> list[str]:
    """The groups that entries are listed under."""
    return sorted({_key(one).name for one in found if _key(one).sort == "group"})


def _key(one: Holding) -> Principal:
    """The principal that an entry is listed under: its user, if it has one; the others are conditions then."""
    return key_of(one.line)


def _captured(policies: PolicySet) -> Mapping[str, tuple[str, ...]]:
    """The principals with captures, by the ids of their rules."""
    return {rule.id: rule.capturing for rule in policies.rules if rule.capturing}


def _needed(rule: str, pattern: Pattern, captured: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The groups, with a capture in their names, of which the clients are members; none if the names settle it."""
    return captured[rule] if pattern.captures else ()


def _capturing_facts(needed: Sequence[str]) -> dict[str, list[str]]:
    return {"capturing": list(needed)} if needed else {}


def _spell_who(one: Holding, captured: Mapping[str, tuple[str, ...]]) -> str:
    needed = _needed(one.line.rule, one.pattern, captured)
    return " or ".join(needed) if needed and _key(one) == AUTHENTICATED else str(_key(one))


def _spell_when(
    policies: PolicySet, one: Holding, captured: Mapping[str, tuple[str, ...]], never: set[Principal]
) -> str:
    conditions = spell_conditions(condition_facts(policies, one.line, never))
    needed = _needed(one.line.rule, one.pattern, captured)
    if not needed or _key(one) == AUTHENTICATED:
        return conditions
    return ", ".join(filter(None, [f"if in {' or '.join(needed)}", conditions]))


def _spell_without(without: Sequence[Pattern]) -> str:
    return f" without {' and '.join(one.text for one in without)}" if without else ""


def _facts(policies: PolicySet, one: Holding, captured: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    needed = _needed(one.line.rule, one.pattern, captured)
    return {
        "who": str(_key(one)),
        **_capturing_facts(needed),
        "all": one.is_all and not one.stops,
        "repositories": list(one.parts),
        **_without_facts(one.without),
        "when": condition_facts(policies, one.line, set()),
        "except": [_stop_facts(stop, captured) for stop in one.stops],
        "rule": one.line.rule,
    }


def _stop_facts(stop: PartialStop, captured: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    needed = _capturing_facts(_needed(stop.unless.rule, stop.pattern, captured))
    more = {**needed, **_without_facts(stop.without)}
    return {"repositories": stop.pattern.text, **more, **unless_facts(stop.unless)}


def _without_facts(without: Sequence[Pattern]) -> dict[str, list[str]]:
    return {"not": [one.text for one in without]} if without else {}


def _spell_stop(people: People, one: Holding, stop: PartialStop, captured: Mapping[str, tuple[str, ...]]) -> str:
    """The names on which a deny rule stops clients of the entry, and which ones if not all of them."""
    needed = _needed(stop.unless.rule, stop.pattern, captured)
    names = stop.pattern.text + (f" of {' or '.join(needed)}" if needed else "") + _spell_without(stop.without)
    if not list(people.cut(one.line, stop.unless)):
        return f"{names} ({stop.unless.rule})"
    others = frozenset(who for who in stop.unless.who if not people.follows(one.line.who, who))
    excepted = frozenset(who for who in stop.unless.excepted if people.ways(one.line.who | {who}))
    clients = spell_stopped(unless_facts(replace(stop.unless, who=others, excepted=excepted)))
    return names + (clients if clients.startswith(",") else f" {clients}")
