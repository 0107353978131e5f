"""Circumstances: one context for all that no condition distinguishes."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_strategies import networks
from policy_folders import NOW

from tokenserver.identity import Kind
from tokenserver.policy.analysis.circumstances import Circumstances
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.model import Condition, Effect, Rule
from tokenserver.policy.networks import Network, have_network, prefixes_of
from tokenserver.policy.patterns import parse_pattern
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal


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
        inner = [
            other for other in (*every, mapped) if other != network and have_network(prefixes_of([network]), other)
        ]
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
