"""Policy diff: compared with brute force over all identities and names, and single changes by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import diff_worlds
import policy_worlds as world
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from slow_properties import slow_examples

from tokenserver.identity import PEOPLE, Identity, Kind, Namespaces, Sort
from tokenserver.patterns import Capture, matches, parse_name, parse_pattern
from tokenserver.policy.analysis.circumstances import UNKNOWN, Circumstances
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.decide import decide
from tokenserver.policy.diff import rows as rows_module
from tokenserver.policy.diff import search
from tokenserver.policy.diff import tree as tree_module
from tokenserver.policy.diff.claims import changed_claims
from tokenserver.policy.diff.diff import Difference, diff
from tokenserver.policy.diff.rows import DiffRow, spell_who
from tokenserver.policy.diff.search import Search
from tokenserver.policy.diff.tree import Tree
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload, membership, where_claims
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Principal, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_moment, parse_principal
from tokenserver.scopes import ACTIONS, Resource, Scope

NOW = world.TIMES[0]
CONTEXTS = [*world.CONTEXTS, *(replace(one, service="other") for one in world.CONTEXTS)]


def granted(policies: PolicySet, identity: Identity, name: str, context: Context, kind: str = "repository") -> set[str]:
    if not can_log_in(policies, identity):
        return set()
    return set(decide(policies, identity, Scope(Resource(kind, name), frozenset(ACTIONS)), context).granted)


def can_log_in(policies: PolicySet, identity: Identity) -> bool:
    """Whether the tree declares the robot, or a workload that the client is; people can always log in."""
    if identity.sort is Sort.ROBOT:
        return identity.subject.removeprefix("robot:") in policies.robots
    held = policies.groups.holding(replace(identity, groups=frozenset()))
    declared = {f"\0{name}" for name in policies.groups.workloads.by_name if "\n" not in name}
    return identity.sort is Sort.USER or not held.isdisjoint(declared)


def is_covered(row: DiffRow, old: PolicySet, new: PolicySet, identity: Identity, name: str, context: Context) -> bool:
    """Whether the row covers this name for this identity in this context."""
    held = held_in_either(old, new, identity)
    return is_about(row, identity, held, context) and has_name(row, identity, held, name)


def held_in_either(old: PolicySet, new: PolicySet, identity: Identity) -> frozenset[str]:
    """The groups that the identity holds by either tree."""
    return old.groups.holding(identity) | new.groups.holding(identity)


def is_about(row: DiffRow, identity: Identity, held: frozenset[str], context: Context) -> bool:
    """Whether the row covers this identity in this context, on any name."""
    for one in row.who:
        if one.sort in ("anonymous", "authenticated"):
            fits = identity.sort is Sort.USER and identity.is_anonymous == (one.sort == "anonymous")
        elif one.sort in ("robots", "workloads"):
            fits = one.sort == f"{identity.sort}s"
        elif one.sort in ("user", "robot"):
            fits = identity.subject == one.name if one.sort == "user" else identity.subject == f"robot:{one.name}"
        elif one.sort == "workload":
            fits = f"\0{one.name}" in held
        elif one.sort == "namespace":
            fits = identity.user_value == one.name
        elif one.sort == "capture":
            capture = Capture(*re.split(r"\{\w+\}", one.name))
            fits = any(capture.value(group) is not None for group in held)
        else:
            fits = one.name in (identity.groups if one.sort == "directory" else held)
        if not fits:
            return False
    return holds(row.when, identity, context)


def has_name(row: DiffRow, identity: Identity, held: frozenset[str], name: str) -> bool:
    """Whether the row's pattern matches the name for this identity, and none of those that it leaves out."""
    user = None if identity.is_anonymous else identity.user_value
    segments = name.split("/")
    return matches(row.pattern, segments, user, held | identity.groups) and not any(
        matches(one, segments, None, ()) for one in row.without
    )


def holds(when: Any, identity: Identity, context: Context) -> bool:
    """Whether the context is within the circumstances of a row."""
    if "service" in when and context.service not in when["service"]:
        return False
    if context.service in when.get("not_service", ()):
        return False
    if "since" in when and context.now < parse_moment(when["since"]):
        return False
    if "until" in when and context.now >= parse_moment(when["until"]):
        return False
    if "kind" in when and identity.kind not in when["kind"]:
        return False
    if context.client is None:
        return UNKNOWN not in when.get("not_from", ()) and ("from" not in when or UNKNOWN in when["from"])
    named = dict.fromkeys(when.get("from", ()), True) | dict.fromkeys(when.get("not_from", ()), False)
    around = [text for text in named if text != UNKNOWN and context.client in ip_network(text)]
    return named[max(around, key=lambda text: ip_network(text).prefixlen)] if around else "from" not in when


def assert_rows_show_differences(found: Difference, old: PolicySet, new: PolicySet) -> None:
    """The decisions of both trees for each row's witness differ as the row says, and the row covers its witness."""
    for rows, before, after in ((found.gains, old, new), (found.losses, new, old)):
        for row in rows:
            asked = (row.identity, row.name, row.context, row.resource_type)
            assert row.action in granted(after, *asked) - granted(before, *asked)
            assert is_covered(row, old, new, row.identity, row.name, row.context)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[PolicySet, PolicySet]:
    """Two trees with some rules in common; sometimes all rules, with other groups."""
    shared = draw(st.lists(world.rules, max_size=3))
    trees = st.lists(world.groups, max_size=2, unique_by=lambda one: one.name)
    one, other = (world.policy_set([*shared, *draw(st.lists(world.rules, max_size=2))], draw(trees)) for _ in range(2))
    return one, other


# One example is tens of thousands of questions, so that thousands of them are a night's work.
@slow_examples(most=5_000)
@given(pairs(), st.sampled_from(CONTEXTS))
def test_everything_that_differs_lies_in_a_row(both: tuple[PolicySet, PolicySet], context: Context) -> None:
    """All identities request all names of up to three segments: rows and differences are the same."""
    old, new = both
    assert_rows_are_complete(old, new, world.EVERYBODY, context)


@slow_examples(most=5_000)
@given(pairs(), st.sampled_from(world.MAPPINGS), st.sampled_from(CONTEXTS))
def test_everything_that_differs_lies_in_a_row_where_sources_map_names(
    both: tuple[PolicySet, PolicySet], namespaces: Namespaces, context: Context
) -> None:
    """For every user and each namespace that the user can have, likewise."""
    old, new = (world.mapped(one, namespaces) for one in both)
    assert_rows_are_complete(old, new, world.everybody_mapped(namespaces), context)


@pytest.mark.parametrize("variables", [False, True], ids=["not", "every-word"])
@slow_examples(most=5_000)
@given(st.data(), st.sampled_from(diff_worlds.CONTEXTS), st.booleans())
def test_everything_that_differs_lies_in_a_row_with_every_word(
    variables: bool, data: st.DataObject, context: Context, is_hard: bool
) -> None:
    """Parts that `not` takes away, captures and variables inside segments: each difference lies in a row.

    The search for a name without rivals, which comes first where a product search is hard, changes nothing.
    """
    old, new = data.draw(diff_worlds.pairs(variables=variables))
    names = [*diff_worlds.SHORT, *data.draw(st.lists(st.sampled_from(diff_worlds.LONG), max_size=8, unique=True))]
    with pytest.MonkeyPatch.context() as patched:
        if is_hard:
            patched.setattr(search, "QUESTION_STEPS", 1)
        try:
            assert_rows_are_complete(old, new, diff_worlds.EVERYBODY, context, names, Budget(300_000))
        except TooComplex:  # two variables, each beside a *, in several rules about the same names
            assert variables
            reject()


@pytest.mark.parametrize("variables", [False, True], ids=["not", "every-word"])
@slow_examples(most=5_000)
@given(st.data(), st.sampled_from(diff_worlds.CONTEXTS))
def test_everything_that_differs_lies_in_a_row_with_machines(
    variables: bool, data: st.DataObject, context: Context
) -> None:
    """Robots and workloads that come, go, have other groups or other claims, and rules about them.

    A client that a tree does not know cannot log in there. Each witness is a real robot or has real claims.
    """
    old, new = data.draw(diff_worlds.pairs_with_machines(variables=variables))
    names = [*diff_worlds.SHORT, *data.draw(st.lists(st.sampled_from(diff_worlds.LONG), max_size=8, unique=True))]
    try:
        assert_rows_are_complete(old, new, diff_worlds.clients_of((old, new)), context, names, Budget(300_000))
    except TooComplex:
        assert variables
        reject()


def assert_rows_are_complete(
    old: PolicySet,
    new: PolicySet,
    everybody: Iterable[Identity],
    context: Context,
    names: Iterable[str] = world.NAMES,
    budget: Budget | None = None,
) -> None:
    """Whatever differs for one of these clients on one of the names lies in a row; each row shows a difference."""
    scopes = {name: Scope(Resource("repository", name), frozenset(ACTIONS)) for name in names}
    found = diff(old, new, NOW, budget)
    assert_rows_show_differences(found, old, new)
    for identity in everybody:
        held = held_in_either(old, new, identity)
        is_old, is_new = (can_log_in(tree, identity) for tree in (old, new))
        gains, losses = (
            [row for row in rows if is_about(row, identity, held, context)] for rows in (found.gains, found.losses)
        )
        for name, scope in scopes.items():
            before, after = (
                decide(tree, identity, scope, context).granted if is_client else frozenset()
                for tree, is_client in ((old, is_old), (new, is_new))
            )
            for rows, actions in ((gains, after - before), (losses, before - after)):
                for action in actions:
                    assert any(row.action == action and has_name(row, identity, held, name) for row in rows), (
                        identity,
                        name,
                        context,
                        action,
                    )


@given(world.worlds)
def test_a_tree_does_not_differ_from_itself(policies: PolicySet) -> None:
    """The order of rules does not matter."""
    turned = world.policy_set(list(reversed(policies.rules)), list(policies.groups.by_name.values()))
    assert diff(policies, turned, NOW) == Difference((), ())


def rule(
    text: str,
    to: str,
    patterns: str,
    actions: str,
    *,
    but: str = "",
    when: Condition | None = None,
    services: frozenset[str] | None = None,
    registry: bool = False,
) -> Rule:
    """A rule in short form; `text` is `allow ID` or `deny ID`."""
    effect, name = text.split()
    return Rule.of(
        name,
        Effect(effect),
        principals_of(map(parse_principal, to.split())),
        map(parse_name if registry else parse_pattern, patterns.split()),
        actions.split(),
        resource_type="registry" if registry else "repository",
        excluded=principals_of(map(parse_principal, but.split())) if but else None,
        condition=when,
        services=services,
        file="web.yaml",
        line=7,
    )


def tree(*rules: Rule, groups: tuple[Group, ...] = ()) -> PolicySet:
    return PolicySet("", ("web.yaml",), rules, Groups.of_all(groups), build_index(rules))


OF_TWO_GROUPS = (
    rule("allow a", "authenticated", "t/${group}/*", "pull"),
    rule("deny b", "authenticated", "t/${group}/${group}", "pull"),
)


def rows_of(rows: tuple[DiffRow, ...]) -> list[str]:
    """Rows as `WHO ACTION PATTERN [WHEN] NAME USER(GROUPS)`."""
    return [
        " ".join(
            [
                spell_who(row.who),
                row.action,
                row.pattern.text,
                *([str(dict(row.when))] if row.when else []),
                row.name,
                "-" if row.identity.is_anonymous else row.identity.subject,
                *sorted(row.identity.groups),
            ]
        )
        for row in rows
    ]


WEB = Group("web", frozenset({"ann", "bob"}))
UNTIL = Condition(until=datetime(2030, 1, 1, tzinfo=UTC))
LATER = Condition(since=datetime(2025, 1, 1, tzinfo=UTC))
OFFICE = Condition(networks=(ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            tree(rule("allow a", "user:ann", "x", "pull push")),
            tree(rule("allow b", "user:ann", "x", "pull"), rule("allow c", "user:ann", "x", "push")),
            id="two-rules-for-one",
        ),
        pytest.param(
            tree(rule("allow a", "group:web", "x", "pull"), groups=(WEB,)),
            tree(rule("allow a", "user:ann user:bob", "x", "pull")),
            id="a-group-by-its-users",
        ),
        pytest.param(
            tree(rule("allow a", "user:ann", "web/**", "pull")),
            tree(rule("allow a", "user:ann", "web/* web/*/**", "pull")),
            id="two-patterns-for-one",
        ),
        pytest.param(
            tree(rule("allow a", "everyone", "x", "pull")),
            tree(rule("allow a", "anonymous", "x", "pull"), rule("allow b", "authenticated", "x", "pull")),
            id="everyone-in-two-halves",
        ),
        pytest.param(
            tree(rule("allow a", "everyone", "x", "pull", when=Condition(until=datetime(2019, 1, 1, tzinfo=UTC)))),
            tree(rule("allow b", "user:eve", "y", "pull"), rule("deny d", "user:eve", "**", "*")),
            id="what-has-expired-and-what-is-denied",
        ),
        pytest.param(
            tree(rule("allow a", "everyone", "x", "pull")),
            tree(
                rule("allow a", "everyone", "x", "pull", when=UNTIL),
                rule("allow b", "everyone", "x", "pull", when=Condition(since=datetime(2025, 1, 1, tzinfo=UTC))),
            ),
            id="two-times-that-overlap",
        ),
        pytest.param(
            tree(rule("allow a", "group:web", "x", "pull"), groups=(WEB,)),
            tree(rule("allow a", "group:www", "x", "pull"), groups=(replace(WEB, name="www"),)),
            id="a-group-with-another-name",
        ),
    ],
)  # fmt: skip
def test_equal_access_in_other_words(old: PolicySet, new: PolicySet) -> None:
    """Access is compared, not text."""
    assert diff(old, new, NOW) == Difference((), ())


PUBLIC = rule("allow public", "everyone", "**", "pull")


@pytest.mark.parametrize(
    ("old", "new", "gains", "losses"),
    [
        pytest.param(
            tree(PUBLIC),
            tree(PUBLIC, rule("allow infra", "group:web", "infra/**", "pull push")),
            ["group:web push infra/** infra/x Somebody web"],
            [],
            id="a-directory-group-gains",
        ),
        pytest.param(
            tree(rule("allow a", "group:web", "x", "pull"), groups=(WEB,)),
            tree(rule("allow a", "group:web", "x", "pull"), groups=(Group("web", frozenset({"bob", "zoe"})),)),
            ["user:zoe pull x x zoe"],
            ["user:ann pull x x ann"],
            id="a-group-changes-its-members",
        ),
        pytest.param(
            tree(rule("allow a", "authenticated", "teams/${group}/**", "pull")),
            tree(rule("allow a", "authenticated", "teams/${group}/**", "pull"), groups=(WEB,)),
            ["user:ann pull teams/web/** teams/web/x ann", "user:bob pull teams/web/** teams/web/x bob"],
            ["directory group web pull teams/web/** teams/web/x Somebody web"],
            id="a-new-group-hides-that-of-the-directory",
        ),
        pytest.param(
            tree(rule("allow a", "everyone", "x", "pull")),
            tree(rule("allow a", "authenticated", "x", "pull")),
            [],
            ["anonymous pull x x -"],
            id="only-after-login",
        ),
        pytest.param(
            tree(PUBLIC),
            tree(PUBLIC, rule("allow own", "authenticated", "users/${user}/**", "push")),
            ["authenticated push users/${user}/** users/y/x y"],
            [],
            id="everybody-in-a-place-of-their-own",
        ),
        pytest.param(
            tree(rule("allow a", "group:web", "web/**", "push"), rule("deny f", "everyone", "**/prod", "push")),
            tree(rule("allow a", "group:web", "web/**", "push")),
            [
                "group:web push web/**/prod web/x/prod Somebody web",
                "group:web push web/prod web/prod Somebody web",
            ],
            [],
            id="a-deny-goes",
        ),
        pytest.param(
            tree(rule("allow a", "group:web", "web", "push")),
            tree(
                rule("allow a", "group:web", "web", "push"),
                rule("deny d", "everyone", "web", "push", but="group:ops"),
            ),
            [],
            ["group:web push web web Somebody web"],
            id="a-deny-comes-with-an-exception",
        ),
        pytest.param(
            tree(rule("allow a", "user:ann", "x", "pull", but="group:out")),
            tree(rule("allow a", "user:ann", "x", "pull")),
            ["group:out & user:ann pull x x ann out"],
            [],
            id="only-who-is-both",
        ),
        pytest.param(
            tree(rule("allow a", "user:ann", "x", "pull")),
            tree(rule("allow a", "user:ann", "x", "pull", when=UNTIL)),
            [],
            ["user:ann pull x {'since': '2030-01-01'} x ann"],
            id="an-end",
        ),
        pytest.param(
            tree(rule("allow a", "user:ann", "x", "pull", when=OFFICE)),
            tree(rule("allow a", "user:ann", "x", "pull")),
            ["user:ann pull x {'not_from': ['10.0.0.0/8']} x ann"],
            [],
            id="from-anywhere",
        ),
        pytest.param(
            tree(PUBLIC),
            tree(PUBLIC, rule("deny d", "everyone", "**", "*", when=OFFICE)),
            [],
            [
                "anonymous pull ** {'from': ['10.0.0.0/8', 'unknown']} x -",
                "authenticated pull ** {'from': ['10.0.0.0/8', 'unknown']} x Somebody",
            ],
            id="a-deny-holds-where-the-address-is-not-known",
        ),
        pytest.param(
            tree(PUBLIC),
            tree(PUBLIC, rule("allow a", "user:ann", "x", "push", services=frozenset({"one"}))),
            ["user:ann push x {'service': ['one']} x ann"],
            [],
            id="at-one-registry",
        ),
        pytest.param(
            tree(PUBLIC, rule("deny d", "user:ann", "x", "pull", services=frozenset({"one"}))),
            tree(PUBLIC, rule("deny d", "user:ann", "x", "pull")),
            [],
            ["user:ann pull x {'not_service': ['one']} x ann"],
            id="at-all-others",
        ),
        pytest.param(
            tree(PUBLIC),
            tree(PUBLIC, rule("allow c", "group:ops", "catalog", "*", registry=True)),
            ["group:ops * catalog catalog Somebody ops"],
            [],
            id="the-catalog",
        ),
        pytest.param(
            tree(PUBLIC, rule("allow a", "user:ann", "x", "pull push delete")),
            tree(PUBLIC, rule("allow a", "user:ann", "x", "*")),
            ["user:ann * x x ann"],
            [],
            id="the-literal-star",
        ),
        pytest.param(
            tree(rule("allow a", "user:Somebody", "x", "pull")),
            tree(rule("allow a", "authenticated", "x", "pull")),
            ["authenticated pull x x Somebody'"],
            [],
            id="somebody-has-that-name",
        ),
        pytest.param(
            tree(PUBLIC),
            tree(PUBLIC, rule("allow a", "user:ann group:web", "web/* web/**", "push")),
            ["group:web push web/** web/x Somebody web", "user:ann push web/** web/x ann"],
            [],
            id="what-another-row-says-is-left-out",
        ),
        pytest.param(
            tree(rule("allow a", "user:ann", "a*/x", "push"), rule("deny d", "user:ann", "*b/x", "push")),
            tree(rule("allow a", "user:ann", "a*/x", "push")),
            ["user:ann push a*/x ab/x ann"],
            [],
            id="two-globs",
        ),
        pytest.param(
            tree(rule("allow a", "user:ann", "x", "push"), rule("deny d", "user:bob", "x", "push")),
            tree(rule("allow a", "user:ann", "x", "push")),
            [],
            [],
            id="a-deny-for-somebody-else",
        ),
        pytest.param(
            tree(rule("allow a", "everyone", "${user}/x", "push"), rule("deny d", "anonymous", "**", "push")),
            tree(rule("allow a", "everyone", "${user}/x", "push")),
            [],
            [],
            id="nobody-has-no-place",
        ),
        pytest.param(
            tree(rule("allow a", "user:ann", "${user}/x", "push"), rule("deny d", "user:ann", "host:5/x", "push")),
            tree(rule("allow a", "user:ann", "${user}/x", "push")),
            [],
            [],
            id="a-host-is-no-user",
        ),
        pytest.param(
            tree(PUBLIC, groups=(WEB,)),
            tree(PUBLIC, rule("allow a", "group:web", "${user}/${group}", "push"), groups=(WEB,)),
            ["group:web push ${user}/${group} ann/z ann z"],
            [],
            id="two-variables",
        ),
        pytest.param(
            tree(PUBLIC, rule("deny d", "everyone", "a/x", "push", but="group:out")),
            tree(
                PUBLIC,
                rule("deny d", "everyone", "a/x", "push", but="group:out"),
                rule("allow a", "user:ann", "a/**", "push"),
            ),
            ["user:ann push a/** a/y ann"],
            [],
            id="more-people-on-a-longer-name",
        ),
        pytest.param(
            tree(PUBLIC, rule("deny d", "everyone", "a/x", "push", but="group:out")),
            tree(
                PUBLIC,
                rule("deny d", "everyone", "a/x", "push", but="group:out"),
                rule("allow a", "user:ann", "a/*", "push", when=OFFICE),
            ),
            ["user:ann push a/* {'from': ['10.0.0.0/8']} a/y ann"],
            [],
            id="more-people-on-a-longer-name-from-the-office",
        ),
        pytest.param(
            tree(PUBLIC, rule("deny d", "everyone", "a/*", "push", but="group:out")),
            tree(
                PUBLIC,
                rule("deny d", "everyone", "a/*", "push", but="group:out"),
                rule("allow a", "user:ann", "a/**", "push"),
            ),
            ["user:ann push a/** a/x/x ann"],
            [],
            id="fewer-people-on-the-first-name",
        ),
        pytest.param(
            tree(PUBLIC),
            tree(PUBLIC, rule("allow a", "user:ann", "x", "push", when=LATER)),
            ["user:ann push x {'since': '2025-01-01'} x ann"],
            [],
            id="a-beginning",
        ),
        pytest.param(
            tree(*OF_TWO_GROUPS, rule("deny c", "authenticated", "t/*/${group}", "pull")),
            tree(*OF_TWO_GROUPS),
            ["authenticated pull t/${group}/* t/y/z Somebody y z"],
            [],
            id="two-groups-of-one-client",
        ),
    ],
)  # fmt: skip
def test_a_change(old: PolicySet, new: PolicySet, gains: list[str], losses: list[str]) -> None:
    """The rows of gains and losses, with their witnesses."""
    found = diff(old, new, NOW)
    assert (rows_of(found.gains), rows_of(found.losses)) == (gains, losses)
    assert_rows_show_differences(found, old, new)


def machines(*rules: Rule, robots: str = "", groups: tuple[Group, ...] = (), **claims: str) -> PolicySet:
    """A tree with these robots, and with workloads of the source `gh` by name: claims such as `id=7|8 env=prod`."""
    workloads = [_workload(name, text) for name, text in claims.items()]
    parts = [where_claims(one, PROD) for one in workloads] + ([where_claims(None, PROD)] if workloads else [])
    declared = {name: Robot(name, file="web.yaml", line=3) for name in robots.split()}
    table = Groups.of_all(groups, [*workloads, *parts])
    return PolicySet("", ("web.yaml",), rules, table, build_index(rules), robots=declared)


def _workload(name: str, text: str) -> Workload:
    claims = (one.split("=") for one in text.split())
    required = tuple((claim, tuple(map(parse_claim_glob, globs.split("|")))) for claim, globs in claims)
    return Workload(name, "gh", required, "web.yaml", 5)


def where(one: Rule, base: str) -> Rule:
    """The rule for the part of a workload (empty: of any) in the environment `prod`."""
    return replace(one, to=Principals(groups=frozenset({membership(where_claims(Workload(base, "", ()), PROD).name)})))


def seen(rows: tuple[DiffRow, ...]) -> list[str]:
    """Rows as `WHO ACTION PATTERN [WHEN]: WITNESS [CLAIMS]; RULES`."""
    found = []
    for row in rows:
        claims = [f"{name}={value}" for name, value in sorted(row.identity.claims)]
        client = " ".join([row.identity.subject.rstrip(":") or "nobody", *claims])
        said = " ".join([spell_who(row.who), row.action, row.pattern.text, *row.when])
        found.append(f"{said}: {client}; {', '.join(row.rules)}")
    return found


PROD = (("env", (parse_claim_glob("prod"),)),)
EVERYONE, ROBOTS, WORKLOADS = (rule("allow a", to, "a", "pull") for to in ("everyone", "robots", "workloads"))
TO_CI, TO_W, TO_WEB = (rule("allow a", to, "a", "pull") for to in ("robot:ci", "workload:w", "group:web"))
OF_V = "a (web.yaml:7), workload v (web.yaml:5)"
CAPTURING = replace(
    rule("allow a", "authenticated robots workloads", "x", "pull"),
    patterns=(parse_pattern("${t}/**", "t", (Capture("r-", ""),)),),
    capturing=("group:r-{t}",),
)
BOTH_SORTS = Group("web", frozenset({"ann", "robot:ci"}), frozenset({membership("w")}))


@pytest.mark.parametrize(
    ("old", "new", "gains", "losses"),
    [
        pytest.param(
            machines(TO_CI, EVERYONE),
            machines(TO_CI, EVERYONE, robots="ci"),
            ["robot:ci pull a: robot:ci; a (web.yaml:7), robot ci (web.yaml:3)"],
            [],
            id="a-robot-that-comes-gains-all-that-is-for-it",
        ),
        pytest.param(
            machines(ROBOTS, robots="ci old"),
            machines(ROBOTS, robots="ci"),
            [],
            ["robot:old pull a: robot:old; a (web.yaml:7), robot old (web.yaml:3)"],
            id="a-robot-that-goes-loses-everything",
        ),
        pytest.param(
            machines(rule("deny d", "robots", "a", "pull"), EVERYONE, robots="ci"),
            machines(rule("deny d", "robots", "a", "pull"), EVERYONE, robots="ci cd"),
            [],
            [],
            id="a-robot-that-comes-and-may-nothing",
        ),
        pytest.param(machines(TO_CI), machines(TO_CI, ROBOTS), [], [], id="a-robot-that-is-not-declared"),
        pytest.param(
            machines(robots="ci cd x"),
            machines(ROBOTS, rule("deny d", "robot:cd", "a", "pull"), robots="ci cd x"),
            ["robots pull a: robot:ci; a (web.yaml:7)"],
            [],
            id="a-robot-stands-for-others",
        ),
        pytest.param(
            machines(TO_WEB, robots="ci", groups=(WEB,)),
            machines(TO_WEB, robots="ci", groups=(replace(WEB, users=WEB.users | {"robot:ci"}),)),
            ["robot:ci pull a: robot:ci; a (web.yaml:7)"],
            [],
            id="a-robot-that-joins-a-group",
        ),
        pytest.param(
            machines(robots="ci", groups=(BOTH_SORTS,), w="id=7"),
            machines(TO_WEB, robots="ci", groups=(BOTH_SORTS,), w="id=7"),
            ["group:web pull a: ann; a (web.yaml:7)"],
            [],
            id="a-group-with-machines",
        ),
        pytest.param(
            machines(robots="ci", groups=(BOTH_SORTS,), w="id=7"),
            machines(TO_WEB, rule("deny d", "authenticated", "a", "pull"), robots="ci", groups=(BOTH_SORTS,), w="id=7"),
            [
                "group:web & robots pull a: robot:ci; a (web.yaml:7)",
                "group:web & workloads pull a: workload:gh id=7; a (web.yaml:7)",
            ],
            [],
            id="the-machines-of-a-group",
        ),
        pytest.param(
            machines(robots="ci", groups=(BOTH_SORTS,)),
            machines(rule("allow a", "robots", "t/${group}", "pull"), robots="ci", groups=(BOTH_SORTS,)),
            ["robots pull t/${group}: robot:ci; a (web.yaml:7)"],
            [],
            id="the-group-of-a-robot",
        ),
        pytest.param(
            machines(TO_W, w="id=7"),
            machines(TO_W, w="id=7|8"),
            ["workload:w pull a: workload:gh id=8; a (web.yaml:7), workload w (web.yaml:5)"],
            [],
            id="one-value-more",
        ),
        pytest.param(
            machines(TO_W, w="id=7"),
            machines(TO_W, w="id=7 env=prod"),
            [],
            ["workload:w pull a: workload:gh id=7; a (web.yaml:7), workload w (web.yaml:5)"],
            id="one-claim-more",
        ),
        pytest.param(
            machines(TO_W, w="id=7"),
            machines(rule("allow a", "workload:v", "a", "pull"), v="id=7"),
            [],
            [],
            id="another-name-for-the-same-clients",
        ),
        pytest.param(
            machines(TO_W, w="id=7", v="id=*"),
            machines(rule("allow a", "workload:v", "a", "pull"), w="id=7", v="id=*"),
            ["workload:v pull a: workload:gh id=any; a (web.yaml:7)"],
            [],
            id="every-client-that-is-one-is-another-one",
        ),
        pytest.param(
            machines(WORKLOADS, w="id=7"),
            machines(WORKLOADS, w="id=7", v="env=prod"),
            ["workload:v pull a: workload:gh env=prod; a (web.yaml:7), workload v (web.yaml:5)"],
            [],
            id="a-workload-that-comes-can-log-in",
        ),
        pytest.param(
            machines(w="id=7", v="env=prod"),
            machines(WORKLOADS, rule("deny d", "workloads", "a", "pull", but="workload:v"), w="id=7", v="env=prod"),
            ["workload:v pull a: workload:gh env=prod; a (web.yaml:7)"],
            [],
            id="the-exception-of-a-deny",
        ),
        pytest.param(
            machines(w="id=7"),
            machines(where(TO_W, "w"), w="id=7"),
            ["workload:w where env is prod pull a: workload:gh env=prod id=7; a (web.yaml:7)"],
            [],
            id="a-part-of-a-workload",
        ),
        pytest.param(
            machines(where(TO_W, ""), w="id=7"),
            machines(where(TO_W, ""), w="id=7", v="ref=main"),
            [
                f"workloads where env is prod & workload:v pull a: workload:gh env=prod ref=main; {OF_V}",
            ],
            [],
            id="a-workload-that-comes-with-claims-that-a-rule-demands",
        ),
        pytest.param(
            machines(w="id=7", v="ref=main"),
            machines(where(TO_W, ""), w="id=7", v="ref=main"),
            ["workloads where env is prod pull a: workload:gh env=prod ref=main; a (web.yaml:7)"],
            [],
            id="claims-of-any-workload",
        ),
        pytest.param(
            machines(robots="ci", groups=(replace(BOTH_SORTS, name="r-web"),), w="id=7"),
            machines(CAPTURING, robots="ci", groups=(replace(BOTH_SORTS, name="r-web"),), w="id=7"),
            ["group:r-{t} pull ${t}/**: Somebody; a (web.yaml:7)"],
            [],
            id="a-captured-group-with-machines",
        ),
        pytest.param(
            machines(robots="ci", groups=(replace(BOTH_SORTS, name="r-web"),), w="id=7"),
            machines(
                *(CAPTURING, rule("deny d", "authenticated workloads", "**", "pull")),
                robots="ci",
                groups=(replace(BOTH_SORTS, name="r-web"),),
                w="id=7",
            ),
            ["group:r-{t} & robots pull ${t}/**: robot:ci; a (web.yaml:7)"],
            [],
            id="the-robots-of-a-captured-group",
        ),
        pytest.param(
            machines(rule("allow a", "group:web", "**", "pull"), robots="ci", groups=(BOTH_SORTS,)),
            machines(rule("allow a", "group:web", "**", "pull"), TO_WEB, robots="ci", groups=(BOTH_SORTS,)),
            [],
            [],
            id="what-a-wider-rule-already-says",
        ),
        pytest.param(
            machines(rule("allow a", "group:web", "**", "pull"), robots="ci", groups=(BOTH_SORTS,)),
            machines(rule("allow a", "group:web", "**", "pull"), ROBOTS, robots="ci x", groups=(BOTH_SORTS,)),
            ["robot:x pull a: robot:x; a (web.yaml:7)"],
            [],
            id="what-a-wider-rule-says-for-some-of-them",
        ),
        pytest.param(
            machines(EVERYONE, w="id=7"),
            machines(replace(EVERYONE, condition=Condition(kinds=PEOPLE)), w="id=7"),
            [],
            ["anonymous pull a: nobody; a (web.yaml:7)", "workloads pull a: workload:gh id=7; a (web.yaml:7)"],
            id="a-condition-on-the-kind",
        ),
    ],
)
def test_a_change_of_machines(old: PolicySet, new: PolicySet, gains: list[str], losses: list[str]) -> None:
    """Who gains and loses, with a robot that is declared or with claims that decide it, and what is the cause."""
    found = diff(old, new, NOW)
    assert [seen(found.gains), seen(found.losses)] == [gains, losses]
    assert_rows_show_differences(found, old, new)
    back = diff(new, old, NOW)
    assert [seen(back.losses), seen(back.gains)] == [gains, losses]


def test_parts_of_everyone() -> None:
    """Machines are only a part if one of the trees has any."""
    found = [diff(old, machines(), NOW).parts for old in (machines(), machines(robots="ci"), machines(w="id=7"))]
    people = {Principal("anonymous"), Principal("authenticated")}
    assert found == [people, people | {Principal("robots")}, people | {Principal("workloads")}]


def test_a_row_names_the_rules_that_cause_it() -> None:
    """The allow, and the removed deny."""
    allow = rule("allow a", "user:ann", "x", "push")
    (row,) = diff(tree(allow, rule("deny d", "user:ann", "x", "push")), tree(allow), NOW).gains
    assert row.rules == ("a (web.yaml:7)", "d (web.yaml:7)")


@pytest.mark.parametrize(
    ("networks", "chosen", "spelled"),
    [
        pytest.param(["10.0.0.0/8"], ["10.0.0.1"], {"from": ["10.0.0.0/8"]}, id="one"),
        pytest.param(["10.0.0.0/8"], ["9.0.0.0", "::", None], {"not_from": ["10.0.0.0/8"]}, id="all-others"),
        pytest.param(["10.0.0.0/8"], ["9.0.0.0", "10.0.0.0"], {"from": ["0.0.0.0/0"]}, id="half-of-the-internet"),
        pytest.param(["10.0.0.0/8"], [None], {"from": ["unknown"]}, id="unknown"),
        pytest.param(
            ["10.0.0.0/8"], ["9.0.0.0", "10.0.0.1", "::"], {"not_from": ["unknown"]}, id="known"
        ),
        pytest.param(
            ["10.0.0.0/8", "10.0.0.0/16"],
            ["10.1.0.0"],
            {"from": ["10.0.0.0/8"], "not_from": ["10.0.0.0/16"]},
            id="hole",
        ),
        pytest.param(
            ["10.0.0.0/8", "10.0.0.0/16"],
            ["10.0.0.0", "9.0.0.0", "::", None],
            {"from": ["0.0.0.0/0", "::/0", "10.0.0.0/16", "unknown"], "not_from": ["10.0.0.0/8"]},
            id="island-in-a-hole",
        ),
        pytest.param(
            ["10.0.0.0/8", "10.0.0.0/16"],
            ["10.0.0.0", "9.0.0.0", "::"],
            {"from": ["0.0.0.0/0", "::/0", "10.0.0.0/16"], "not_from": ["10.0.0.0/8"]},
            id="known-island-in-a-hole",
        ),
        pytest.param(["0.0.0.0/1", "128.0.0.0/1"], ["9.0.0.0"], {"from": ["0.0.0.0/1"]}, id="no-room-outside"),
        pytest.param(["10.0.0.0/8", "10.1.0.0/16"], ["10.0.0.1", "10.1.0.0"], {"from": ["10.0.0.0/8"]}, id="nested"),
        pytest.param(["::/1"], ["::", "8000::", "9.0.0.0", None], {}, id="everywhere"),
    ],
)  # fmt: skip
def test_addresses_are_spelled(networks: list[str], chosen: list[str | None], spelled: Any) -> None:
    """In as few networks as possible; the narrowest network around an address decides."""
    when = Condition(networks=tuple(map(ip_network, networks)))
    circumstances = Circumstances.of([rule("allow a", "everyone", "x", "pull", when=when)], [Kind.PASSWORD], NOW)
    wanted = [None if text is None else ip_address(text) for text in chosen]
    picked = {_home(circumstances.clients, one) for one in wanted}
    cells = {cell: "" for cell in circumstances.cells() if cell.context.client in picked}
    ((facts, cell, _),) = circumstances.merged(cells)
    assert facts == spelled
    assert cell in cells


def _home(around: Any, client: Any) -> Any:
    """The address that stands for the cell of `client`."""
    if client is None:
        return None
    homes = [network for network in around if network is not None and client in network]
    return around[max(homes, key=lambda network: network.prefixlen)]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        pytest.param(rule("deny d", "everyone", "**", "push"), rule("deny d", "everyone", "a/**", "push"), id="names"),
        pytest.param(rule("deny d", "everyone", "a", "push"), rule("deny d", "user:ann", "a", "push"), id="people"),
        pytest.param(
            rule("deny d", "everyone", "a", "push"), rule("deny d", "everyone", "a", "push", when=UNTIL), id="time"
        ),
        pytest.param(
            rule("deny d", "everyone", "a", "push", but="user:x"),
            rule("deny d", "everyone", "a", "push", but="user:x group:y"),
            id="exceptions",
        ),
        pytest.param(rule("allow d", "everyone", "**", "push"), rule("allow d", "group:web", "a", "push"), id="allow"),
    ],
)
def test_a_claim_that_a_wider_rule_covers_is_not_a_cause(wide: Rule, narrow: Rule) -> None:
    """Nobody gains if a deny grows or an allow shrinks, so no other rule of a large tree is examined."""
    base = PUBLIC if wide.effect is Effect.ALLOW else rule("allow all", "everyone", "**", "push")
    more, less = (tree(base, one, groups=(WEB,)) for one in (wide, narrow))
    old, new = (less, more) if wide.effect is Effect.DENY else (more, less)
    lost, gained = changed_claims(old, new)
    assert lost
    assert gained
    assert list(Search(Tree(old), Tree(new), "Somebody", frozenset(), NOW, Budget()).causes(lost, gained)) == []
    assert list(Search(Tree(new), Tree(old), "Somebody", frozenset(), NOW, Budget()).causes(gained, lost)) != []


def test_a_wider_rule_about_a_changed_group_is_a_cause() -> None:
    """The group has other members in each tree."""
    old = tree(rule("allow a", "group:web", "a", "pull"), groups=(WEB,))
    new = tree(rule("allow a", "group:web", "a", "pull"), groups=(replace(WEB, users=frozenset({"zoe"})),))
    assert rows_of(diff(old, new, NOW).gains) == ["user:zoe pull a a zoe"]
    (zoe,) = changed_claims(old, new)[1]
    assert not Tree(old).covers(zoe, frozenset({"web"}))
    assert Tree(new).covers(zoe, frozenset())


def test_the_whole_budget_can_be_spent_on_what_covers_a_claim() -> None:
    """Then there is no answer at all; a single question that is too complex is left to the search."""
    old, new = tree(rule("allow a", "everyone", "*/a/**", "pull")), tree(rule("allow b", "user:zoe", "b/*/a*", "pull"))
    (claim,) = changed_claims(old, new)[1]
    with pytest.raises(TooComplex):
        Tree(tree(rule("allow a", "everyone", "b/*/*", "pull"))).covers(claim, frozenset(), Budget(3))
    assert not Tree(old).covers(claim, frozenset(), Budget())


def test_a_question_that_is_too_complex_is_left_to_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim then counts as not covered."""

    def too_complex(*_: object) -> bool:
        raise TooComplex("not decided")

    old, new = tree(rule("allow a", "everyone", "**", "pull")), tree(rule("allow b", "user:zoe", "b/*", "pull"))
    (claim,) = changed_claims(old, new)[1]
    assert Tree(old).covers(claim, frozenset(), Budget())
    monkeypatch.setattr(tree_module, "covers", too_complex)
    assert not Tree(old).covers(claim, frozenset(), Budget())


def without(one: Rule, patterns: str) -> Rule:
    return replace(one, without=tuple(map(parse_pattern, patterns.split())))


ALL_OF_WEB = rule("allow a", "group:web", "web/**", "push")
NO_PUSH = rule("deny d", "everyone", "**", "push")


@pytest.mark.parametrize(
    ("old", "new", "gains", "losses"),
    [
        pytest.param([without(ALL_OF_WEB, "web/prod/**")], [ALL_OF_WEB], ["web/prod/**"], [], id="a-part-comes"),
        pytest.param([ALL_OF_WEB], [without(ALL_OF_WEB, "web/prod/**")], [], ["web/prod/**"], id="a-part-goes"),
        pytest.param(
            [], [without(ALL_OF_WEB, "web/prod/** x/**")], ["web/** not web/prod/**"], [], id="without-a-part"
        ),
        pytest.param(
            [without(ALL_OF_WEB, "web/prod/**")],
            [without(ALL_OF_WEB, "web/prod/db/** web/test")],
            ["web/prod/** not web/prod/db/**"],
            ["web/test"],
            id="another-part",
        ),
        pytest.param(
            [ALL_OF_WEB, without(NO_PUSH, "web/dev/**")],
            [ALL_OF_WEB, without(NO_PUSH, "web/dev/** web/stage/**")],
            ["web/stage/**"],
            [],
            id="a-deny-without-one-more",
        ),
        pytest.param(
            [ALL_OF_WEB, without(NO_PUSH, "web/dev/**")], [ALL_OF_WEB], ["web/** not web/dev/**"], [], id="a-deny-goes"
        ),
        pytest.param([without(ALL_OF_WEB, "x/**")], [ALL_OF_WEB], [], [], id="a-part-that-it-never-had"),
        pytest.param(
            [ALL_OF_WEB],
            [without(ALL_OF_WEB, "web/a"), without(ALL_OF_WEB, "web/b")],
            [],
            [],
            id="two-parts-of-two-rules",
        ),
    ],
)
def test_parts_that_not_takes_away(old: list[Rule], new: list[Rule], gains: list[str], losses: list[str]) -> None:
    """A row is about the part that differs, and leaves out what its rules leave out; its witness is within."""
    before, after = (
        tree(PUBLIC, *(replace(one, id=f"{one.id}{number}") for number, one in enumerate(rules)))
        for rules in (old, new)
    )
    found = diff(before, after, NOW)
    spelled = [
        [f"{row.pattern.text} not {' '.join(one.text for one in row.without)}".removesuffix(" not ") for row in rows]
        for rows in (found.gains, found.losses)
    ]
    assert spelled == [gains, losses]
    assert_rows_show_differences(found, before, after)


def test_a_part_that_may_be_empty_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is not decided within a question's budget; the whole budget ends everything."""
    budget = Budget()

    def too_complex(*_: object) -> None:
        raise TooComplex("not decided")

    monkeypatch.setattr(rows_module, "overlaps", too_complex)
    old, new = tree(PUBLIC), tree(PUBLIC, without(ALL_OF_WEB, "web/*/x web/prod/**"))
    (row,) = diff(old, new, NOW, budget).gains
    assert [one.text for one in row.without] == ["web/*/x", "web/prod/**"]
    budget.left = -1
    with pytest.raises(TooComplex):
        rows_module.may_meet(parse_pattern("a"), parse_pattern("a"), budget)


def test_kinds_of_credential_are_spelled() -> None:
    """Where they make a difference."""
    circumstances = Circumstances.of([], [Kind.ANONYMOUS, Kind.PASSWORD], NOW)
    cells = {cell: "" for cell in circumstances.cells() if cell.kind is Kind.PASSWORD}
    ((facts, _, _),) = circumstances.merged(cells)
    assert facts == {"kind": ["password"]}
