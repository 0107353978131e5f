"""Random small worlds with robots and workloads: overlapping, implied, of two sources, and known by more claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import policy_worlds as world
from hypothesis import strategies as st

from tokenserver.identity import Claims, Identity, Kind
from tokenserver.patterns import Capture, parse_pattern
from tokenserver.policy.index import FEW, build_index
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.near_misses import declared_among
from tokenserver.policy.machines.robots import Robot, subject_of
from tokenserver.policy.machines.workloads import Required, Workload, membership, where_claims
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import AUTHENTICATED, ROBOTS, WORKLOADS, principals_of
from tokenserver.policy.syntax.machines import workload_identity
from tokenserver.policy.terms import parse_principal


def required(**claims: str) -> Required:
    """Claims that a workload must have; values are separated by blanks."""
    return tuple((name, tuple(map(parse_claim_glob, text.split()))) for name, text in sorted(claims.items()))


def workload(name: str, source: str = "github", **claims: str) -> Workload:
    """A declared workload."""
    return Workload(name, source, required(**claims))


def client(source: str = "github", **claims: str) -> Identity:
    """A workload with these claims; values are separated by blanks."""
    return workload_identity(source, frozenset((name, one) for name, text in claims.items() for one in text.split()))


def robot(name: str) -> Identity:
    """A robot."""
    return Identity(subject_of(name), Kind.ROBOT)


MACHINES = ["a", "ci"]
DECLARED = [
    workload("a", repo="1"),
    workload("main", repo="1", ref="main"),
    workload("any", ref="m*"),
    workload("lab", "gitlab", repo="1 2"),
]
PROD = required(env="prod")
HIDDEN = [where_claims(DECLARED[0], PROD), where_claims(None, PROD)]
"""Those of `when: {claims: {env: prod}}`, on rules to the workload `a` and to all workloads."""

SETS = ["robots", "workloads"]
PRINCIPALS = [
    *world.PRINCIPALS,
    *SETS,
    *(f"robot:{name}" for name in MACHINES),
    *(f"workload:{one.name}" for one in DECLARED),
]
VALUES = {"repo": ["", "1", "2", "1 2"], "ref": ["", "main", "dev"], "env": ["", "prod"]}


def policy_set(
    rules: Sequence[Rule],
    groups: Sequence[Group] = (),
    workloads: Sequence[Workload] = (*DECLARED, *HIDDEN),
    robots: Sequence[str] = MACHINES,
    few: int = 0,
) -> PolicySet:
    """The rules, each with a line of its own, and what is declared."""
    numbered = [
        replace(one, id=one.id or f"rule-{number}", file=one.file or "a.yaml", line=one.line or number + 1)
        for number, one in enumerate(rules)
    ]
    declared: Mapping[str, Robot] = {name: Robot(name) for name in robots}
    tree = Groups.of_all(groups, workloads)
    return PolicySet("", ("a.yaml",), tuple(numbered), tree, build_index(numbered, few=few), robots=declared)


_principals = st.lists(st.sampled_from(PRINCIPALS), min_size=1, max_size=2, unique=True).map(
    lambda found: principals_of(map(parse_principal, found))
)
_where = st.sampled_from([Principals(groups=frozenset({membership(one.name)})) for one in HIDDEN])
conditions = st.builds(
    lambda condition, kinds: replace(condition, kinds=kinds),
    world.conditions,
    st.sampled_from([frozenset[Kind](), *(frozenset({kind}) for kind in (Kind.PASSWORD, Kind.ROBOT, Kind.WORKLOAD))]),
)
_TEXTS = ["a", "b", "ann", "*", "a*", "**", "${user}", "${group}"]


def _patterns(texts: list[str], *captures: Capture) -> st.SearchStrategy[tuple[object, ...]]:
    one = st.lists(st.sampled_from(texts), min_size=1, max_size=3).map("/".join)
    if captures:
        one = one.filter(lambda text: "${t}" in text)
    parsed = one.map(lambda text: parse_pattern(text, "t" if captures else "", captures))
    return st.lists(parsed, min_size=1, max_size=2).map(tuple)


_plain_rules = st.builds(
    lambda effect, to, patterns, actions, but, when: Rule.of(
        "", effect, to, patterns, actions, excluded=but, condition=when
    ),
    st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
    _principals | _where,
    _patterns(_TEXTS),
    st.sets(st.sampled_from(["pull", "push", "*"]), min_size=1),
    st.none() | _principals,
    st.none() | conditions,
)
_captured_rules = st.builds(
    lambda rule, patterns: replace(
        rule,
        to=principals_of([AUTHENTICATED, ROBOTS, WORKLOADS]),
        patterns=patterns,
        capturing=("group:a{t}",),
    ),
    _plain_rules,
    _patterns([*_TEXTS[:6], "${t}", "${t}"], Capture("a", "")),
)
rules = _plain_rules | _captured_rules
_members = [subject_of(name) for name in MACHINES]
groups = st.builds(
    lambda group, robots, workloads: replace(group, users=group.users | robots, groups=group.groups | workloads),
    world.groups,
    st.frozensets(st.sampled_from(_members), max_size=2),
    st.frozensets(st.sampled_from([membership(one.name) for one in DECLARED]), max_size=2),
)
_declared = st.lists(st.sampled_from(DECLARED), unique=True, min_size=1).map(lambda some: [*some, *HIDDEN])
_trees = st.lists(groups, max_size=2, unique_by=lambda one: one.name)
worlds = st.builds(
    lambda found, tree, declared, few: policy_set(found, tree, declared, few=few),
    st.lists(rules, max_size=4), _trees, _declared, st.sampled_from([0, FEW]),
)  # fmt: skip
unconditional_worlds = st.builds(
    lambda found, tree: policy_set([replace(one, condition=None) for one in found], tree),
    st.lists(rules, max_size=4),
    _trees,
)


def all_claims() -> list[Claims]:
    """The claims of every kind of workload that the worlds distinguish."""
    return [
        client(**dict(zip(VALUES, values, strict=True))).claims for values in product(*VALUES.values()) if any(values)
    ]


CLIENTS = [workload_identity(source, claims) for source in ("github", "gitlab") for claims in all_claims()]
ROBOT_CLIENTS = [robot(name) for name in MACHINES]
identities = st.sampled_from(ROBOT_CLIENTS) | st.sampled_from(CLIENTS)


def are_let_in(policies: PolicySet, identity: Identity) -> bool:
    """Whether the client can log in: a workload that is none of the declared ones cannot, nor another robot."""
    if identity.kind is Kind.WORKLOAD:
        return declared_among(policies.groups.holding(identity)) != ()
    return identity.kind is not Kind.ROBOT or identity.subject in {one.subject for one in policies.robots.values()}
