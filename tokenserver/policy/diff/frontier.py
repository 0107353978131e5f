"""Best-first search for the minimal clients that gain by a cause on one name.

The frontier begins with the minimal persons that the cause means and for which its patterns cover the name. Where a
rival rule applies to one of them, the only way on is to become one of its exceptions: a rule that applies to somebody
still applies if they have more groups.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from tokenserver.identity import Identity, Kind
from tokenserver.policy.analysis.circumstances import Cell
from tokenserver.policy.budget import Budget
from tokenserver.policy.decide import objection
from tokenserver.policy.diff.claims import listed
from tokenserver.policy.diff.machines import NO_MACHINES, TreeMachines, ways
from tokenserver.policy.diff.partition import Gains, Partition
from tokenserver.policy.diff.persons import ANYONE, Person, Seeds
from tokenserver.policy.model import Groups, Principal, Rule

Bindings = list[tuple[str, str]]
"""The users and groups for which the patterns of a rule cover one name (empty: any)."""


@dataclass(frozen=True, slots=True)
class CoveringRule:
    """A rule of one tree, with the groups and machines of that tree, that covers a name.

    `maps_names`: the users in `bindings` are namespaces, which user sources map names to.
    """

    rule: Rule
    groups: Groups
    bindings: Bindings
    maps_names: bool = False
    machines: TreeMachines = NO_MACHINES

    def applies(self, identity: Identity, cell: Cell) -> bool:
        """Whether the identity can log in, and the rule applies to it on the name, in the context of the cell."""
        if not self.machines.admits(identity):
            return False
        held = self.groups.holding(identity)
        return any(
            user in ("", identity.user_value) and (not group or group in held) for user, group in self.bindings
        ) and (objection(self.rule, identity, held, cell.context) is None)

    def bound_persons(self) -> Iterator[Person]:
        """The minimal persons for which the patterns cover the name."""
        for user, group in dict.fromkeys(self.bindings):
            for way in ways(self.groups, Principal("group", group), self.machines) if group else (ANYONE,):
                bound = Person(namespace=user) if self.maps_names else Person(user)
                person = bound.joined(way) if user else way
                if person is not None:
                    yield person

    def exceptions(self) -> Iterator[Person]:
        """The minimal persons that the rule excepts."""
        for principal in () if self.rule.excluded is None else listed(self.rule.excluded):
            yield from ways(self.groups, principal, self.machines)


@dataclass(frozen=True, slots=True)
class RulesOnName:
    """The rules that decide whether a cause makes a difference on `name`.

    All `causing` rules must apply to a client, and none of the `rivals` may.
    """

    name: str
    causing: Sequence[CoveringRule]
    rivals: Sequence[CoveringRule]

    def starts(self, seeds: Seeds) -> Iterator[tuple[Person, list[Person]]]:
        """The seeds for which the causing rules can cover the name, each with the minimal persons for which they do."""
        bounds = [list(one.bound_persons()) for one in self.causing]
        for seed in seeds.joining(bounds[0]):
            persons = [seed]
            for bound in bounds:
                joined = [person.joined(other) for person in persons for other in bound]
                persons = [person for person in joined if person is not None]
            if persons:
                yield seed, persons


class Frontier:
    """Persons that are still to be tried, each with the facts added so far; fewest facts first, each person once.

    `pending` is a heap: number of facts, order among equals, person, and its added facts.
    """

    def __init__(self, persons: Iterable[Person], added: Person = ANYONE) -> None:
        self.pending = [(person.size, -number, person, added) for number, person in enumerate(persons)]
        self._pushed = len(self.pending)
        self._seen: set[Person] = set()
        heapify(self.pending)

    def push(self, person: Person, added: Person) -> None:
        """Add a person. Of several with equally many facts, the latest is tried first."""
        heappush(self.pending, (person.size, -self._pushed, person, added))
        self._pushed += 1

    def extend(self, person: Person, added: Person, facts: Iterable[Person]) -> None:
        """Add the persons that are `person` and have one of these further facts."""
        for one in facts:
            more, extra = person.joined(one), added.joined(one)
            if more is not None and extra is not None:
                self.push(more, extra)

    def pop(self, *known: Iterable[Person]) -> tuple[Person, Person] | None:
        """Take the next entry; None if the person was tried before, or a `known` one has no other added facts."""
        _, _, person, added = heappop(self.pending)
        if person in self._seen or any(one <= added for persons in known for one in persons):
            return None
        self._seen.add(person)
        return person, added


class ClientSearch:
    """The search for the minimal clients that gain by one cause.

    `seeds` are the minimal persons that the cause means, simplest first. `identity` makes an identity that is exactly a
    person; None: nobody can be. Those `apart` are facts of their own: only where all seeds gain, everyone whom the
    cause means does. Methods raise `TooComplex` when `budget` is exceeded.
    """

    def __init__(
        self,
        seeds: Sequence[Person],
        identity: Callable[[Person, Kind], Identity | None],
        budget: Budget,
        apart: Collection[Person] = (),
    ) -> None:
        self._seeds = Seeds(seeds)
        self._apart = apart
        self._identity = identity
        self._budget = budget

    def search(self, rules: RulesOnName, partition: Partition) -> None:
        """Refine the partition by the clients that gain on one name and are not known to gain yet."""
        starts = list(rules.starts(self._seeds))
        for block in [block for block in partition.blocks if not block.is_settled]:
            additions: list[tuple[int, Gains]] = []
            causing, rivals = (one.rule for one in rules.causing), (one.rule for one in rules.rivals)
            for cells in partition.classes(block, causing, rivals):
                gains: Gains = {}
                for seed, persons in starts:
                    frontier = Frontier(persons, seed if seed in self._apart else ANYONE)
                    self._gain(frontier, rules, partition.cell(cells), block.gains, gains)
                if self._apart and gains:
                    self._join(block.gains, gains)
                if gains:
                    additions.append((cells, gains))
            partition.refine(block, additions)

    def _join(self, known: Gains, gains: Gains) -> None:
        """Add everyone to `gains` if each seed gains, there or by what is `known`."""
        every = known | gains
        if self._seeds.are_among(every):
            gains[ANYONE] = next(iter(every.values()))

    def _gain(self, frontier: Frontier, rules: RulesOnName, cell: Cell, known: Gains, gains: Gains) -> None:
        """Add to `gains` what the frontier reaches and neither `known` nor `gains` cover."""
        while frontier.pending:
            self._budget.spend(1 + (len(frontier.pending) + len(known) + len(gains) + len(rules.rivals)) // 16)
            entry = frontier.pop(known, gains)
            if entry is None:
                continue
            person, added = entry
            identity = self._identity(person, cell.kind)
            if identity is None or not all(one.applies(identity, cell) for one in rules.causing):
                continue
            for rival in rules.rivals:
                if rival.applies(identity, cell):
                    frontier.extend(person, added, rival.exceptions())
                    break
            else:
                gains[added] = rules.name, person
