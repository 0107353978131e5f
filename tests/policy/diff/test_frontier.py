"""The best-first search for minimal clients: order, bindings of variables, rivals and their exceptions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tokenserver.identity import Identity, Kind
from tokenserver.policy.analysis.circumstances import Cell
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.diff.frontier import ClientSearch, CoveringRule, Frontier, RulesOnName
from tokenserver.policy.diff.partition import Gains, Partition
from tokenserver.policy.diff.persons import Person, Seeds
from tokenserver.policy.model import Context, Effect, Group, Groups, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

CELL = Cell(Kind.PASSWORD, Context("one", None, datetime(2026, 6, 1, tzinfo=UTC)))
OTHER_CELL = Cell(Kind.PASSWORD, Context("two", None, datetime(2026, 6, 1, tzinfo=UTC)))
GROUPS = Groups.of_all([Group("web", frozenset({"ann"}), frozenset({"web-devs"}))])


def person(user: str = "", *groups: str) -> Person:
    """A person with these known facts."""
    return Person(user, frozenset(groups))


def covering(
    effect: str, to: str, *, but: str = "", bindings: tuple[tuple[str, str], ...] = (("", ""),), at: str = ""
) -> CoveringRule:
    """A rule that covers a name for these users and groups."""
    excluded = principals_of(map(parse_principal, but.split())) if but else None
    principals = principals_of(map(parse_principal, to.split()))
    rule = Rule.of(
        "r", Effect(effect), principals, [], ["pull"], excluded=excluded, services=frozenset({at}) if at else None
    )
    return CoveringRule(rule, GROUPS, list(bindings))


def identity(one: Person, kind: Kind) -> Identity:
    """An identity with exactly these facts."""
    return Identity(one.user or "Somebody", kind, groups=one.groups)


def test_fewest_facts_come_first() -> None:
    """Of equally many, the latest; a person is returned once, and not at all if a known one has no other facts."""
    frontier = Frontier([person("ann", "a"), person("", "b"), person()])
    frontier.push(person("", "c"), person("", "c"))
    frontier.push(person("", "b"), person("", "b"))
    frontier.push(person("", "d"), person("", "d", "e"))
    popped = [frontier.pop([person("", "e")]) for _ in range(len(frontier.pending))]
    assert popped == [
        (person(), person()),
        None,
        (person("", "b"), person("", "b")),
        (person("", "c"), person("", "c")),
        None,
        (person("ann", "a"), person()),
    ]
    assert frontier.pending == []


@pytest.mark.parametrize(
    ("bindings", "expected"),
    [
        pytest.param([("", "")], [person()], id="no-variable"),
        pytest.param([("ann", "")], [person("ann")], id="user"),
        pytest.param([("", "ops")], [person("", "ops")], id="directory-group"),
        pytest.param([("", "web")], [person("", "web-devs"), person("ann")], id="group-of-the-tree"),
        pytest.param([("bob", "web")], [person("bob", "web-devs")], id="both"),
        pytest.param([("ann", ""), ("ann", "")], [person("ann")], id="twice"),
    ],
)
def test_bound_persons(bindings: list[tuple[str, str]], expected: list[Person]) -> None:
    """The minimal persons for which the variables of a pattern have these values."""
    assert list(covering("allow", "everyone", bindings=tuple(bindings)).bound_persons()) == expected


def test_starts_join_all_causing_rules() -> None:
    """Each combination of bindings that one person can have."""
    causing = [
        covering("allow", "everyone", bindings=(("ann", ""), ("bob", ""))),
        covering("deny", "everyone", bindings=(("", "ops"), ("bob", ""))),
    ]
    seeds = Seeds([person("", "qa"), person("bob"), person("eve")])
    assert list(RulesOnName("x", causing, []).starts(seeds)) == [
        (person("", "qa"), [person("ann", "qa", "ops"), person("bob", "qa", "ops"), person("bob", "qa")]),
        (person("bob"), [person("bob", "ops"), person("bob")]),
    ]
    apart = [
        covering("allow", "everyone", bindings=(("ann", ""),)),
        covering("deny", "everyone", bindings=(("bob", ""),)),
    ]
    assert list(RulesOnName("x", apart, []).starts(seeds)) == []


@pytest.mark.parametrize(
    ("one", "bindings", "expected"),
    [
        pytest.param(person("ann"), (("", ""),), True, id="principal"),
        pytest.param(person("bob"), (("", ""),), False, id="another-principal"),
        pytest.param(person("", "web-devs"), (("", "web"),), True, id="bound-group"),
        pytest.param(person("ann"), (("bob", ""),), False, id="bound-to-another-user"),
    ],
)
def test_applies(one: Person, bindings: tuple[tuple[str, str], ...], expected: bool) -> None:
    """The rule means the client, and its variables fit."""
    rule = covering("allow", "group:web", bindings=bindings)
    assert rule.applies(identity(one, Kind.PASSWORD), CELL) is expected


def gains(rules: RulesOnName, *seeds: Person, budget: Budget | None = None) -> list[tuple[list[Cell], Gains]]:
    """The blocks after one search in two cells."""
    partition = Partition([CELL, OTHER_CELL], budget or Budget())
    ClientSearch(seeds, identity, budget or Budget()).search(rules, partition)
    return [(list(partition.cells_of(block)), block.gains) for block in partition.blocks]


BOTH = [CELL, OTHER_CELL]
EVERYONE = covering("allow", "everyone")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(RulesOnName("x", [EVERYONE], []), [(BOTH, {person(): ("x", person())})], id="no-rival"),
        pytest.param(
            RulesOnName("x", [EVERYONE], [covering("deny", "everyone")]), [(BOTH, {})], id="rival-without-exception"
        ),
        pytest.param(
            RulesOnName("x", [EVERYONE], [covering("deny", "user:eve")]),
            [(BOTH, {person(): ("x", person())})],
            id="rival-about-somebody-else",
        ),
        pytest.param(
            RulesOnName("x", [EVERYONE], [covering("deny", "everyone", but="user:bob group:web")]),
            [
                (
                    BOTH,
                    {
                        person("ann"): ("x", person("ann")),
                        person("", "web-devs"): ("x", person("", "web-devs")),
                        person("bob"): ("x", person("bob")),
                    },
                )
            ],
            id="exceptions-of-a-rival",
        ),
        pytest.param(
            RulesOnName("x", [EVERYONE], [covering("deny", "everyone", at="one")]),
            [([CELL], {}), ([OTHER_CELL], {person(): ("x", person())})],
            id="rival-at-one-registry",
        ),
        pytest.param(
            RulesOnName("x", [covering("allow", "everyone", at="two")], []),
            [([CELL], {}), ([OTHER_CELL], {person(): ("x", person())})],
            id="allow-at-one-registry",
        ),
        pytest.param(
            RulesOnName("x", [covering("allow", "user:eve")], []), [(BOTH, {})], id="allow-that-does-not-apply"
        ),
        pytest.param(
            RulesOnName(
                "x",
                [EVERYONE],
                [covering("deny", "everyone", but="group:a"), covering("deny", "everyone", but="group:b")],
            ),
            [(BOTH, {person("", "a", "b"): ("x", person("", "a", "b"))})],
            id="two-rivals",
        ),
        pytest.param(
            RulesOnName(
                "x",
                [EVERYONE],
                [covering("deny", "everyone", but="user:bob"), covering("deny", "everyone", but="user:eve")],
            ),
            [(BOTH, {})],
            id="nobody-is-two-users",
        ),
    ],
)
def test_search(rules: RulesOnName, expected: list[tuple[list[Cell], Gains]]) -> None:
    """Who gains on the name, and in which cells."""
    assert gains(rules, person()) == expected


def test_what_is_known_is_not_searched_again() -> None:
    """A second name adds only clients that gain with fewer facts."""
    partition = Partition([CELL], Budget())
    search = ClientSearch([person()], identity, Budget())
    search.search(RulesOnName("x", [EVERYONE], [covering("deny", "everyone", but="group:a")]), partition)
    search.search(RulesOnName("y", [EVERYONE], [covering("deny", "everyone", but="group:a group:b")]), partition)
    (block,) = partition.blocks
    assert block.gains == {person("", "a"): ("x", person("", "a")), person("", "b"): ("y", person("", "b"))}
    search.search(RulesOnName("z", [EVERYONE], []), partition)
    assert partition.is_settled


def test_the_search_is_bounded() -> None:
    """Exceptions of many rivals combine."""
    rivals = [covering("deny", "everyone", but=f"group:a{number} group:b{number}") for number in range(20)]
    with pytest.raises(TooComplex):
        gains(RulesOnName("x", [EVERYONE], rivals), person(), budget=Budget(500))
