"""Random small worlds with robots and workloads beside people, and all clients that can be asked about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

import policy_worlds as world
from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import Capture, parse_pattern
from tokenserver.policy.index import FEW, build_index
from tokenserver.policy.machines.claim_globs import accepts, parse_claim_glob
from tokenserver.policy.machines.robots import Robot, subject_of
from tokenserver.policy.machines.workloads import (
    Required,
    Workload,
    membership,
    shown_workload,
    where_claims,
    workload_of,
)
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.networks import ranges_of
from tokenserver.policy.principals import AUTHENTICATED, ROBOTS, WORKLOADS, principals_of
from tokenserver.policy.terms import parse_principal

USERS = ["ann", "a"]
GROUPS = ["a", "b", "g-a"]
ROBOTS_ = ["ci", "bot", "a", "idle"]
SOURCES = ["gh", "gl"]
VALUES = {"e": ["x", "y", "z"], "r": ["x", "y"]}
WORDS = ["a", "b", "x-a"]
NAMES = ["/".join(words) for count in (1, 2) for words in product(WORDS, repeat=count)]


def claims(**values: str) -> Required:
    """Claims with the values that are separated by `|`."""
    return tuple((name, tuple(map(parse_claim_glob, text.split("|")))) for name, text in sorted(values.items()))


WORKLOADS_ = [
    Workload("ex", "gh", claims(e="x")),
    Workload("ey", "gh", claims(e="y")),
    Workload("exy", "gh", claims(e="x|y")),
    Workload("any", "gh", claims(e="*")),
    Workload("rx", "gh", claims(r="x")),
    Workload("both", "gh", claims(e="x", r="x")),
    Workload("lx", "gl", claims(e="x")),
    Workload("lr", "gl", claims(r="x|y")),
]
DEMANDED = [claims(e="x"), claims(r="y"), claims(e="x|y", r="x")]
CAPTURES = {"group:g-{t}": Capture("g-", ""), "group:{t}": Capture("", "")}

PRINCIPALS = [
    *("everyone", "everyone", "authenticated", "anonymous", "robots", "robots", "workloads", "workloads"),
    *("user:ann", "group:a", "group:a", "group:b", "group:g-a", "robot:ci", "robot:bot", "robot:a"),
    *(f"workload:{one.name}" for one in WORKLOADS_[:7]),
]
principals = st.lists(st.sampled_from(PRINCIPALS), min_size=1, max_size=2, unique=True).map(
    lambda found: principals_of(map(parse_principal, found))
)
KINDS = [
    *([frozenset[Kind]()] * 2),
    *(frozenset({kind}) for kind in Kind),
    frozenset({Kind.ROBOT, Kind.PASSWORD}),
    frozenset({Kind.WORKLOAD, Kind.ROBOT}),
    frozenset({Kind.WORKLOAD, Kind.ANONYMOUS}),
]
conditions = st.builds(
    lambda one, kinds: replace(one, kinds=kinds),
    world.conditions.filter(lambda one: bool(ranges_of(one.networks, one.outside)) or not one.needs_address),
    st.sampled_from(KINDS),
)
_plain = st.lists(st.sampled_from(["a", "*", "**", "${group}", "x-${group}", "${user}"]), min_size=1, max_size=2)
_captured = st.lists(st.sampled_from(["a", "*", "${t}", "x-${t}"]), min_size=1, max_size=2).map("/".join)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """A rule of any form; one with claims is to hidden workloads."""
    form = draw(st.sampled_from(["plain", "plain", "plain", "captured", "claims"]))
    to, written = draw(principals), draw(st.sampled_from(list(CAPTURES)))
    patterns = [parse_pattern("/".join(parts)) for parts in draw(st.lists(_plain, min_size=1, max_size=2))]
    if form == "captured":
        to = principals_of([AUTHENTICATED, ROBOTS, WORKLOADS])
        text = draw(_captured.filter(lambda one: "${t}" in one))
        patterns = [parse_pattern(text, "t", (CAPTURES[written],))]
    if form == "claims":
        base = draw(st.sampled_from([None, *WORKLOADS_]))
        hidden = where_claims(base, draw(st.sampled_from(DEMANDED)))
        to = Principals(groups=frozenset({membership(hidden.name)}))
    return Rule.of(
        "", draw(st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY])), to, patterns, ["pull"],
        excluded=draw(st.none() | principals), condition=draw(st.none() | conditions),
        capturing=(written,) if form == "captured" else (),
    )  # fmt: skip


@st.composite
def groups(draw: st.DrawFn) -> Group:
    """A group of the tree with any members."""
    users = draw(st.frozensets(st.sampled_from(USERS), max_size=1))
    robots = draw(st.frozensets(st.sampled_from(ROBOTS_[:3]), max_size=2))
    workloads = draw(st.frozensets(st.sampled_from([one.name for one in WORKLOADS_]), max_size=2))
    brought = draw(st.frozensets(st.sampled_from(["b", "d"]), max_size=1))
    name = draw(st.sampled_from(["a", "g-a"]))
    return Group(name, users.union(map(subject_of, robots)), brought.union(map(membership, workloads)))


def policy_set(
    found: list[Rule],
    tree: list[Group],
    robots: list[str],
    declared: list[Workload],
    few: int = 0,
    others: Iterable[Workload] = (),
) -> PolicySet:
    """The rules, each with an id and a line of its own. Workloads that the claims of rules need are added."""
    numbered = [replace(one, id=f"rule-{number}", file="a.yaml", line=number + 1) for number, one in enumerate(found)]
    named = frozenset(group for one in found for group in one.to.groups)
    made = (where_claims(base, more) for base in (None, *declared) for more in DEMANDED)
    hidden = [one for one in made if membership(one.name) in named]
    table = Groups.of_all(tree, [*declared, *hidden, *others])
    index = build_index(numbered, few=few)
    return PolicySet("", ("a.yaml",), tuple(numbered), table, index, robots={one: Robot(one) for one in robots})


_trees = st.lists(groups(), max_size=2, unique_by=lambda one: one.name)
_robots = st.lists(st.sampled_from(ROBOTS_), max_size=4, unique=True)
_declared = st.lists(st.sampled_from(WORKLOADS_), max_size=5, unique=True)
worlds = st.builds(
    policy_set, st.lists(rules(), min_size=1, max_size=4), _trees, _robots, _declared, st.sampled_from([0, FEW])
)
unconditional_worlds = st.builds(
    lambda found, tree, robots, declared: policy_set(
        [replace(one, condition=None) for one in found], tree, robots, declared
    ),
    *(st.lists(rules(), min_size=1, max_size=4), _trees, _robots, _declared),
)
names = st.sampled_from(NAMES)


def everybody(policies: PolicySet) -> Iterator[Identity]:
    """An anonymous client, people, every declared robot, and each set of claims that a declared workload has."""
    yield ANONYMOUS
    for user in (*USERS, "eve"):
        for bits in product([False, True], repeat=3):
            brought = [group for group, has in zip(["a", "b", "d"], bits, strict=True) if has]
            yield Identity(user, Kind.PASSWORD, groups=frozenset(brought))
        yield Identity(user, Kind.PASSWORD, groups=frozenset({"g-a", "g-b"}))
    yield from (Identity(subject_of(name), Kind.ROBOT) for name in policies.robots)
    yield from (
        one for one in TOKENS if policies.groups.workloads.memberships(one.source, one.claims) - _hidden(policies)
    )


def _hidden(policies: PolicySet) -> frozenset[str]:
    return frozenset(membership(name) for name in policies.groups.workloads.by_name if "\n" in name)


POSSIBLE = frozenset(map(parse_principal, ["user:ann", "user:a", "group:a", "group:b"]))
"""The users and groups of which `everybody` has each combination; patterns can ask for others."""

_PAIRS = [(name, value) for name, values in VALUES.items() for value in values]
TOKENS = [
    Identity(f"workload:{source}:job", Kind.WORKLOAD, source=source, claims=frozenset(chosen))
    for source in SOURCES
    for bits in product([False, True], repeat=len(_PAIRS))
    for chosen in [[pair for pair, has in zip(_PAIRS, bits, strict=True) if has]]
]
"""Workloads of each source with every combination of values, also several of one claim."""


def is_one(policies: PolicySet, identity: Identity, principal: str) -> bool:
    """Whether the identity is the principal, by the words of the contract."""
    held = policies.groups.holding(identity)
    sort, _, name = principal.partition(":")
    if principal.startswith("workloads where "):  # more claims of any workload
        sort, name = "workload", principal.removeprefix("workloads")
    match sort:
        case "everyone":
            return True
        case "anonymous":
            return identity.is_anonymous
        case "authenticated":
            return identity.kind is Kind.PASSWORD
        case "robots":
            return identity.kind is Kind.ROBOT
        case "workloads":
            return identity.kind is Kind.WORKLOAD
        case "user":
            return identity.kind is Kind.PASSWORD and identity.subject == name
        case "robot":
            return identity.kind is Kind.ROBOT and identity.subject == principal
        case "workload":
            names = (one for group in held if (one := workload_of(group)) is not None)
            return identity.kind is Kind.WORKLOAD and name in map(shown_workload, names)
        case _:
            return name in held


def has_claims(identity: Identity, demanded: dict[str, list[str]]) -> bool:
    """Whether each of the claims has one of the values."""
    return all(
        any(one == name and accepts(map(parse_claim_glob, globs), value) for one, value in identity.claims)
        for name, globs in demanded.items()
    )
