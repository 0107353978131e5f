"""Overviews of access for administrators: who can do something, and the matrix, as tables of text."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.model import PolicySet
from tokenserver.policy.queries.matrix import columns_named, matrix, people_named
from tokenserver.policy.queries.who_can import holders
from tokenserver.policy.queries.who_can_report import roster, spell_conditions, spell_members
from tokenserver.scopes import Scope

PAGE_STEPS = 400_000
"""Steps for all questions of one page, a second or two, since it is made while others wait."""

MAX_CELLS = 5_000
"""How many cells the matrix of a page has at most."""


@dataclass(frozen=True, slots=True)
class HolderRow:
    """A principal that can do it, under a condition (empty: always), and its members if it is a group."""

    who: str
    when: str
    members: str


@dataclass(frozen=True, slots=True)
class WhoCanAnswer:
    """Everybody who can do an action on a resource, but for those in `excepted`."""

    action: str
    resource: str
    holders: tuple[HolderRow, ...]
    excepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatrixTable:
    """The matrix as text: a row for each of `people`, with a cell for each of `repositories`."""

    repositories: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def who_can_answer(policies: PolicySet, scope: Scope, service: str) -> WhoCanAnswer:
    """The answer for the one action of the scope, at this registry.

    Raises:
        TooComplex: not decided within the budget of a page.
        TooManyCombinations: the rules combine in too many ways.
    """
    (action,) = scope.actions
    found = roster(policies, holders(policies, action, scope.resource, Given(service), _budget()))
    rows = [
        HolderRow(str(one), condition, spell_members(policies, one))
        for one, answer in found.answers.items()
        for condition in ([""] if answer is True else [spell_conditions(facts) for facts in answer or ()])
    ]
    return WhoCanAnswer(action, scope.resource.name, tuple(rows), tuple(map(str, found.excepted)))


def matrix_table(policies: PolicySet, service: str) -> MatrixTable:
    """What everybody whom rules name may do on every pattern of the rules, at this registry.

    Raises:
        TooComplex: too many cells for a page, or not decided within its budget.
    """
    given = Given(service)
    people, columns = people_named(policies), columns_named(policies, given)
    if len(people) * len(columns) > MAX_CELLS:
        raise TooComplex(
            f"{len(people)} people by {len(columns)} patterns are too many for a page; "
            "fix: run tokenserver policy matrix with --who or --repositories"
        )
    found = matrix(policies, people, columns, given, _budget())
    rows = zip(map(str, found.people), found.cells, strict=True)
    return MatrixTable(found.repositories, tuple((who, tuple(map(str, cells))) for who, cells in rows))


def _budget() -> Budget:
    return Budget(PAGE_STEPS, of="one page")
