"""The access matrix."""

from __future__ import annotations

from itertools import product

import policy_worlds as world
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_languages import covers
from what_can_rules import OFFICE, OPEN, can, policy_set, rule

from tokenserver.identity import Identity, Kind
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.model import Effect, Group, PolicySet, Principal, Rule
from tokenserver.policy.patterns import Pattern, SegmentKind, matches, parse_pattern
from tokenserver.policy.principals import AUTHENTICATED, client_for, principals_of
from tokenserver.policy.queries.matrix import MatrixCell, columns_named, matrix, people_named
from tokenserver.policy.queries.what_can import bound
from tokenserver.policy.terms import parse_principal


@settings(deadline=None)  # one example is much work, and a busy machine is no failure
@given(world.unconditional_worlds)
def test_the_matrix_is_exact(policies: PolicySet) -> None:
    """An action without a mark is granted on all of the pattern, one that is absent on none of it."""
    people = people_named(policies)
    columns = columns_named(policies, OPEN)
    found = matrix(policies, people, columns, OPEN)
    for principal, row in zip(people, found.cells, strict=True):
        who = client_for(policies, principal)
        if principal.name and who.groups != policies.groups.holding(who.identity):
            continue  # somebody of whom only the group of the tree is known is no identity
        for (_, pattern), cell in zip(columns, row, strict=True):
            for name in world.NAMES:
                if any(covers(one, name) for one in bound(pattern, who)):
                    granted = can(policies, who.identity, "pull", name, world.CONTEXTS[0])
                    assert granted or "pull" not in cell.always
                    assert not granted or "pull" in cell.always | cell.partly


@settings(deadline=None)  # one example is much work, and a busy machine is no failure
@given(world.mapped_worlds)
def test_the_matrix_is_exact_where_sources_map_names(policies: PolicySet) -> None:
    """A row of a user is about each namespace that the user can have."""
    assert policies.namespaces is not None
    people = [one for one in people_named(policies) if one.sort == "user"]
    columns = columns_named(policies, OPEN)
    found = matrix(policies, people, columns, OPEN)
    for principal, row in zip(people, found.cells, strict=True):
        possible = [name for name in world.WORDS if policies.namespaces.is_possible(principal.name, name)]
        for (_, pattern), cell in zip(columns, row, strict=True):
            for who in (client_for(policies, principal, (), one) for one in possible):
                for name in world.NAMES:
                    if any(covers(one, name) for one in bound(pattern, who)):
                        granted = can(policies, who.identity, "pull", name, world.CONTEXTS[0])
                        assert granted or "pull" not in cell.always
                        assert not granted or "pull" in cell.always | cell.partly


def test_matrix() -> None:
    """Letters for actions, a mark for a part or a condition, variables filled in for each principal."""
    policies = policy_set(
        rule("r", "group:web"),
        rule("no-r", "everyone", "web/prod/**", "push", but="user:bot"),
        rule("own", "authenticated", "users/${user}/**", "pull delete"),
        rule("office", "everyone", "office", "pull", when=OFFICE),
        rule("catalog", "group:ops", "catalog", "*"),
        rule("all", "user:bot", "**", "*"),
    )
    found = matrix(policies, people_named(policies), columns_named(policies, OPEN), OPEN)
    table = {
        str(who): dict(zip(found.repositories, map(str, row), strict=True))
        for who, row in zip(found.people, found.cells, strict=True)
    }
    assert list(table) == ["anonymous", "authenticated", "group:ops", "group:web", "user:bot"]
    assert table["group:web"] == {
        "**": "p*P*d*",
        "office": "p*",
        "users/${user}/**": "pd",
        "web/**": "pP*",
        "web/prod/**": "p",
        "registry:catalog": "",
    }
    assert table["anonymous"]["users/${user}/**"] == ""
    assert table["user:bot"]["web/prod/**"] == "pPd"
    assert table["group:ops"]["registry:catalog"] == "a"


def test_matrix_leaves_other_registries_out() -> None:
    """A pattern that is only in rules for another registry is no column."""
    other = Rule.of("r", Effect.ALLOW, principals_of([parse_principal("everyone")]), [parse_pattern("x")], ["pull"],
                    services=frozenset({"other"}))  # fmt: skip
    assert columns_named(policy_set(other), OPEN) == []
    assert str(MatrixCell()) == ""


WORDS = ["a", "b", "ann", "ab", "ac", "cb", "zz"]
"""User names, one for each class that the patterns below distinguish."""
NAMES = ["/".join(words) for count in (1, 2, 3) for words in product(WORDS, repeat=count)]
OWN = owned_name("b", "teams/x.yaml")
TREE = [Group("a", groups=frozenset({"devs"})), Group(OWN, groups=frozenset({"ops"}))]
ROWS = {AUTHENTICATED: frozenset[str](), Principal("group", "a"): {"devs"}, Principal("group", OWN): {"ops"}}

_people = st.sampled_from([*map(str, ROWS), "everyone"]).map(
    lambda text: principals_of([next((one for one in ROWS if str(one) == text), Principal("everyone"))])
)
_parts = st.sampled_from(["a", "b", "ann", "*", "a*", "*b", "**", "${user}", "${user}", "${group}"])
_patterns = st.lists(_parts, min_size=1, max_size=2).map(lambda found: parse_pattern("/".join(found)))
_rules = st.builds(
    lambda effect, to, patterns: Rule.of("", effect, to, patterns, ["pull"]),
    st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
    _people,
    st.lists(_patterns, min_size=1, max_size=2),
)


@settings(deadline=None, max_examples=min(settings().max_examples, 2_000))
@given(st.lists(_rules, min_size=1, max_size=4))
def test_what_is_true_of_everybody_in_the_row(found: list[Rule]) -> None:
    """By asking for every user name and every repository: of everybody without a question mark, and not with one."""
    policies = world.policy_set(found, TREE)
    columns = columns_named(policies, OPEN)
    uses_group = any(pattern.uses(SegmentKind.GROUP) for _, pattern in columns)
    table = matrix(policies, list(ROWS), columns, OPEN)
    for (principal, brought), row in zip(ROWS.items(), table.cells, strict=True):
        if uses_group and not brought:
            continue  # whichever group the client is in
        for (_, pattern), cell in zip(columns, row, strict=True):
            lucky = {
                user
                for user in WORDS
                if has_some(policies, Identity(user, Kind.PASSWORD, groups=frozenset(brought)), principal, pattern)
            }
            assert bool(lucky) == ("pull" in cell.always | cell.partly)
            if lucky:
                assert (len(lucky) < len(WORDS)) == ("pull" in cell.for_some)


def has_some(policies: PolicySet, identity: Identity, principal: Principal, pattern: Pattern) -> bool:
    """Whether the client may pull a name that the pattern covers for it, as a member of the row's group alone."""
    groups = frozenset({principal.name} if principal.name else ())
    return any(
        matches(pattern, name.split("/"), identity.subject, groups)
        and can(policies, identity, "pull", name, world.CONTEXTS[0])
        for name in NAMES
    )


def test_a_rule_for_each_user_and_a_rule_for_one_name() -> None:
    """Only the user web has web/shop by it; each user has a part of everything."""
    policies = policy_set(
        rule("own", "authenticated", "${user}/**", "pull push delete"), rule("one", "user:x", "web/shop", "pull")
    )
    found = matrix(policies, [AUTHENTICATED, Principal("user", "web")], columns_named(policies, OPEN), OPEN)
    assert found.repositories == ("${user}/**", "web/shop")
    assert [[str(cell) for cell in row] for row in found.cells] == [["pPd", "p?P?d?"], ["pPd", "pPd"]]


def test_a_rule_for_each_group_and_a_rule_for_one_name() -> None:
    """Of a client without a known group, only members of web have it."""
    policies = policy_set(
        rule("own", "authenticated", "${group}/**", "pull"), rule("one", "user:x", "web/shop", "pull")
    )
    found = matrix(policies, [AUTHENTICATED, Principal("group", "web")], columns_named(policies, OPEN), OPEN)
    assert [[str(cell) for cell in row] for row in found.cells] == [["p", "p?"], ["p", "p"]]
