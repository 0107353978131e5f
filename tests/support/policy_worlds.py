"""Random small worlds for questions about policies: rules with conditions, and all that can be asked about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import product

from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Identity, Kind, NamespaceRule, Namespaces
from tokenserver.patterns import parse_pattern
from tokenserver.policy.index import FEW, build_index
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

TIMES = [datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2026, 2030)]
ADDRESSES = [None, ip_address("10.0.0.1"), ip_address("10.9.0.1"), ip_address("192.0.2.1")]
CONTEXTS = [Context("registry", client, now) for client, now in product(ADDRESSES, TIMES)]
USERS = ["ann", "bob", "a"]
GROUPS = ["a", "b", "ab"]
BROUGHT = [*GROUPS, "ann"]
WORDS = ["a", "b", "ann"]
NAMES = ["/".join(words) for count in (1, 2, 3) for words in product(WORDS, repeat=count)]

PRINCIPALS = ["everyone", "authenticated", "anonymous", *(f"user:{u}" for u in USERS), *(f"group:{g}" for g in GROUPS)]

_principals = st.lists(st.sampled_from(PRINCIPALS), min_size=1, max_size=2, unique=True).map(
    lambda found: principals_of(map(parse_principal, found))
)
_patterns = st.lists(
    st.sampled_from(["a", "b", "ann", "*", "a*", "*b", "**", "${user}", "${group}"]), min_size=1, max_size=3
).map(lambda parts: parse_pattern("/".join(parts)))
conditions = st.builds(
    Condition,
    st.sampled_from([(), (ip_network("10.0.0.0/8"),), (ip_network("10.0.0.0/16"), ip_network("192.0.2.0/24"))]),
    st.sampled_from([None, datetime(2025, 1, 1, tzinfo=UTC)]),
    st.sampled_from([None, datetime(2026, 6, 1, tzinfo=UTC)]),
    st.sampled_from([frozenset[Kind](), frozenset({Kind.PASSWORD}), frozenset({Kind.ANONYMOUS})]),
    st.sampled_from([(), (), (ip_network("10.0.0.0/16"),), (ip_network("10.0.0.0/8"), ip_network("192.0.2.0/24"))]),
)
rules = st.builds(
    lambda effect, to, patterns, actions, but, when, services: Rule.of(
        "", effect, to, patterns, actions, excluded=but, condition=when, services=services
    ),
    st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
    _principals,
    st.lists(_patterns, min_size=1, max_size=2),
    st.sets(st.sampled_from(["pull", "push", "*"]), min_size=1),
    st.none() | _principals,
    st.none() | conditions,
    st.sampled_from([None, None, frozenset({"registry"}), frozenset({"other"})]),
)
groups = st.builds(
    Group,
    st.sampled_from(["a", "ab"]),
    st.frozensets(st.sampled_from(USERS), max_size=2),
    st.frozensets(st.sampled_from(GROUPS), max_size=2),
    st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"a"}), frozenset({"ab"}), frozenset({"a", "ab"})]),
)


def policy_set(found: list[Rule], tree: list[Group], few: int = 0) -> PolicySet:
    """The rules, each with an id and a line of its own; `few` is for the index."""
    numbered = [
        Rule.of(
            f"rule-{number}", one.effect, one.to, one.patterns, one.actions, resource_type=one.resource_type,
            excluded=one.excluded, condition=one.condition, services=one.services, file="a.yaml", line=number + 1,
        )
        for number, one in enumerate(found)
    ]  # fmt: skip
    return PolicySet("", ("a.yaml",), tuple(numbered), Groups.of_all(tree), build_index(numbered, few=few))


worlds = st.builds(
    policy_set,
    st.lists(rules, max_size=5),
    st.lists(groups, max_size=2, unique_by=lambda one: one.name),
    st.sampled_from([0, FEW]),
)
unconditional_worlds = st.builds(
    lambda found, tree: policy_set([replace(one, condition=None) for one in found], tree),
    st.lists(rules, max_size=5),
    st.lists(groups, max_size=2, unique_by=lambda one: one.name),
)


def everybody() -> Iterator[Identity]:
    """An anonymous client, and every user with every set of groups, one of them named nowhere."""
    yield ANONYMOUS
    for user in (*USERS, "eve", "b"):
        for bits in range(2 ** len(BROUGHT)):
            brought = frozenset(group for place, group in enumerate(BROUGHT) if bits >> place & 1)
            yield Identity(user, Kind.PASSWORD, groups=brought)


EVERYBODY = list(everybody())
identities = st.sampled_from(EVERYBODY)
names = st.sampled_from(NAMES)
contexts = st.sampled_from(CONTEXTS)


MAPPINGS = [
    Namespaces(frozenset(rules))
    for rules in (
        [NamespaceRule.LOWER],
        [None, NamespaceRule.LOWER],
        [NamespaceRule.SLUG],
        [NamespaceRule.ATTRIBUTE, NamespaceRule.SLUG],
    )
]


def mapped(policies: PolicySet, namespaces: Namespaces) -> PolicySet:
    """The world with sources that map names, in which the user `bob` is called `Ann` instead."""

    def users(names: frozenset[str]) -> frozenset[str]:
        return frozenset("Ann" if name == "bob" else name for name in names)

    def people(found: Principals) -> Principals:
        return replace(found, users=users(found.users))

    made = [
        replace(one, to=people(one.to), excluded=None if one.excluded is None else people(one.excluded))
        for one in policies.rules
    ]
    tree = [replace(one, users=users(one.users)) for one in policies.groups.written.values()]
    return replace(policy_set(made, tree), namespaces=namespaces)


mapped_worlds = st.builds(mapped, worlds, st.sampled_from(MAPPINGS))


def everybody_mapped(namespaces: Namespaces) -> list[Identity]:
    """An anonymous client, and every user with every possible namespace, in some sets of groups."""
    brought = [frozenset(found) for found in ([], ["a"], ["ab", "b"], ["a", "ann"])]
    return [ANONYMOUS] + [
        Identity(user, Kind.PASSWORD, groups=groups, namespace=namespace)
        for user in ("ann", "Ann", "a", "ANN", "A!", "b", "?")
        for namespace in (*WORDS, "")
        if namespaces.is_possible(user, namespace)
        for groups in brought
    ]
