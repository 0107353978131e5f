"""Random rules for people, robots and workloads with overlapping claims, and every client that tells them apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, product

from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Claims, Identity, Kind
from tokenserver.patterns import Capture, matches, parse_pattern
from tokenserver.policy.index import FEW, build_index
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.robots import Robot, subject_of
from tokenserver.policy.machines.workloads import Required, Workload, is_declared, membership, where_claims, workload_of
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.syntax.machines import workload_identity
from tokenserver.policy.terms import parse_principal


def claims(**required: str) -> Required:
    """Claims that a workload must have, each with globs."""
    return tuple((name, tuple(map(parse_claim_glob, text.split()))) for name, text in sorted(required.items()))


A = Workload("a", "github", claims(repository_id="1"))
B = Workload("b", "github", claims(environment="prod", repository_id="1"))
C = Workload("c", "github", claims(environment="prod staging"))
D = Workload("d", "gitlab", claims(environment="prod"))
IN_PROD = where_claims(A, claims(environment="prod"))
ON_MAIN = where_claims(None, claims(ref="main"))
WORKLOADS = (A, B, C, D, IN_PROD, ON_MAIN)
"""`B` is `A`, `C` and `IN_PROD` as well. Two of them are no declared ones."""

ROBOTS = ("ci", "cd")
USERS = ("ann", "bob")
BROUGHT = ("g", "t")
NAMES = [name.split("/") for name in ("a", "x", "x/a", "t/a", "g/a", "ann/a", "m/a")]
PRINCIPALS = [
    *("everyone", "authenticated", "anonymous", "robots", "workloads", "user:ann", "robot:ci", "robot:cd"),
    *("workload:a", "workload:b", "workload:c", "workload:d", "group:t", "group:m", "group:r-x", "group:g"),
]
CAPTURES = (Capture("r-", ""),)


def machines(found: Sequence[str], hidden: Sequence[Workload] = ()) -> Principals:
    """A set of principals, some of them workloads without a declaration."""
    named = principals_of(map(parse_principal, found))
    return Principals(
        named.everyone, named.authenticated, named.anonymous, named.robots, named.workloads,
        named.users, named.groups.union(membership(one.name) for one in hidden),
    )  # fmt: skip


_principals = st.lists(st.sampled_from(PRINCIPALS), min_size=1, max_size=3, unique=True)
principals = _principals.map(machines) | st.builds(
    machines, st.just([]), st.lists(st.sampled_from([IN_PROD, ON_MAIN]), min_size=1, max_size=2, unique=True)
)
conditions = st.none() | st.frozensets(st.sampled_from([*Kind]), max_size=2).map(lambda found: Condition(kinds=found))


def rule(
    to: Principals,
    patterns: Sequence[str],
    but: Principals | None = None,
    when: Condition | None = None,
    effect: Effect = Effect.ALLOW,
) -> Rule:
    """A rule for pulls."""
    return Rule.of("", effect, to, map(parse_pattern, patterns), ["pull"], excluded=but, condition=when)


def capturing(patterns: Sequence[str], but: Principals | None, when: Condition | None, effect: Effect) -> Rule:
    """A rule for the members of the groups that it captures."""
    made = [parse_pattern(text, "t", CAPTURES) for text in patterns]
    to = Principals(authenticated=True, robots=True, workloads=True)
    return Rule.of("", effect, to, made, ["pull"], excluded=but, condition=when, capturing=("group:r-{t}",))


_effects = st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY])
_patterns = st.lists(
    st.sampled_from(["a", "x/a", "*/a", "**", "${user}/a", "${group}/a"]), min_size=1, max_size=2, unique=True
)
rules = st.builds(rule, principals, _patterns, st.none() | principals, conditions, _effects) | st.builds(
    capturing, st.just(["${t}/a"]), st.none() | principals, conditions, _effects
)
groups = st.lists(
    st.builds(
        Group,
        st.sampled_from(["t", "m", "r-x"]),
        st.frozensets(st.sampled_from(["ann", *map(subject_of, ROBOTS)]), max_size=2),
        st.frozensets(st.sampled_from(["g", "t", *(membership(one) for one in "abd")]), max_size=2),
    ),
    max_size=3,
    unique_by=lambda one: one.name,
)


def policy_set(
    found: Sequence[Rule], tree: Sequence[Group], robots: Sequence[str], workloads: Sequence[Workload], few: int = 0
) -> PolicySet:
    """The rules, each with an id of its own, in a tree with these machines; names of other machines are left out."""
    known = {one.name for one in workloads}
    subjects = {*map(subject_of, robots), *USERS}

    def meant(people: Principals) -> Principals:
        held = frozenset(one for one in people.groups if workload_of(one) in {*known, None})
        return Principals(
            people.everyone, people.authenticated, people.anonymous, people.robots, people.workloads,
            people.users & subjects, held,
        )  # fmt: skip

    made = [
        Rule.of(
            f"rule-{number}", one.effect, meant(one.to), one.patterns, one.actions,
            excluded=None if one.excluded is None else meant(one.excluded), condition=one.condition,
            capturing=one.capturing, file="a.yaml", line=number + 1,
        )
        for number, one in enumerate(found)
    ]  # fmt: skip
    named = [meant(Principals(users=one.users, groups=one.groups)) for one in tree]
    cleaned = [Group(one.name, own.users, own.groups) for one, own in zip(tree, named, strict=True)]
    table = Groups.of_all(cleaned, workloads)
    declared = {name: Robot(name) for name in robots}
    return PolicySet("", ("a.yaml",), tuple(made), table, build_index(made, few=few), robots=declared)


worlds = st.builds(
    policy_set,
    st.lists(rules, min_size=2, max_size=5),
    groups,
    st.sampled_from([ROBOTS, ROBOTS, ()]),
    st.sampled_from([WORKLOADS, WORKLOADS, (A, D), ()]),
    st.sampled_from([0, FEW]),
)


def _subsets(found: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(found, count) for count in range(len(found) + 1))


def _claim_sets() -> Iterator[Claims]:
    pairs = [("repository_id", "1"), ("environment", "prod"), ("environment", "staging"), ("ref", "main")]
    for chosen in product([False, True], repeat=len(pairs)):
        yield frozenset(pair for pair, is_there in zip(pairs, chosen, strict=True) if is_there)


PEOPLE = [
    ANONYMOUS,
    *(Identity(user, Kind.PASSWORD, groups=frozenset(some)) for user in USERS for some in _subsets(BROUGHT)),
]
POSSIBLE_WORKLOADS = [workload_identity(source, found) for source in ("github", "gitlab") for found in _claim_sets()]


def clients(policies: PolicySet) -> Iterator[tuple[Identity, frozenset[str]]]:
    """Every client that can be authenticated under these policies, with all groups that it is in."""
    yield from ((one, policies.groups.holding(one)) for one in PEOPLE)
    robots = (Identity(subject_of(name), Kind.ROBOT) for name in policies.robots)
    yield from ((one, policies.groups.holding(one)) for one in robots)
    for one in POSSIBLE_WORKLOADS:
        held = policies.groups.holding(one)
        if any(is_declared(name) for group in held if (name := workload_of(group)) is not None):
            yield one, held


def is_meant(one: Rule, identity: Identity, held: frozenset[str]) -> bool:
    """Whether the rule is for this client, who is in a group that it captures if it captures any."""
    is_excluded = one.excluded is not None and one.excluded.include(identity, held)
    is_captured = any(capture.value(name) is not None for name in held for capture in CAPTURES)
    return one.to.include(identity, held) and not is_excluded and (is_captured or not one.capturing)


def applies(one: Rule, identity: Identity, held: frozenset[str], name: Sequence[str], context: Context) -> bool:
    """Whether the rule applies to this client and name, by the words of the contract."""
    user = None if identity.is_anonymous else identity.user_value
    return (
        one.to.include(identity, held)
        and not (one.excluded is not None and one.excluded.include(identity, held))
        and (one.condition is None or one.condition.holds(identity.kind, context) is True)
        and any(matches(pattern, name, user, held) for pattern in one.patterns)
    )
