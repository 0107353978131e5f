"""`who-can` for a pattern: compared with decisions about every name of small worlds, and in single cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import policy_worlds as world
import pytest
import rich_worlds as rich
import tree_machines as machines
from hypothesis import given, reject
from hypothesis import strategies as st
from rule_texts import rule_of
from slow_properties import slow_examples

from tokenserver.identity import Identity, Kind, NamespaceRule, Namespaces
from tokenserver.patterns import Pattern, SegmentKind, matches, parse_pattern
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Context, Effect, Group, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.queries import who_can_below
from tokenserver.policy.queries.equivalence import Agreement
from tokenserver.policy.queries.who_can import People
from tokenserver.policy.queries.who_can_below import Holding, holders_of_all, holdings
from tokenserver.policy.queries.witnesses import TooManyCombinations
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource, Scope

OPEN = Given("registry")

asked_patterns = st.lists(st.sampled_from(["a", "b", "ann", "*", "a*", "**"]), min_size=1, max_size=3).map(
    lambda parts: parse_pattern("/".join(parts))
)


class Reader:
    """Reads an answer by its documentation, for one policy set and context."""

    def __init__(self, policies: PolicySet, context: Context) -> None:
        self._groups = policies.groups
        self._context = context
        self._agreement = Agreement(People(policies), Kind.PASSWORD, context, any_time=True, any_address=True)

    def lets(self, one: Holding, identity: Identity, name: str) -> bool:
        """Whether an entry of the answer grants this client this name."""
        segments, groups = name.split("/"), self._groups.holding(identity)
        user = None if identity.is_anonymous else identity.user_value

        def has(pattern: Pattern, without: Sequence[Pattern]) -> bool:
            covered = matches(pattern, segments, user, groups)
            return covered and not any(matches(each, segments, None, ()) for each in without)

        if not has(one.pattern, one.without):
            return False
        stops = {stop.unless for stop in one.stops if has(stop.pattern, stop.without)}
        return self._agreement.lets(replace(one.line, unless=one.line.unless | stops), identity, self._context)


def granted(policies: PolicySet, identity: Identity, context: Context, name: str) -> bool:
    scope = Scope(Resource("repository", name), frozenset({"pull"}))
    return "pull" in decide(policies, identity, scope, context).granted


def covers(asked: Pattern, name: str) -> bool:
    return matches(asked, name.split("/"), None, ())


@given(world.worlds, asked_patterns, world.identities, world.contexts)
def test_the_answer_is_what_decisions_say(
    policies: PolicySet, asked: Pattern, identity: Identity, context: Context
) -> None:
    """For every name of the pattern, client and context, some entry grants it exactly if a decision does."""
    found, reader = holdings(policies, "pull", asked, OPEN), Reader(policies, context)
    for name in (name for name in world.NAMES if covers(asked, name)):
        says = any(reader.lets(one, identity, name) for one in found)
        assert says == granted(policies, identity, context, name), name


@given(world.mapped_worlds, asked_patterns, st.data(), world.contexts)
def test_the_answer_is_what_decisions_say_where_sources_map_names(
    policies: PolicySet, asked: Pattern, data: st.DataObject, context: Context
) -> None:
    """For every user and each namespace that the user can have, likewise."""
    assert policies.namespaces is not None
    found, reader = holdings(policies, "pull", asked, OPEN), Reader(policies, context)
    identity = data.draw(st.sampled_from(world.everybody_mapped(policies.namespaces)))
    for name in (name for name in world.NAMES if covers(asked, name)):
        says = any(reader.lets(one, identity, name) for one in found)
        assert says == granted(policies, identity, context, name), name


@slow_examples()
@given(world.worlds, asked_patterns, world.identities, world.contexts)
def test_circumstances_settle_conditions(
    policies: PolicySet, asked: Pattern, identity: Identity, context: Context
) -> None:
    """With a time and an address, no entry depends on either."""
    if context.client is None:
        return
    found = holdings(policies, "pull", asked, Given("registry", context.client, context.now))
    conditions = [one.line.when for one in found] + [unless.when for one in found for unless in one.line.unless]
    assert not any(when.needs_address or when.since or when.until for when in conditions)
    reader = Reader(policies, context)
    for name in (name for name in world.NAMES if covers(asked, name)):
        says = any(reader.lets(one, identity, name) for one in found)
        assert says == granted(policies, identity, context, name), name


@slow_examples()
@given(world.unconditional_worlds, asked_patterns, world.identities)
def test_all_of_it(policies: PolicySet, asked: Pattern, identity: Identity) -> None:
    """Who is said to hold all of it is granted every name; an entry for all of it leaves out what its stops cover."""
    found = holdings(policies, "pull", asked, OPEN)
    people = People(policies)
    names = [name for name in world.NAMES if covers(asked, name)]
    for who in holders_of_all(policies, asked, found):
        if all(people.is_one(identity, one) for one in who):
            assert all(granted(policies, identity, world.CONTEXTS[0], name) for name in names)
    for entry in found:
        assert not entry.is_all or all(covers(entry.pattern, name) for name in names)


@slow_examples()
@given(rich.worlds, rich.asked_patterns, rich.identities, world.contexts)
def test_the_answer_is_what_decisions_say_with_every_word(
    policies: PolicySet, asked: Pattern, identity: Identity, context: Context
) -> None:
    """With `not`, captures, and variables inside segments, likewise; a few questions are too complex."""
    try:
        found = holdings(policies, "pull", asked, OPEN)
    except TooComplex:
        reject()
    reader = Reader(policies, context)
    for name in (name for name in rich.NAMES if covers(asked, name)):
        says = any(reader.lets(one, identity, name) for one in found)
        assert says == granted(policies, identity, context, name), name


machine_patterns = st.lists(st.sampled_from(["a", "b", "x-a", "*", "a*", "x-*", "**"]), min_size=1, max_size=2).map(
    lambda parts: parse_pattern("/".join(parts))
)


@slow_examples()
@given(machines.worlds, machine_patterns, st.data(), world.contexts)
def test_the_answer_is_what_decisions_say_with_machines(
    policies: PolicySet, asked: Pattern, data: st.DataObject, context: Context
) -> None:
    """For every robot and every set of claims as well."""
    try:
        found = holdings(policies, "pull", asked, OPEN)
    except TooComplex:
        reject()
    reader = Reader(policies, context)
    clients = [*machines.everybody(policies)]
    for identity in data.draw(st.lists(st.sampled_from(clients), min_size=1, max_size=8, unique=True)):
        for name in (name for name in machines.NAMES if covers(asked, name)):
            says = any(reader.lets(one, identity, name) for one in found)
            assert says == granted(policies, identity, context, name), name


@slow_examples()
@given(machines.unconditional_worlds, machine_patterns)
def test_no_entry_is_empty_with_machines(policies: PolicySet, asked: Pattern) -> None:
    """Each grants some client some name; what is said to be granted on all of it is granted on each name."""
    try:
        found = holdings(policies, "pull", asked, OPEN)
    except TooComplex:
        reject()
    reader = Reader(policies, world.CONTEXTS[0])
    clients = [*machines.everybody(policies)]
    for entry in found:
        known = machines.POSSIBLE.issuperset(one for one in entry.line.who if one.sort in ("user", "group"))
        if known and not (entry.pattern.uses(SegmentKind.GROUP) or entry.pattern.uses(SegmentKind.USER)):
            names = [name for name in machines.NAMES if covers(asked, name)]
            assert any(reader.lets(entry, identity, name) for name in names for identity in clients), entry
    for who in holders_of_all(policies, asked, found):
        for identity in clients:
            if all(machines.is_one(policies, identity, str(one)) for one in who):
                assert all(
                    granted(policies, identity, world.CONTEXTS[0], name)
                    for name in machines.NAMES
                    if covers(asked, name)
                )


@slow_examples()
@given(rich.mapped_worlds, rich.asked_patterns, st.data(), world.contexts)
def test_the_answer_is_what_decisions_say_with_every_word_where_sources_map_names(
    policies: PolicySet, asked: Pattern, data: st.DataObject, context: Context
) -> None:
    """For every user and each namespace that the user can have, likewise."""
    assert policies.namespaces is not None
    try:
        found = holdings(policies, "pull", asked, OPEN)
    except TooComplex:
        reject()
    reader = Reader(policies, context)
    identity = data.draw(st.sampled_from(rich.everybody_mapped(policies.namespaces)))
    for name in (name for name in rich.NAMES if covers(asked, name)):
        says = any(reader.lets(one, identity, name) for one in found)
        assert says == granted(policies, identity, context, name), name


@slow_examples()
@given(rich.unconditional_worlds, rich.asked_patterns, rich.identities)
def test_all_of_it_with_every_word(policies: PolicySet, asked: Pattern, identity: Identity) -> None:
    """Who is said to hold all of it is granted every name."""
    try:
        found = holdings(policies, "pull", asked, OPEN)
        of_all = holders_of_all(policies, asked, found)
    except TooComplex:
        reject()
    people = People(policies)
    names = [name for name in rich.NAMES if covers(asked, name)]
    for who in of_all:
        if all(people.is_one(identity, one) for one in who):
            assert all(granted(policies, identity, world.CONTEXTS[0], name) for name in names)
    for entry in found:
        is_each = all(
            covers(entry.pattern, name) and not any(covers(one, name) for one in entry.without) for name in names
        )
        assert not entry.is_all or is_each


NAMES = ["/".join(words) for count in (1, 2, 3) for words in product([*world.WORDS, "ab", "bob"], repeat=count)]


@slow_examples()
@given(world.unconditional_worlds, asked_patterns)
def test_no_entry_is_empty(policies: PolicySet, asked: Pattern) -> None:
    """Each grants some client some name, and none is listed twice."""
    found, reader = holdings(policies, "pull", asked, OPEN), Reader(policies, world.CONTEXTS[0])
    assert len({(one.line, one.pattern, one.stops) for one in found}) == len(found)
    for entry in found:
        names = [name for name in NAMES if covers(asked, name) and may_cover(entry.pattern, name)]
        assert any(reader.lets(entry, identity, name) for name in names for identity in world.EVERYBODY), entry


def may_cover(pattern: Pattern, name: str) -> bool:
    """Whether the pattern covers the name for some client, which is faster to find out first."""
    segments = name.split("/")
    return any(matches(pattern, segments, user, segments) for user in segments)


RULES = {
    "web": ("allow", "group:web", "web/**", ""),
    "own": ("allow", "authenticated", "users/${user}/**", ""),
    "team": ("allow", "authenticated", "teams/${group}/*", ""),
    "both": ("allow", "authenticated", "${user}/${group}/x", ""),
    "unfit": ("allow", "user:Ann", "users/${user}/**", ""),
    "left": ("allow", "user:kim", "lib/a*", ""),
    "right": ("allow", "user:kim", "lib/*", ""),
    "freeze": ("deny", "everyone", "web/prod/**", "user:bot"),
    "no-ann": ("deny", "user:ann", "**", ""),
    "ops-only": ("deny", "everyone", "*/secret", "group:ops"),
    "but-prod": ("allow", "group:web", "web/** not web/prod/**", ""),
    "prod": ("allow", "group:web", "web/prod/**", ""),
    "but-open": ("deny", "everyone", "web/prod/** not web/prod/open/**", ""),
    "inside": ("allow", "authenticated", "x-${user}/**", ""),
    "captured": ("allow", "group:reg-{t}-rw", "${t}/**", ""),
    "shared": ("allow", "group:reg-{t}-rw", "shared/${t}-*", ""),
    "no-captured": ("deny", "group:no-{t}", "${t}/**", ""),
    "star": ("allow", "group:web", "web/* not web/x", ""),
    "a-for-bot": ("deny", "everyone", "web/a*", "user:bot"),
    "rest-for-ops": ("deny", "everyone", "web/* not web/a*", "group:ops"),
    "no-a": ("deny", "everyone", "web/a*", ""),
    "no-rest": ("deny", "everyone", "web/* not web/a*", ""),
    "own-star": ("allow", "authenticated", "${user}/*", ""),
    "no-own-a": ("deny", "everyone", "${user}/a*", ""),
    "no-own-rest": ("deny", "everyone", "*/* not */a*", ""),
    "no-twice": ("deny", "everyone", "*/${user} not */a*", ""),
    "of-a": ("allow", "group:a", "a/x", ""),
    "no-own": ("deny", "everyone", "${group}/x", ""),
    "open": ("allow", "anonymous", "a/x", ""),
    "mixed": ("allow", "authenticated", "${group}/b", ""),
    "no-mixed": ("deny", "everyone", "a/${group}", ""),
}


def table(asked: str, *names: str, action: str = "push") -> list[str]:
    """The answer for some of the rules: who, on which parts, `!` if that is all, and the patterns of the stops."""
    rules = []
    for name in names:
        effect, to, pattern, but = RULES[name]
        rules.append(rule_of(name, effect, to, pattern, "push", but))
    policies = replace(world.policy_set([], []), rules=tuple(rules))
    found = holdings(policies, action, parse_pattern(asked), OPEN)
    return [
        f"{' & '.join(map(str, sorted(one.line.who)))}: {' '.join(one.parts)}"
        + "".join(f" not {without.text}" for without in one.without)
        + ("!" if one.is_all else "")
        + "".join(f" -{stop.pattern.text}" + "".join(f"+{each.text}" for each in stop.without) for stop in one.stops)
        + "".join(f" but {but}" for but in sorted(map(str, one.line.excepted)))
        for one in found
    ]


@pytest.mark.parametrize(
    ("asked", "names", "expected"),
    [
        pytest.param("web/**", ["web"], ["group:web: web/**!"], id="all"),
        pytest.param("web/app/*", ["web"], ["group:web: web/app/*!"], id="all-of-a-part"),
        pytest.param("**", ["web"], ["group:web: web/**"], id="part"),
        pytest.param("*/app", ["web"], ["group:web: web/app"], id="crossing"),
        pytest.param("lib/**", ["web"], [], id="nobody"),
        pytest.param("web/**", ["web", "freeze"], ["group:web: web/**! -web/prod/**"], id="partly-denied"),
        pytest.param("web/prod/**", ["web", "freeze"], ["group:web & user:bot: web/prod/**!"], id="wholly-denied"),
        pytest.param("web/app/*", ["web", "freeze"], ["group:web: web/app/*!"], id="denied-elsewhere"),
        pytest.param("web/**", ["web", "no-ann"], ["group:web: web/**! but user:ann"], id="one-denied"),
        pytest.param("users/**", ["own"], ["authenticated: users/${user}/**"], id="variable"),
        pytest.param("users/ann/**", ["own"], ["user:ann: users/ann/**!"], id="variable-settled"),
        pytest.param("users/ann/**", ["own", "no-ann"], [], id="variable-settled-and-denied"),
        pytest.param("users/**", ["unfit"], [], id="user-who-cannot-stand-there"),
        pytest.param("teams/a/*", ["team"], ["group:a: teams/a/*!"], id="group-settled"),
        pytest.param("ann/*/x", ["both"], ["user:ann: ann/${group}/x"], id="one-variable-settled"),
        pytest.param("lib/*", ["left", "right"], ["user:kim: lib/*!"], id="covered"),
        pytest.param("lib/*b", ["left"], ["user:kim: lib/a*"], id="two-globs-stay-as-they-are"),
        pytest.param("a*/b/x", ["both"], ["group:b: ${user}/b/x"], id="glob-and-variable"),
        pytest.param(
            "*/secret", ["web", "ops-only"], ["group:ops & group:web: web/secret"], id="only-for-members-of-both"
        ),
        pytest.param("web/**", ["but-prod"], ["group:web: web/** not web/prod/**"], id="not"),
        pytest.param("web/app/*", ["but-prod"], ["group:web: web/app/*!"], id="not-elsewhere"),
        pytest.param("web/prod/*", ["but-prod"], [], id="not-any-of-it"),
        pytest.param("web/**", ["but-prod", "web"], ["group:web: web/**!"], id="not-covered"),
        pytest.param(
            "web/**", ["web", "but-open"], ["group:web: web/**! -web/prod/**+web/prod/open/**"], id="a-deny-with-not"
        ),
        pytest.param("web/prod/open/*", ["web", "but-open"], ["group:web: web/prod/open/*!"], id="not-of-a-deny"),
        pytest.param("web/prod/a/*", ["web", "but-open"], [], id="denied-in-spite-of-its-not"),
        pytest.param("web/**", ["but-prod", "but-open"], ["group:web: web/** not web/prod/**"], id="not-and-denied"),
        pytest.param(
            "web/*",
            ["star", "a-for-bot", "rest-for-ops"],
            ["group:web: web/* not web/x -web/a* -web/*+web/a*"],
            id="each-name-stopped-but-not-for-all",
        ),
        pytest.param("web/*", ["star", "no-a", "no-rest"], [], id="each-name-stopped"),
        pytest.param("**", ["own-star", "no-own-a", "no-own-rest"], [], id="each-name-stopped-of-each-user"),
        pytest.param(
            "**",
            ["own-star", "no-own-a", "no-twice"],
            ["authenticated: ${user}/* -${user}/a* -*/${user}+*/a*"],
            id="some-names-stopped-of-each-user",
        ),
        pytest.param("**", ["of-a", "no-own"], [], id="stopped-by-the-group-that-is-needed"),
        pytest.param("**", ["open", "no-own"], ["anonymous: a/x"], id="anonymous-clients-are-in-no-group"),
        pytest.param("x-ann/**", ["inside"], ["user:ann: x-ann/**!"], id="inside-a-segment-settled"),
        pytest.param("x-a*/**", ["inside"], ["authenticated: x-${user}/**"], id="inside-a-segment"),
        pytest.param("web/**", ["captured"], ["group:reg-web-rw: web/**!"], id="capture-settled"),
        pytest.param("*/x", ["captured"], ["authenticated: ${t}/x"], id="capture"),
        pytest.param("shared/web-app", ["shared"], ["group:reg-web-rw: shared/web-app!"], id="capture-in-a-segment"),
        pytest.param(
            "web/x", ["captured", "no-captured"], ["group:reg-web-rw: web/x! but group:no-web"], id="two-captures"
        ),
        pytest.param(
            "**", ["mixed", "no-mixed"], ["authenticated: ${group}/b -a/${group}"], id="members-of-two-groups"
        ),
    ],
)
def test_parts(asked: str, names: list[str], expected: list[str]) -> None:
    """All of it or the parts, for whom, and where a deny rule stops them."""
    assert table(asked, *names) == expected


@pytest.mark.parametrize(
    ("rules", "parts"),
    [
        pytest.param({NamespaceRule.LOWER}, ["users/ann/**"], id="the name tells it"),
        pytest.param({NamespaceRule.ATTRIBUTE}, ["users/${user}/**"], id="only the directory knows it"),
    ],
)
def test_the_namespace_of_a_user(rules: set[NamespaceRule], parts: list[str]) -> None:
    """It is filled in if it follows from the name."""
    allow = Rule.of(
        "", Effect.ALLOW, principals_of([parse_principal("user:Ann")]), [parse_pattern("users/${user}/**")], {"pull"}
    )
    policies = replace(world.policy_set([allow], []), namespaces=Namespaces(frozenset(rules)))
    (found,) = holdings(policies, "pull", parse_pattern("users/**"), OPEN)
    assert list(found.parts) == parts


def test_another_action() -> None:
    """Rules about others do not count."""
    assert table("web/**", "web", "freeze", action="delete") == []


def test_all_of_it_by_several_rules() -> None:
    """Together they cover the pattern; a deny rule or a condition of one of them does not count as all."""
    rules = [
        Rule.of("", effect, principals_of([parse_principal(to)]), [parse_pattern(pattern)], {"pull"})
        for effect, to, pattern in (
            (Effect.ALLOW, "group:a", "a"),
            (Effect.ALLOW, "authenticated", "*/**"),
            (Effect.ALLOW, "group:a", "*"),
            (Effect.ALLOW, "group:b", "*"),
            (Effect.DENY, "group:b", "b"),
        )
    ]
    asked, policies = parse_pattern("**"), world.policy_set(rules, [])
    found = holdings(policies, "pull", asked, OPEN)
    assert holders_of_all(policies, asked, found) == []
    fewer = world.policy_set(rules[:3], [])
    found = holdings(fewer, "pull", asked, OPEN)
    assert holders_of_all(fewer, asked, found) == [frozenset({parse_principal("group:a")})]


def test_all_of_it_by_a_rule_and_one_for_what_it_leaves_out() -> None:
    """Together they have everything; without the second one, or with a `not` in both, they do not."""
    group = principals_of([parse_principal("group:a")])

    def rule(pattern: str, *without: str) -> Rule:
        return Rule.of("", Effect.ALLOW, group, [parse_pattern(pattern)], {"pull"}, without=map(parse_pattern, without))

    asked, most = parse_pattern("web/**"), rule("web/**", "web/prod/**", "web/x")
    for others, is_all in (
        ([rule("web/prod/**"), rule("web/x")], True),
        ([rule("web/prod/**")], False),
        ([rule("**", "web/prod/x", "lib")], False),
        ([rule("**", "web/app/x", "lib")], True),
    ):
        policies = world.policy_set([], [])
        made = [replace(one, id=str(place)) for place, one in enumerate([most, *others])]
        policies = replace(policies, rules=tuple(made), index=build_index(made))
        found = holdings(policies, "pull", asked, OPEN)
        assert bool(holders_of_all(policies, asked, found)) is is_all


def test_too_many_combinations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Are refused, not computed for hours."""
    monkeypatch.setattr(who_can_below, "MAX_LINES", 1)
    groups = principals_of(map(parse_principal, ["group:a", "group:b"]))
    allow = Rule.of(
        "", Effect.ALLOW, principals_of([parse_principal("authenticated")]), [parse_pattern("**")], {"pull"}
    )
    everyone = principals_of([parse_principal("everyone")])
    deny = Rule.of("", Effect.DENY, everyone, [parse_pattern("**")], {"pull"}, excluded=groups)
    with pytest.raises(TooManyCombinations):
        holdings(world.policy_set([allow, deny], []), "pull", parse_pattern("**"), OPEN)


def of_machines(asked: str, *rules: tuple[Effect, str, str]) -> tuple[Holding, ...]:
    """The answer for these rules, with a robot that is in a group with a person, and another one."""
    made = [
        Rule.of("", effect, principals_of([parse_principal(to)]), [parse_pattern(pattern)], {"pull"})
        for effect, to, pattern in rules
    ]
    tree = [Group("a", frozenset({"ann", "robot:ci"}))]
    return holdings(machines.policy_set(made, tree, ["ci", "bot"], []), "pull", parse_pattern(asked), OPEN)


def test_robots_by_the_name_of_their_group() -> None:
    """For machines, the variable is each group that they are in."""
    (found,) = of_machines("**", (Effect.ALLOW, "robots", "${group}/*"))
    assert (found.parts, set(map(str, found.line.who))) == (("a/*",), {"group:a", "robots"})


def test_a_stop_of_each_sort_of_clients_is_one() -> None:
    """A deny rule for everyone, about a part of the names, stops people and robots alike."""
    (found,) = of_machines("**", (Effect.ALLOW, "group:a", "web/**"), (Effect.DENY, "everyone", "web/prod/**"))
    (stop,) = found.stops
    assert (stop.pattern.text, stop.unless.who) == ("web/prod/**", frozenset())
