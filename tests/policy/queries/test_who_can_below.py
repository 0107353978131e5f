"""`who-can` for a pattern: compared with decisions about every name of small worlds, and in single cases."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import policy_worlds as world
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import Identity, Kind, NamespaceRule, Namespaces
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.decide import decide
from tokenserver.policy.model import Context, Effect, PolicySet, Rule
from tokenserver.policy.patterns import Pattern, matches, parse_pattern
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
        if not matches(one.pattern, segments, user, groups):
            return False
        stops = {stop.unless for stop in one.stops if matches(stop.pattern, segments, user, groups)}
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


NAMES = ["/".join(words) for count in (1, 2, 3) for words in product([*world.WORDS, "ab"], repeat=count)]


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
}


def table(asked: str, *names: str, action: str = "push") -> list[str]:
    """The answer for some of the rules: who, on which parts, `!` if that is all, and the patterns of the stops."""
    rules = []
    for name in names:
        effect, to, pattern, but = RULES[name]
        excluded = principals_of([parse_principal(but)]) if but else None
        to_ = principals_of([parse_principal(to)])
        rules.append(Rule.of(name, Effect(effect), to_, [parse_pattern(pattern)], {"push"}, excluded=excluded))
    policies = replace(world.policy_set(rules, []), rules=tuple(rules))
    found = holdings(policies, action, parse_pattern(asked), OPEN)
    return [
        f"{' & '.join(map(str, sorted(one.line.who)))}: {' '.join(one.parts)}"
        + ("!" if one.is_all else "")
        + "".join(f" -{stop.pattern.text}" for stop in one.stops)
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
