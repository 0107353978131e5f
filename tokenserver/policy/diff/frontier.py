"""Best-first search for the minimal clients that gain by a cause on one name.

The frontier begins with the minimal persons that the cause means and for which its patterns cover the name. Where a
rival rule applies to one of them, the only way on is to become one of its exceptions: a rule that applies to somebody
still applies if they have more groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import chain

from tokenserver.identity import Identity, Kind
from tokenserver.policy.analysis.circumstances import Cell
from tokenserver.policy.budget import Budget
from tokenserver.policy.decide import objection
from tokenserver.policy.diff.claims import Person, listed, ways
from tokenserver.policy.diff.partition import Gains, Partition
from tokenserver.policy.model import Groups, Principal, Rule

Bindings = list[tuple[str, str]]
"""The users and groups for which the patterns of a rule cover one name (empty: any)."""


@dataclass(frozen=True, slots=True)
class CoveringRule:
    """A rule of one tree, with the groups of that tree, that covers a name."""

    rule: Rule
    groups: Groups
    bindings: Bindings

    def applies(self, identity: Identity, cell: Cell) -> bool:
        """Whether the rule applies to the identity on the name, in the context of the cell."""
        held = self.groups.holding(identity)
        return any(
            user in ("", identity.subject) and (not group or group in held) for user, group in self.bindings
        ) and (objection(self.rule, identity, held, cell.context) is None)

    def bound_persons(self) -> Iterator[Person]:
        """The minimal persons for which the patterns cover the name."""
        for user, group in dict.fromkeys(self.bindings):
            for way in ways(self.groups, Principal("group", group)) if group else (Person(),):
                person = Person(user).joined(way)
                if person is not None:
                    yield person

    def exceptions(self) -> Iterator[Person]:
        """The minimal persons that the rule excepts."""
        for principal in () if self.rule.excluded is None else listed(self.rule.excluded):
            yield from ways(self.groups, principal)


@dataclass(frozen=True, slots=True)
class RulesOnName:
    """The rules that decide whether a cause makes a difference on `name`.

    All `causing` rules must apply to a client, and none of the `rivals` may.
    """

    name: str
    causing: Sequence[CoveringRule]
    rivals: Sequence[CoveringRule]

    def starts(self, seed: Person) -> list[Person]:
        """The minimal persons that are `seed` and for which the causing rules cover the name."""
        persons = [seed]
        for one in self.causing:
            bound = list(one.bound_persons())
            joined = (person.joined(other) for person in persons for other in bound)
            persons = [person for person in joined if person is not None]
        return persons


class Frontier:
    """Persons that are still to be tried, each with the facts added so far; fewest facts first, each person once."""

    def __init__(self, persons: Iterable[Person]) -> None:
        self._heap: list[tuple[int, int, Person, Person]] = []
        self._pushed = 0
        self._seen: set[Person] = set()
        for person in persons:
            self.push(person, Person())

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, person: Person, added: Person) -> None:
        """Add a person. Of several with equally many facts, the latest is tried first."""
        self._pushed += 1
        heappush(self._heap, (person.size, -self._pushed, person, added))

    def pop(self, known: Iterable[Person]) -> tuple[Person, Person] | None:
        """Take the next entry; None if the person was tried before, or a `known` one has no other added facts."""
        _, _, person, added = heappop(self._heap)
        if person in self._seen or any(one <= added for one in known):
            return None
        self._seen.add(person)
        return person, added


class ClientSearch:
    """The search for the minimal clients that gain by one cause.

    `seeds` are the minimal persons that the cause means, simplest first. `identity` makes an identity that is exactly a
    person. Methods raise `TooComplex` when `budget` is exceeded.
    """

    def __init__(self, seeds: Sequence[Person], identity: Callable[[Person, Kind], Identity], budget: Budget) -> None:
        self._seeds = seeds
        self._identity = identity
        self._budget = budget

    def search(self, rules: RulesOnName, partition: Partition) -> None:
        """Refine the partition by the clients that gain on one name and are not known to gain yet."""
        starts = [rules.starts(seed) for seed in self._seeds]
        causing, rivals = ([one.rule for one in of] for of in (rules.causing, rules.rivals))
        for block in [block for block in partition.blocks if not block.is_settled]:
            additions: list[tuple[int, Gains]] = []
            for cells in partition.classes(block, causing, rivals):
                active = [one for one in rules.rivals if partition.mask(one.rule) & cells]
                gains: Gains = {}
                for persons in starts:
                    self._gain(Frontier(persons), rules, active, partition.cell(cells), block.gains, gains)
                if gains:
                    additions.append((cells, gains))
            partition.refine(block, additions)

    def _gain(  # noqa: PLR0917 - one search
        self,
        frontier: Frontier,
        rules: RulesOnName,
        rivals: Sequence[CoveringRule],
        cell: Cell,
        known: Gains,
        gains: Gains,
    ) -> None:
        """Add to `gains` what the frontier reaches and neither `known` nor `gains` cover."""
        while frontier:
            self._budget.spend(1 + (len(frontier) + len(known) + len(gains) + len(rivals)) // 16)
            entry = frontier.pop(chain(known, gains))
            if entry is None:
                continue
            person, added = entry
            identity = self._identity(person, cell.kind)
            if not all(one.applies(identity, cell) for one in rules.causing):
                continue
            rival = next((one for one in rivals if one.applies(identity, cell)), None)
            if rival is None:
                gains[added] = rules.name, person
                continue
            for exception in rival.exceptions():
                more, extra = person.joined(exception), added.joined(exception)
                if more is not None and extra is not None:
                    frontier.push(more, extra)
