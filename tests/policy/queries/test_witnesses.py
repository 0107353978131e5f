"""Witnesses: clients that stand for all clients of a kind."""

from __future__ import annotations

import pytest
from who_can_rules import TREE, answer, policy_set

from tokenserver.identity import Kind
from tokenserver.policy.model import Group, Groups, PolicySet, Principal
from tokenserver.policy.queries.witnesses import TooManyCombinations, examples


def test_examples_stand_for_their_principal() -> None:
    """Each user named in an answer, and an unnamed one for each directory group."""
    policies = policy_set(groups=TREE)
    found = {(one.subject, one.groups) for one in examples(policies, answer("group:web"), Kind.PASSWORD)}
    assert found == {("ann", frozenset()), ("bob", frozenset()), ("\0", frozenset({"web-devs"}))}
    assert examples(policies, answer("anonymous & user:ann"), Kind.PASSWORD) == []


def test_examples_of_many_groups_are_bounded() -> None:
    """Ten groups, each of ten groups of a directory, can be entered in ten billion ways."""
    groups = [Group(f"g{one}", groups=frozenset(f"d{one}-{two}" for two in range(10))) for one in range(10)]
    tree = PolicySet("", (), (), Groups.of_all(groups), {})
    answer = frozenset(Principal("group", group.name) for group in groups)
    with pytest.raises(TooManyCombinations, match="more than 10000 combinations"):
        examples(tree, answer, Kind.PASSWORD)
