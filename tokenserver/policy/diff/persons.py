"""Persons: the relevant part of clients in a comparison of two trees, whether they are people or machines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tokenserver.identity import Claims, Sort
from tokenserver.policy.machines.robots import robot_of


@dataclass(frozen=True, slots=True)
class Person:
    """The relevant part of a client: its user name (empty: a user that no rule names), and its directory groups.

    `namespace` is the value of `${user}` where user sources map names; empty: one that matches nothing. The `user` of a
    robot is its subject. A workload has `claims` and, in `groups`, the workloads that it was chosen to be; `source`
    empty: as yet of any source.
    """

    user: str = ""
    groups: frozenset[str] = frozenset()
    anonymous: bool = False
    namespace: str = ""
    source: str = ""
    claims: Claims = frozenset()

    @property
    def sort(self) -> Sort:
        """Whether it is a person, a robot or a workload."""
        if self.source or self.claims:
            return Sort.WORKLOAD
        return Sort.USER if robot_of(self.user) is None else Sort.ROBOT

    def joined(self, other: Person) -> Person | None:
        """A client that is both; None if no client can be both."""
        if other is ANYONE or other == ANYONE:
            return self
        if self == ANYONE:
            return other
        if self.anonymous or other.anonymous or self.sort is not other.sort:
            return None
        for mine, others in ((self.user, other.user), (self.namespace, other.namespace), (self.source, other.source)):
            if mine and others and mine != others:
                return None
        namespace, source = self.namespace or other.namespace, self.source or other.source
        return Person(
            self.user or other.user,
            self.groups | other.groups,
            namespace=namespace,
            source=source,
            claims=self.claims | other.claims,
        )

    def __le__(self, other: Person) -> bool:
        """Whether every client like `other` is also one like this."""
        return (
            (not self.user or self.user == other.user)
            and (not self.namespace or self.namespace == other.namespace)
            and (not self.source or self.source == other.source)
            and self.groups <= other.groups
            and self.claims <= other.claims
        )

    @property
    def size(self) -> int:
        """The number of known facts."""
        return bool(self.user) + bool(self.namespace) + len(self.groups)

    def order(self) -> tuple[object, ...]:
        """What persons are sorted by: those with fewest facts first."""
        return (self.size, self.user, self.namespace, sorted(self.groups), self.source, sorted(self.claims))


ANYONE = Person()
"""A client of which nothing is known."""


class Seeds:
    """The minimal persons that a cause means, simplest first, by their user names: robots differ in nothing else."""

    def __init__(self, persons: Sequence[Person]) -> None:
        self._persons = persons
        self._by_user: dict[str, list[int]] = {}
        for number, person in enumerate(persons):
            self._by_user.setdefault(person.user, []).append(number)
        self._sorts = {person.sort for person in persons if person != ANYONE}
        self._lacking = 0

    def joining(self, others: Collection[Person]) -> Iterator[Person]:
        """The seeds that a client may be which is one of the `others`, too; all others never are."""
        users = {one.user for one in others if one == ANYONE or one.sort in self._sorts}
        if "" in users:
            return iter(self._persons)
        numbers = (number for user in (*users, "") for number in self._by_user.get(user, ()))
        return (self._persons[number] for number in sorted(numbers))

    def are_among(self, gains: Collection[Person]) -> bool:
        """Whether each seed has all of the facts of one of the gains."""
        # The seed that was missing last is looked for first, since it usually still is.
        count = len(self._persons)
        for number in (*range(self._lacking, count), *range(self._lacking)):
            seed = self._persons[number]
            if seed not in gains and not any(added <= seed for added in gains):
                self._lacking = number
                return False
        return True
