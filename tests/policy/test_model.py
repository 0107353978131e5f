"""Principals, conditions and groups: who and when a rule is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.index import build_index
from tokenserver.policy.model import (
    Condition,
    Context,
    Effect,
    Group,
    Groups,
    PolicySet,
    Principals,
    Rule,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ANN = Identity("ann", Kind.PASSWORD)


@pytest.mark.parametrize(
    ("principals", "identity", "groups", "expected"),
    [
        pytest.param(Principals(), ANN, frozenset(), False, id="nobody"),
        pytest.param(Principals(everyone=True), ANONYMOUS, frozenset(), True, id="everyone-anonymous"),
        pytest.param(Principals(everyone=True), ANN, frozenset(), True, id="everyone-user"),
        pytest.param(Principals(authenticated=True), ANN, frozenset(), True, id="authenticated-user"),
        pytest.param(Principals(authenticated=True), ANONYMOUS, frozenset(), False, id="authenticated-anonymous"),
        pytest.param(Principals(anonymous=True), ANONYMOUS, frozenset(), True, id="anonymous-anonymous"),
        pytest.param(Principals(anonymous=True), ANN, frozenset(), False, id="anonymous-user"),
        pytest.param(Principals(users=frozenset({"ann"})), ANN, frozenset(), True, id="user"),
        pytest.param(Principals(users=frozenset({"Ann"})), ANN, frozenset(), False, id="user-in-other-case"),
        pytest.param(Principals(users=frozenset({""})), ANONYMOUS, frozenset(), False, id="anonymous-is-no-user"),
        pytest.param(Principals(groups=frozenset({"web"})), ANN, frozenset({"web"}), True, id="group"),
        pytest.param(Principals(groups=frozenset({"web"})), ANN, frozenset({"ops"}), False, id="other-group"),
        pytest.param(
            Principals(groups=frozenset({"web"})), ANONYMOUS, frozenset({"web"}), False, id="anonymous-is-in-no-group"
        ),
    ],
)
def test_principals_include(principals: Principals, identity: Identity, groups: frozenset[str], expected: bool) -> None:
    """Each kind of principal means exactly its people."""
    assert principals.include(identity, groups) is expected


def at(moment: datetime = NOW, client: str | None = None) -> Context:
    return Context("registry", None if client is None else ip_address(client), moment)


TEN = Condition(networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        pytest.param(Condition(), at(), True, id="nothing-asked"),
        pytest.param(Condition(since=NOW), at(), True, id="since-is-included"),
        pytest.param(Condition(since=NOW), at(NOW - timedelta(microseconds=1)), False, id="before-since"),
        pytest.param(Condition(until=NOW), at(), False, id="until-is-excluded"),
        pytest.param(Condition(until=NOW), at(NOW - timedelta(microseconds=1)), True, id="before-until"),
        pytest.param(Condition(kinds=frozenset({Kind.PASSWORD})), at(), True, id="kind"),
        pytest.param(Condition(kinds=frozenset({Kind.ANONYMOUS})), at(), False, id="other-kind"),
        pytest.param(TEN, at(client="10.1.2.3"), True, id="from"),
        pytest.param(TEN, at(client="11.1.2.3"), False, id="from-elsewhere"),
        pytest.param(TEN, at(client="2001:db8::1"), True, id="from-ipv6"),
        pytest.param(TEN, at(client="::ffff:10.1.2.3"), True, id="ipv4-mapped-is-ipv4"),
        pytest.param(TEN, at(client="::ffff:11.1.2.3"), False, id="ipv4-mapped-from-elsewhere"),
        pytest.param(TEN, at(), None, id="from-unknown"),
        pytest.param(Condition(TEN.networks, until=NOW), at(), False, id="false-is-known-in-spite-of-from"),
    ],
)
def test_condition_holds(condition: Condition, context: Context, expected: bool | None) -> None:
    """All parts must hold; an unknown client address makes `from` undecided, unless another part says no."""
    assert condition.holds(Kind.PASSWORD, context) is expected


GROUPS = Groups.of_all(
    [
        Group("web", frozenset({"ann"}), frozenset({"web-devs"})),
        Group("ops", frozenset({"ann"}), frozenset({"admins", "web-devs"})),
        Group("self", frozenset(), frozenset({"self"})),
    ]
)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(ANN, {"web", "ops"}, id="by-user"),
        pytest.param(Identity("eve", Kind.PASSWORD, groups=frozenset({"x"})), {"x"}, id="brought"),
        pytest.param(
            Identity("eve", Kind.PASSWORD, groups=frozenset({"web-devs"})),
            {"web-devs", "web", "ops"},
            id="by-directory-group",
        ),
        pytest.param(Identity("eve", Kind.PASSWORD, groups=frozenset({"web"})), set(), id="tree-hides-brought"),
        pytest.param(Identity("eve", Kind.PASSWORD, groups=frozenset({"self"})), {"self"}, id="taken-in-by-name"),
        pytest.param(
            Identity("", Kind.ANONYMOUS, groups=frozenset({"web-devs"})), set(), id="anonymous-is-in-no-group"
        ),
    ],
)
def test_groups_of_an_identity(identity: Identity, expected: set[str]) -> None:
    """Groups come from the tree and from the identity; the tree's names come first."""
    assert GROUPS.holding(identity) == expected


def test_without_groups_in_the_tree_the_brought_ones_stand() -> None:
    """A tree without groups hides none."""
    brought = frozenset({"a", "b"})
    assert Groups.of_all([]).holding(Identity("ann", Kind.PASSWORD, groups=brought)) == brought


@pytest.mark.parametrize(
    ("effect", "resource_type", "actions", "expected"),
    [
        pytest.param(Effect.ALLOW, "repository", {"*"}, {"pull", "push", "delete", "*"}, id="allow-repository"),
        pytest.param(Effect.ALLOW, "registry", {"*"}, {"*"}, id="allow-registry"),
        pytest.param(Effect.DENY, "registry", {"*"}, {"pull", "push", "delete", "*"}, id="deny-registry"),
        pytest.param(Effect.ALLOW, "repository", {"push"}, {"push"}, id="push-implies-nothing"),
    ],
)
def test_star_of_a_rule(effect: Effect, resource_type: str, actions: set[str], expected: set[str]) -> None:
    """A rule's `*` is spelled out once, when it is made."""
    rule = Rule.of("r", effect, Principals(), [], actions, resource_type=resource_type)
    assert rule.actions == expected


def test_policy_set_counts_its_rules() -> None:
    """Allow and deny together."""
    rules = tuple(Rule.of(f"r{n}", Effect.ALLOW, Principals(), [parse_pattern("a")], ["pull"]) for n in range(3))
    assert PolicySet("", (), rules, Groups.of_all([]), build_index(rules)).rule_count == 3


def test_addresses_compare_across_versions() -> None:
    """An IPv4 client is never in an IPv6 network, not even in the one that holds everything."""
    everything6 = Condition(networks=(ip_network("::/0"),))
    assert everything6.holds(Kind.PASSWORD, Context("r", IPv4Address("10.0.0.1"), NOW)) is False
    assert everything6.holds(Kind.PASSWORD, Context("r", IPv6Address("::ffff:10.0.0.1"), NOW)) is False
