"""Equivalence of two answers to "who can?": for every client, at any time and from any address.

An answer is a list of lines, as found by `holders` or as written in a test. Answers are compared by the clients they
admit, not by spelling: a group of three users equals these three users, and `everyone` equals `authenticated` plus
`anonymous`, and `robots` and `workloads` where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from tokenserver.identity import Identity, Kind
from tokenserver.policy.analysis.circumstances import Circumstances
from tokenserver.policy.analysis.moments import EARLIEST
from tokenserver.policy.model import Context, Effect, Principals, Rule
from tokenserver.policy.principals import AllOf
from tokenserver.policy.queries.who_can import Line, People, Unless
from tokenserver.policy.queries.witnesses import asked


@dataclass(frozen=True, slots=True)
class Stray:
    """A counterexample: one answer admits this client in this context and the other does not.

    The client is all principals of `who`.
    """

    who: AllOf
    identity: Identity
    context: Context


class Agreement:
    """Compares answers about one policy set and the registry `context.service`.

    `kind` is the kind of credential of people that log in; if it is one of machines, only those are compared. With
    `any_time` the answers must agree at every moment, otherwise at `context.now`; likewise `any_address` and
    `context.client`.
    """

    def __init__(self, people: People, kind: Kind, context: Context, *, any_time: bool, any_address: bool) -> None:
        self._people = people
        self._kind = kind
        self._context = context
        self._any_time = any_time
        self._any_address = any_address

    def strays(self, one: Sequence[Line], other: Sequence[Line]) -> Iterator[Stray]:
        """Counterexamples: for each line of `one` that admits a client which no line of `other` admits, the simplest.

        Raises:
            TooComplex: not decided within the budget of `people`.
        """
        known = {nameless(line) for line in other}
        contexts = self._contexts([*one, *other])
        for line in one:
            if nameless(line) in known:
                continue
            found = (self._stray(line, other, context) for context in contexts)
            yield from islice((stray for stray in found if stray is not None), 1)

    def _contexts(self, lines: Sequence[Line]) -> list[Context]:
        """One context per combination of time span and network that the lines' conditions distinguish."""
        conditions = {condition for line in lines for condition in line.conditions}
        rules = [Rule.of("", Effect.ALLOW, Principals(), (), (), condition=condition) for condition in conditions]
        cells = Circumstances.of(rules, (self._kind,), EARLIEST)  # of which only moments and addresses matter
        moments = cells.moments if self._any_time else (self._context.now,)
        clients = list(cells.clients.values()) if self._any_address else [self._context.client]
        # An unknown address makes the simplest counterexample, so it is tried first.
        clients.sort(key=lambda client: client is not None)
        return [Context(self._context.service, client, now) for now in moments for client in clients]

    def _stray(self, line: Line, other: Sequence[Line], context: Context) -> Stray | None:
        """Search for a counterexample in one context.

        It starts with the fewest groups that satisfy the line. Where a line of `other` admits such a client, the
        search adds each principal that could exclude the client from that line.
        """
        pending, seen = {line.who}, set[AllOf]()
        while pending:
            seen |= pending
            following: set[AllOf] = set()
            for who in sorted(pending, key=lambda who: (len(who), sorted(who))):
                for identity in self._people.ways(who):
                    self._people.budget.spend(1 + len(other))
                    client = asked(identity, self._kind)
                    if client is None or not self._is_meant(line, client) or not line.when.holds(client.kind, context):
                        continue
                    stopping = next((one for one in line.unless if self._stops(one, client, context)), None)
                    if stopping is not None:
                        following |= {who | {one} for one in stopping.excepted}
                        continue
                    letting = next((one for one in other if self.lets(one, client, context)), None)
                    if letting is None:
                        return Stray(who, client, context)
                    following |= {who | {one} for one in letting.excepted}
                    following |= {who | one.who for one in letting.unless}
            pending = following - seen
        return None

    def lets(self, line: Line, client: Identity, context: Context) -> bool:
        """Whether the line admits the client in this context."""
        return (
            self._is_meant(line, client)
            and line.when.holds(client.kind, context) is True
            and not any(self._stops(one, client, context) for one in line.unless)
        )

    def _is_meant(self, line: Line | Unless, client: Identity) -> bool:
        is_all = all(self._people.is_one(client, one) for one in line.who)
        return is_all and not any(self._people.is_one(client, one) for one in line.excepted)

    def _stops(self, unless: Unless, client: Identity, context: Context) -> bool:
        # Like a deny rule, it applies where its condition cannot be decided.
        return self._is_meant(unless, client) and unless.when.holds(client.kind, context) is not False


def nameless(line: Line) -> Line:
    """The line without the ids of the rules it was derived from."""
    return replace(line, rule="", unless=frozenset(replace(one, rule="") for one in line.unless))


def filled_in(people: People, expected: Sequence[Line], found: Sequence[Line]) -> list[Line]:
    """The expected lines, with the required groups added to users who have access only as members of a group.

    A test may name such a user alone.
    """
    lines: list[Line] = []
    for line in expected:
        (only,) = line.who if len(line.who) == 1 else (None,)
        if only is not None and only.sort == "user":
            whole = {one.who for one in found if only in one.who}
            plain = people.ways(line.who)
            is_plain = any(all(people.is_one(one, who) for one in plain for who in other.who) for other in found)
            if whole and not is_plain:
                lines += (replace(line, who=who) for who in sorted(whole, key=sorted))
                continue
        lines.append(line)
    return lines
