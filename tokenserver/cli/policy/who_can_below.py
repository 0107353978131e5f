"""The output of `policy who-can` for a pattern: on all of it or on which parts, with exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from tokenserver.cli.console.table import table
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.principals import ANONYMOUS, AllOf
from tokenserver.policy.queries.who_can import People
from tokenserver.policy.queries.who_can_below import Holding, PartialStop
from tokenserver.policy.queries.who_can_report import (
    condition_facts,
    excepted_from_all,
    key_of,
    spell_conditions,
    spell_stopped,
    unless_facts,
)

_HEADS = ("who", "where", "when", "except", "rule")


def holdings_as_facts(found: Sequence[Holding], of_all: Iterable[AllOf]) -> dict[str, Any]:
    """The answer for `--json`: who can always do it on all of the pattern, and every entry."""
    return {
        "all": [" & ".join(map(str, sorted(who))) for who in of_all],
        "anonymous": any(ANONYMOUS in one.line.who for one in found),
        "access": list(map(_facts, found)),
    }


def spell_holdings(policies: PolicySet, found: Sequence[Holding], spell_members: Callable[[Principal], str]) -> str:
    """The answer for a terminal: a table without its empty columns, the principals without access, and the members."""
    places = {rule.id: f"{rule.id} ({rule.file}:{rule.line})" for rule in policies.rules}
    people = People(policies)
    never = excepted_from_all(people, [one.line for one in found])
    rows = [
        (
            str(_key(one)),
            "all of it" if one.is_all else ", ".join(one.parts),
            spell_conditions(condition_facts(one.line, _key(one), never)),
            "; ".join(_spell_stop(people, one, stop) for stop in one.stops),
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


def groups_in(found: Iterable[Holding]) -> list[str]:
    """The groups that entries are listed under."""
    return sorted({_key(one).name for one in found if _key(one).sort == "group"})


def _key(one: Holding) -> Principal:
    """The principal that an entry is listed under: its user, if it has one; the others are conditions then."""
    return key_of(one.line)


def _facts(one: Holding) -> dict[str, Any]:
    return {
        "who": str(_key(one)),
        "all": one.is_all and not one.stops,
        "repositories": list(one.parts),
        "when": condition_facts(one.line, _key(one), set()),
        "except": [{"repositories": stop.pattern.text, **unless_facts(stop.unless)} for stop in one.stops],
        "rule": one.line.rule,
    }


def _spell_stop(people: People, one: Holding, stop: PartialStop) -> str:
    """The names on which a deny rule stops clients of the entry, and which ones if not all of them."""
    if not list(people.cut(one.line, stop.unless)):
        return f"{stop.pattern.text} ({stop.unless.rule})"
    others = frozenset(who for who in stop.unless.who if not people.follows(one.line.who, who))
    excepted = frozenset(who for who in stop.unless.excepted if people.ways(one.line.who | {who}))
    clients = spell_stopped(unless_facts(replace(stop.unless, who=others, excepted=excepted)))
    return stop.pattern.text + (clients if clients.startswith(",") else f" {clients}")
