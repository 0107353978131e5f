"""The partition of circumstances: masks of rules, classes of cells, and refinement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest

from tokenserver.identity import Kind
from tokenserver.policy.analysis.circumstances import Cell
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.diff.partition import Gains, Partition
from tokenserver.policy.diff.persons import Person
from tokenserver.policy.model import Condition, Context, Effect, Principals, Rule

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OFFICE = ip_address("10.0.0.1")
CELLS = [
    Cell(Kind.PASSWORD, Context("one", OFFICE, NOW)),
    Cell(Kind.PASSWORD, Context("one", None, NOW)),
    Cell(Kind.PASSWORD, Context("two", OFFICE, NOW + timedelta(days=2))),
    Cell(Kind.ANONYMOUS, Context("two", ip_address("192.0.2.1"), NOW + timedelta(days=2))),
]
ANN, BOB = Person("ann"), Person("bob")


def rule(effect: str = "allow", condition: Condition | None = None, services: frozenset[str] | None = None) -> Rule:
    """A rule for nobody: neither its principals nor its exceptions count."""
    everyone = Principals(everyone=True)
    return Rule.of(
        "r", Effect(effect), Principals(), [], ["pull"], excluded=everyone, condition=condition, services=services
    )


FROM_OFFICE = Condition(networks=(ip_network("10.0.0.0/8"),))
AT_ONE = frozenset({"one"})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(rule(), 0b1111, id="unconditional"),
        pytest.param(rule(services=AT_ONE), 0b0011, id="service"),
        pytest.param(rule(condition=Condition(until=NOW + timedelta(days=1))), 0b0011, id="until"),
        pytest.param(rule(condition=Condition(kinds=frozenset({Kind.ANONYMOUS}))), 0b1000, id="kind"),
        pytest.param(rule(condition=FROM_OFFICE), 0b0101, id="allow-from-a-network"),
        pytest.param(rule("deny", FROM_OFFICE), 0b0111, id="deny-from-a-network-includes-the-unknown-address"),
        pytest.param(rule(condition=FROM_OFFICE, services=AT_ONE), 0b0001, id="service-and-network"),
    ],
)
def test_mask(one: Rule, expected: int) -> None:
    """The cells whose service, address, time and kind the rule admits; computed once for each rule."""
    budget = Budget(2)
    partition = Partition(CELLS, budget)
    assert [partition.mask(one), partition.mask(one)] == [expected] * 2
    assert budget.left >= 0


def test_a_mask_counts_against_the_budget() -> None:
    """Four cells are one step, and each rule is one more."""
    with pytest.raises(TooComplex):
        Partition(CELLS, Budget(1)).mask(rule(services=AT_ONE))


def test_classes() -> None:
    """Cells without a required rule are left out; the others are divided by each further rule, in a fixed order."""
    partition = Partition(CELLS, Budget())
    (block,) = partition.blocks
    service, office = rule(services=AT_ONE), rule(condition=FROM_OFFICE)
    assert partition.classes(block, [], []) == [0b1111]
    assert partition.classes(block, [rule()], [service, office, rule()]) == [0b0001, 0b0010, 0b0100, 0b1000]
    assert partition.classes(block, [service], [office]) == [0b0001, 0b0010]
    assert partition.classes(block, [rule(services=frozenset({"three"}))], [office]) == []


def test_refine() -> None:
    """Cells with equal additions stay in one block, cells without any keep what they had, and none is lost."""
    partition = Partition(CELLS, Budget())
    ann: Gains = {ANN: ("x", ANN)}
    partition.refine(partition.blocks[0], [(0b0001, ann), (0b0100, dict(ann)), (0b0010, {BOB: ("x", BOB)})])
    assert [(block.cells, block.gains) for block in partition.blocks] == [
        (0b1000, {}),
        (0b0101, ann),
        (0b0010, {BOB: ("x", BOB)}),
    ]
    partition.refine(partition.blocks[1], [(0b0101, {BOB: ("y", BOB)})])
    assert [(block.cells, block.gains) for block in partition.blocks][2] == (0b0101, {**ann, BOB: ("y", BOB)})
    assert list(partition.cells_of(partition.blocks[2])) == [CELLS[0], CELLS[2]]
    assert partition.cell(0b0110) == CELLS[1]


def test_refining_by_nothing_changes_nothing() -> None:
    """The blocks stay the same objects."""
    partition = Partition(CELLS, Budget())
    before = list(partition.blocks)
    partition.refine(before[0], [])
    assert partition.blocks == before


def test_settled() -> None:
    """A partition is settled if everyone that the cause means gains in every cell."""
    partition = Partition(CELLS, Budget())
    assert not partition.is_settled
    partition.refine(partition.blocks[0], [(0b0111, {Person(): ("x", ANN)})])
    assert [block.is_settled for block in partition.blocks] == [False, True]
    partition.refine(partition.blocks[0], [(0b1000, {Person(): ("y", BOB)})])
    assert partition.is_settled
