"""Circumstances: one context for all that no condition distinguishes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

import policy_worlds as world
import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_strategies import networks
from policy_folders import NOW

from tokenserver.identity import PEOPLE, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.circumstances import OTHER_SERVICE, UNKNOWN, Cell, Circumstances
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.model import Condition, Context, Effect, Rule
from tokenserver.policy.networks import Network
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_moment, parse_principal


def test_the_circumstances_of_many_conditions_are_bounded() -> None:
    """Networks times moments times registries are told apart, as long as they are few enough."""
    networks = tuple(ip_network(f"10.{number // 256}.{number % 256}.0/24") for number in range(2_000))
    conditions = [Condition(networks), *(Condition(until=NOW + timedelta(days=day)) for day in range(1, 500))]
    everyone = principals_of([parse_principal("everyone")])
    many = [
        Rule.of(f"r{number}", Effect.ALLOW, everyone, [parse_pattern("a")], {"pull"}, condition=condition)
        for number, condition in enumerate(conditions)
    ]
    with pytest.raises(TooComplex):
        Circumstances.of(many, [Kind.PASSWORD], NOW)
    few = Circumstances.of(many[:1], [Kind.PASSWORD], NOW)
    assert len(few.clients) == len(networks) + 3
    assert len(few.cells()) == len(few.clients)


@given(st.lists(networks, min_size=1, max_size=8))
def test_each_network_has_a_client_of_its_own(found: list[Network]) -> None:
    """An address that lies in it and in none within it; none, where those within leave no room."""
    everyone = principals_of([parse_principal("everyone")])
    rule = Rule.of("r", Effect.ALLOW, everyone, [parse_pattern("a")], {"pull"}, condition=Condition(tuple(found)))
    clients = Circumstances.of([rule], [Kind.PASSWORD], NOW).clients
    every = {*found, ip_network("0.0.0.0/0"), ip_network("::/0")}
    mapped = ip_network("::ffff:0:0/96")
    for network in every:
        inner = [other for other in (*every, mapped) if other != network and _is_inside(other, network)]
        client = clients.get(network)
        if client is not None:
            assert client in network
            assert not any(client in other for other in inner)
        else:
            starts = sorted(int(one.network_address) for one in inner)
            assert starts[0] == int(network.network_address)
            ends = sorted((int(one.network_address), int(one.broadcast_address)) for one in inner)
            reach = ends[0][1]
            for _, (start, end) in pairwise(ends):
                assert start <= reach + 1
                reach = max(reach, end)
            assert reach == int(network.broadcast_address)
    assert clients[None] is None


def kinds_of_cells(*asked: set[Kind]) -> dict[Kind, tuple[Kind, ...]]:
    """What is tried of all kinds, where rules ask for these kinds."""
    everyone = principals_of([parse_principal("everyone")])
    rules = [
        Rule.of("r", Effect.ALLOW, everyone, [parse_pattern("a")], {"pull"}, condition=Condition(kinds=frozenset(one)))
        for one in asked
    ]
    return dict(Circumstances.of(rules, Kind, NOW).kinds)


def test_kinds_of_people_that_no_rule_tells_apart() -> None:
    """One of them is tried for all; machines and anonymous clients differ from people without a condition."""
    others = {kind: (kind,) for kind in Kind if kind not in PEOPLE}
    people = tuple(kind for kind in Kind if kind in PEOPLE)
    assert people == (Kind.PASSWORD, Kind.OIDC, Kind.KEY)
    assert kinds_of_cells() == {**others, Kind.PASSWORD: people}
    assert kinds_of_cells(set(), set(people)) == {**others, Kind.PASSWORD: people}
    assert kinds_of_cells({Kind.KEY}) == {**others, Kind.PASSWORD: (Kind.PASSWORD, Kind.OIDC), Kind.KEY: (Kind.KEY,)}
    assert kinds_of_cells({Kind.KEY, Kind.OIDC}, {Kind.OIDC, Kind.PASSWORD}) == {kind: (kind,) for kind in Kind}
    everyone = principals_of([parse_principal("everyone")])
    rule = Rule.of(
        "r", Effect.ALLOW, everyone, [parse_pattern("a")], {"pull"}, condition=Condition(kinds=frozenset({Kind.KEY}))
    )
    circumstances = Circumstances.of([rule], people, NOW)
    found = [
        circumstances.merged({cell: cell for cell in circumstances.cells() if cell.kind is kind})
        for kind in circumstances.kinds
    ]
    assert [facts for ((facts, _, _),) in found] == [{"kind": [Kind.OIDC, Kind.PASSWORD]}, {"kind": [Kind.KEY]}]


SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def holds_for(facts: dict[str, Any], cell: Cell) -> bool:
    """Whether a spelled condition holds in a cell, by the words of the contract."""
    now, client = cell.context.now, cell.context.client
    if "service" in facts and cell.context.service not in facts["service"]:
        return False
    if cell.context.service in facts.get("not_service", []):
        return False
    if "kind" in facts and cell.kind not in facts["kind"]:
        return False
    if "since" in facts and now < parse_moment(facts["since"]):
        return False
    if "until" in facts and now >= parse_moment(facts["until"]):
        return False
    if "from" not in facts and "not_from" not in facts:
        return True
    # The narrowest network that contains the address decides; where none does, whether there is a list of networks.
    within, outside = (
        [ip_network(text) for text in facts.get(name, []) if text != UNKNOWN] for name in ("from", "not_from")
    )
    is_default = "from" not in facts
    if client is None:
        return UNKNOWN in facts.get("from", []) or (UNKNOWN not in facts.get("not_from", []) and is_default)
    around = [
        (one.prefixlen, is_in)
        for listed, is_in in ((within, True), (outside, False))
        for one in listed
        if client in one
    ]
    return max(around)[1] if around else is_default


def _is_inside(one: Network, other: Network) -> bool:
    return one.version == other.version and one.network_address in other and one.prefixlen >= other.prefixlen


@given(st.lists(world.rules, max_size=4), st.data())
def test_merged_conditions_hold_in_exactly_the_cells(rules: list[Rule], data: st.DataObject) -> None:
    """Whichever cells are chosen, the conditions that they are merged into hold in these and in no others."""
    circumstances = Circumstances.of(rules, list(Kind)[:2], SINCE)
    cells = circumstances.cells()
    chosen = data.draw(st.sets(st.sampled_from(cells), max_size=len(cells)))
    pieces = circumstances.merged({cell: cell for cell in cells if cell in chosen})
    for cell in cells:
        assert any(holds_for(facts, cell) for facts, _, _ in pieces) is (cell in chosen)
    for facts, cell, value in pieces:
        assert cell == value
        assert holds_for(facts, cell)


@given(st.lists(world.rules, max_size=5), world.contexts, st.sampled_from([Kind.PASSWORD, Kind.ANONYMOUS]))
def test_a_cell_represents_every_context_in_it(rules: list[Rule], context: Context, kind: Kind) -> None:
    """For any context there is a cell in which every condition and every list of registries says the same."""
    circumstances = Circumstances.of(rules, [kind], SINCE)

    def verdicts(of: Context) -> list[tuple[bool, bool | None]]:
        return [
            (
                rule.services is None or of.service in rule.services,
                True if rule.condition is None else rule.condition.holds(kind, of),
            )
            for rule in rules
        ]

    assert verdicts(context) in [verdicts(cell.context) for cell in circumstances.cells()]


def test_without_conditions_there_is_one_cell() -> None:
    """Nothing is distinguished, so one context of any registry is enough; merged, it has no condition."""
    circumstances = Circumstances.of([], [Kind.PASSWORD], SINCE)
    (cell,) = circumstances.cells()
    assert cell == Cell(Kind.PASSWORD, Context(OTHER_SERVICE, None, SINCE))
    assert circumstances.merged({cell: "found"}) == [({}, cell, "found")]
    assert circumstances.merged({}) == []


def test_a_moment_that_is_over_is_no_circumstance() -> None:
    """Only what can still happen is distinguished."""
    everyone = principals_of([parse_principal("everyone")])
    rules = [
        Rule.of(f"r{year}", Effect.ALLOW, everyone, [parse_pattern("a")], {"pull"}, condition=Condition(until=until))
        for year in (2019, 2020, 2021)
        for until in [datetime(year, 1, 1, tzinfo=UTC)]
    ]
    assert Circumstances.of(rules, [Kind.PASSWORD], SINCE).moments == (SINCE, datetime(2021, 1, 1, tzinfo=UTC))
