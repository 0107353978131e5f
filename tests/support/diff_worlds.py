"""Random pairs of small policy trees that use every word of the language, and all that can be asked about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import product

from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import Capture, Pattern, parse_pattern
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Required, Workload, membership, where_claims
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import AUTHENTICATED, ROBOTS, WORKLOADS, principals_of
from tokenserver.policy.syntax.machines import robot_identity, workload_identity
from tokenserver.policy.terms import parse_principal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
CONTEXTS = [Context("registry", client, now) for client, now in product([None, ip_address("10.0.0.1")], [NOW, LATER])]
CONTEXTS.append(replace(CONTEXTS[0], service="other"))

USERS = ["ann", "a"]
GROUPS = ["a", "r-a-w", "a-x", "s-b"]
"""Groups of the directory, and of the tree; what `r-{t}-w` and the like capture of them are words of names."""
WORDS = ["a", "b", "ann", "x-a", "a-x", "ann-x"]
SHORT = [*WORDS, *("/".join(words) for words in product(WORDS, repeat=2))]
LONG = ["/".join(words) for words in product(["a", "b", "x-a", "ann-x"], repeat=3)]
EVERYBODY = [ANONYMOUS] + [
    Identity(user, Kind.PASSWORD, groups=frozenset(group for place, group in enumerate(GROUPS) if bits >> place & 1))
    for user in (*USERS, "eve")
    for bits in range(2 ** len(GROUPS))
]

_PRINCIPALS = ["everyone", "authenticated", "anonymous", "user:ann", "user:a", "group:a", "group:r-a-w", "group:a-x"]
_principals = st.lists(st.sampled_from(_PRINCIPALS), min_size=1, max_size=2, unique=True).map(
    lambda found: principals_of(map(parse_principal, found))
)

ROBOTS_BY_NAME = ["ci", "cd", "x", "y"]
"""Names of robots; no rule and no group names the last two."""
_PEOPLE = ["everyone", "authenticated", "anonymous", "user:ann", "group:a", "group:r-a-w", "group:a-x"]
_MACHINES = ["robots", "workloads", "robot:ci", "robot:cd", "workload:w", "workload:v", "workload:u"]


def _claims(**globs: str) -> Required:
    """Claims by name, each with globs that are separated by blanks."""
    return tuple(sorted((name, tuple(map(parse_claim_glob, text.split()))) for name, text in globs.items()))


_OF_CLAIMS = {
    "env of w": ("w", _claims(env="prod")),
    "env of all": ("", _claims(env="prod")),
    "ref of v": ("v", _claims(ref="refs/*")),
}
"""What `when: {claims: ...}` can ask of a workload, or of any."""
_CLAIM_SETS = [
    *(_claims(id=text) for text in ("7", "8", "7 8", "*")),
    *(_claims(id="7", env=text) for text in ("prod", "prod dev", "p*", "*")),
    *(_claims(ref=text) for text in ("refs/a", "refs/*", "refs/**", "refs/*/b", "** main", "*/b refs/a")),
    _claims(id="7", ref="refs/** main"),
]
declared_workloads = st.lists(
    st.builds(Workload, st.sampled_from("wvu"), st.sampled_from(["gh", "gh", "gl"]), st.sampled_from(_CLAIM_SETS)),
    max_size=3,
    unique_by=lambda one: one.name,
)
WORKLOADS_BY_CLAIMS = [
    workload_identity(source, frozenset((name, value) for name, values in values_of.items() for value in values))
    for source in ("gh", "gl")
    for values_of in (
        dict(zip(("id", "env", "ref"), values, strict=True))
        for values in product(
            [[], ["7"], ["8"], ["7", "8"]],
            [[], ["prod"], ["dev"], ["pre"]],
            [[], ["refs/a"], ["refs/b"], ["refs/c/b"], ["refs/a/b/c"], ["x/main"], ["main"], ["c/b", "refs/a"]],
        )
    )
]
"""Clients with many combinations of the claims that workloads ask for."""
_robots = st.sets(st.sampled_from(ROBOTS_BY_NAME)).map(sorted)


def _recipients(found: list[str]) -> Principals:
    """These principals as a set; those of `_OF_CLAIMS` by what they stand for."""
    plain = principals_of(parse_principal(one) for one in found if one not in _OF_CLAIMS)
    parts = (part for name, part in _OF_CLAIMS.items() if name in found)
    derived = (where_claims(Workload(base, "", ()), claims) for base, claims in parts)
    return replace(plain, groups=plain.groups.union(membership(one.name) for one in derived))


_clients = st.lists(st.sampled_from([*_PEOPLE, *_MACHINES, *_OF_CLAIMS]), min_size=1, max_size=2, unique=True).map(
    _recipients
)
_PLAIN = ["a", "b", "x-a", "a-x", "*", "**", "a*", "*a", "x-*", "*-x"]
_WITH_VARIABLES = ["${user}", "${group}", "${user}-x", "x-${user}", "x-${group}", "${group}-x", "${group}*", "*${user}"]
_OF_CAPTURES = ["${t}", "${t}", "x-${t}", "${t}-x", "${t}-*", "*${t}"]


def _texts(words: list[str], longest: int = 3) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=longest).map("/".join)


_without = st.lists(_texts(_PLAIN).map(parse_pattern), min_size=1, max_size=2)


def _conditions_with(*kinds: frozenset[Kind]) -> st.SearchStrategy[Condition]:
    return st.builds(
        Condition,
        st.sampled_from([(), (ip_network("10.0.0.0/8"),)]),
        st.just(None),
        st.sampled_from([None, datetime(2028, 1, 1, tzinfo=UTC)]),
        st.sampled_from(kinds),
    )


_conditions = _conditions_with(frozenset(), frozenset({Kind.PASSWORD}))
_conditions_of_machines = _conditions_with(
    *(frozenset(), frozenset({Kind.ROBOT}), frozenset({Kind.WORKLOAD}), frozenset({Kind.PASSWORD, Kind.ROBOT}))
)
_captures = st.lists(
    st.sampled_from([Capture("r-", "-w"), Capture("s-", ""), Capture("", "-x")]), min_size=1, max_size=2, unique=True
)


@st.composite
def _capturing_pattern(draw: st.DrawFn, captures: tuple[Capture, ...]) -> Pattern:
    parts = draw(st.lists(st.sampled_from([*_PLAIN, "${user}", "${user}-x"]), max_size=2))
    parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(_OF_CAPTURES)))
    if draw(st.booleans()):
        parts[-1:] = [draw(st.sampled_from(_OF_CAPTURES))]
    if not any("${t}" in part for part in parts):
        parts[0] = "${t}"
    return parse_pattern("/".join(parts), "t", captures)


@st.composite
def rules(draw: st.DrawFn, *, variables: bool = True, machines: bool = False) -> Rule:
    """A rule with any of the words; without `variables`, none has a variable inside a segment or a capture.

    With `machines`, it is often about robots and workloads, too.
    """
    principals = _clients if machines else _principals
    to = draw(principals)
    capturing: tuple[str, ...] = ()
    words = [*_PLAIN, *_WITH_VARIABLES] if variables else [*_PLAIN, "${user}", "${group}"]
    patterns = _texts(words).map(parse_pattern)
    if variables and draw(st.integers(0, 2)) == 0:
        captures = tuple(draw(_captures))
        to = principals_of([AUTHENTICATED, ROBOTS, WORKLOADS])
        capturing = tuple(f"group:{one.before}{{t}}{one.after}" for one in captures)
        patterns = _capturing_pattern(captures)
    return Rule.of(
        "",
        draw(st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY])),
        to,
        draw(st.lists(patterns, min_size=1, max_size=2)),
        draw(st.sampled_from([["pull"], ["push"], ["pull", "push"], ["*"]])),
        excluded=draw(st.none() | principals),
        condition=draw(st.none() | st.none() | (_conditions_of_machines if machines else _conditions)),
        services=draw(st.sampled_from([None, None, None, frozenset({"registry"})])),
        without=draw(st.just([]) | _without),
        capturing=capturing,
    )


def _groups_of(users: list[str], groups: list[str]) -> st.SearchStrategy[list[Group]]:
    return st.lists(
        st.builds(
            Group,
            st.sampled_from(GROUPS),
            st.frozensets(st.sampled_from(users), max_size=2),
            st.frozensets(st.sampled_from(groups), max_size=2),
            st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"a"}), frozenset({"r-a-w"})]),
        ),
        max_size=2,
        unique_by=lambda one: one.name,
    )


_groups = _groups_of(USERS, GROUPS)
_groups_of_machines = _groups_of(
    ["ann", "robot:ci", "robot:cd"], ["a", "s-b", membership("w"), membership("v"), membership("u")]
)


@st.composite
def _variant(draw: st.DrawFn, rule: Rule, *, variables: bool, machines: bool = False) -> Rule:
    """The rule as it may be in the other tree: often with another `not`, now and then with other principals."""
    change = draw(st.sampled_from(["same", "not", "not", "to"]))
    if change == "not":
        return replace(rule, without=tuple(draw(st.just([]) | _without)))
    if change == "to":
        other = draw(rules(variables=variables, machines=machines))
        if other.capturing == rule.capturing:
            return replace(rule, to=other.to, excluded=other.excluded)
    return rule


def tree(
    found: list[Rule], groups: list[Group], robots: Iterable[str] = (), workloads: Iterable[Workload] = ()
) -> PolicySet:
    """The rules, each with an id and a line of its own."""
    numbered = tuple(replace(one, id=f"r{number}", file="a.yaml", line=number) for number, one in enumerate(found, 1))
    declared = {name: Robot(name, file="a.yaml", line=100) for name in robots}
    known = {one.name: one for one in workloads}
    derived = (
        where_claims(known.get(base), claims) for base, claims in _OF_CLAIMS.values() if not base or base in known
    )
    table = Groups.of_all(groups, [*known.values(), *derived] if known else ())
    return PolicySet("", ("a.yaml",), numbered, table, build_index(numbered), robots=declared)


@st.composite
def pairs(draw: st.DrawFn, *, variables: bool = True) -> tuple[PolicySet, PolicySet]:
    """Two trees whose rules are the same, or variants of each other, or have nothing in common."""
    every = rules(variables=variables)
    shared = draw(st.lists(every, max_size=2))
    groups = draw(_groups)
    others = groups if draw(st.booleans()) else draw(_groups)
    old = [*shared, *draw(st.lists(every, max_size=1))]
    new = [*(draw(_variant(one, variables=variables)) for one in shared), *draw(st.lists(every, max_size=1))]
    return tree(old, groups), tree(new, others)


@st.composite
def pairs_with_machines(draw: st.DrawFn, *, variables: bool = True) -> tuple[PolicySet, PolicySet]:
    """Two trees as `pairs`, with robots and workloads, of which some come, go, or have other claims or groups."""
    every = rules(variables=variables, machines=True)
    shared = draw(st.lists(every, max_size=2))
    robots, workloads, groups = draw(_robots), draw(declared_workloads), draw(_groups_of_machines)
    other_robots = draw(st.just(robots) | _robots)
    other_workloads = draw(st.just(workloads) | declared_workloads)
    other_groups = draw(st.just(groups) | _groups_of_machines)
    old = [*shared, *draw(st.lists(every, max_size=1))]
    new = [draw(_variant(one, variables=variables, machines=True)) for one in shared]
    new += draw(st.lists(every, max_size=1))
    return tree(old, groups, robots, workloads), tree(new, other_groups, other_robots, other_workloads)


def clients_of(trees: Iterable[PolicySet]) -> list[Identity]:
    """Some people, every robot, and a workload for each combination of what workloads are in the trees."""
    trees = tuple(trees)
    by_membership = {tuple(policies.groups.holding(one) for policies in trees): one for one in WORKLOADS_BY_CLAIMS}
    return [*EVERYBODY[::3], *map(robot_identity, ROBOTS_BY_NAME), *by_membership.values()]
