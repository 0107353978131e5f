"""The access matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import declared_machines as machines
import policy_worlds as world
import rich_worlds as rich
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pattern_languages import covers
from rule_texts import rule_of
from slow_properties import slow_examples
from what_can_rules import OFFICE, OPEN, can, policy_set, rule

from tokenserver.identity import Identity, Kind
from tokenserver.patterns import Pattern, SegmentKind, matches, parse_pattern
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.workloads import membership
from tokenserver.policy.model import Effect, Group, PolicySet, Principal, Principals, Rule
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED, client_for, principals_of
from tokenserver.policy.queries.matrix import MatrixCell, columns_named, matrix, people_named
from tokenserver.policy.queries.what_can import bound
from tokenserver.policy.terms import parse_principal


@slow_examples()
@given(world.unconditional_worlds | machines.unconditional_worlds)
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


@slow_examples()
@given(rich.unconditional_worlds)
def test_the_matrix_is_exact_with_every_word(policies: PolicySet) -> None:
    """With `not`, captures, and variables inside segments, likewise, as far as short names can show it."""
    people = people_named(policies)
    columns = columns_named(policies, OPEN)
    found = matrix(policies, people, columns, OPEN)
    for principal, row in zip(people, found.cells, strict=True):
        who = client_for(policies, principal)
        if principal.name and who.groups != policies.groups.holding(who.identity):
            continue  # somebody of whom only the group of the tree is known is no identity
        for (_, pattern), cell in zip(columns, row, strict=True):
            for name in rich.NAMES:
                if any(covers(one, name) for one in bound(pattern, who)):
                    granted = can(policies, who.identity, "pull", name, world.CONTEXTS[0])
                    assert granted or "pull" not in cell.always
                    assert not granted or "pull" in cell.always | cell.partly


@slow_examples()
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


def test_matrix_of_machines() -> None:
    """Sets where something is declared, and what rules name: also the workloads with more claims, of a condition."""
    where = machines.HIDDEN[0]
    release = replace(rule("s", "workloads", "prod/*"), to=Principals(groups=frozenset({membership(where.name)})))
    rules = [
        rule("r", "robot:ci workload:lab", "web/**"),
        rule("group", "robots", "${group}/x", "pull"),
        rule("user", "robots", "${user}/x", "pull"),
        rule("all", "workloads", "lib/*", "pull"),
        release,
    ]
    policies = machines.policy_set(rules, [Group("bots", frozenset({"robot:ci"}))])
    found = matrix(policies, people_named(policies), columns_named(policies, OPEN), OPEN)
    assert found.repositories == ("${group}/x", "${user}/x", "lib/*", "prod/*", "web/**")
    assert {str(who): list(map(str, row)) for who, row in zip(found.people, found.cells, strict=True)} == {
        "anonymous": ["", "", "", "", ""],
        "authenticated": ["", "", "", "", ""],
        "robots": ["p", "", "p?", "p?", "p?"],
        "workloads": ["p?", "", "p", "", ""],
        "robot:ci": ["p", "", "", "", "pP"],
        "workload:a where env is prod": ["", "", "p", "pP", ""],
        "workload:lab": ["", "", "p", "", "pP"],
    }
    assert [str(one) for one in people_named(machines.policy_set(rules[:1], (), (), ()))] == [
        "anonymous",
        "authenticated",
        "robot:ci",
        "workload:lab",
    ]


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


@slow_examples(most=2_000)
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


def has_some(
    policies: PolicySet,
    identity: Identity,
    principal: Principal,
    pattern: Pattern,
    names: Sequence[str] = NAMES,
) -> bool:
    """Whether the client may pull a name that the pattern covers for it, as a member of the row's group alone."""
    groups = frozenset({principal.name} if principal.name else ())
    return any(
        matches(pattern, name.split("/"), identity.subject, groups)
        and can(policies, identity, "pull", name, world.CONTEXTS[0])
        for name in names
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


def shown(policies: PolicySet, *who: Principal) -> dict[str, list[str]]:
    """The cells of each column."""
    found = matrix(policies, who or people_named(policies), columns_named(policies, OPEN), OPEN)
    return {name: [str(row[place]) for row in found.cells] for place, name in enumerate(found.repositories)}


def test_a_part_that_a_rule_leaves_out() -> None:
    """It makes the cell a part, unless another rule has it; a deny with `not` leaves what it spares."""
    ann = Principal("user", "ann")
    most = rule_of("r", "allow", "user:ann", "web/** not web/prod/**", "pull")
    prod = rule_of("p", "allow", "user:ann", "web/prod/**", "pull")
    deny = rule_of("no", "deny", "everyone", "** not web/prod/x/**", "pull")
    assert shown(policy_set(most), ann) == {"web/**": ["p*"]}
    assert shown(policy_set(most, prod), ann) == {"web/**": ["p"], "web/prod/**": ["p"]}
    assert shown(policy_set(prod, deny), ann) == {"**": ["p*"], "web/prod/**": ["p*"]}
    spared = rule_of("q", "allow", "user:eve", "web/prod/x/**", "pull")
    assert shown(policy_set(prod, deny, spared), ann)["web/prod/x/**"] == ["p"]


def test_captured_groups() -> None:
    """Groups of the tree that a rule captures a part of are rows; the same text for other groups is another column."""
    tree = [Group("reg-web-rw", frozenset({"bob"})), Group("other", frozenset({"bob"}))]
    rules = [
        rule_of("rw", "allow", "group:reg-{team}-rw group:adm-{team}", "${team}/** shared/${team}-*"),
        rule_of("ro", "allow", "group:reg-{team}-ro", "${team}/**", "pull"),
    ]
    policies = world.policy_set([], tree)
    policies = PolicySet("", (), tuple(rules), policies.groups, build_index(rules))
    assert people_named(policies) == [ANONYMOUS, AUTHENTICATED, Principal("group", "reg-web-rw")]
    assert shown(policies, Principal("group", "reg-web-rw"), AUTHENTICATED, Principal("group", "reg-web-ro")) == {
        "${team}/** of group:reg-{team}-ro": ["", "", "p"],
        "${team}/** of group:reg-{team}-rw or group:adm-{team}": ["pP", "", ""],
        "shared/${team}-* of group:reg-{team}-rw or group:adm-{team}": ["pP", "", ""],
    }


def test_names_inside_segments() -> None:
    """A part that only some users have, by their names, has the mark."""
    policies = policy_set(
        rule_of("r", "allow", "authenticated", "x-${user}/**", "pull"), rule_of("s", "allow", "user:eve", "x-ann/**")
    )
    assert shown(policies, AUTHENTICATED, Principal("user", "ann"), Principal("user", "bob")) == {
        "x-${user}/**": ["p", "p", "p"],
        "x-ann/**": ["p?", "p", ""],
    }


_partial = st.lists(st.sampled_from(["a", "x-a", "*", "a*", "**", "${user}", "x-${user}", "${user}-*", "*-${user}"]),
                    min_size=1, max_size=2)  # fmt: skip
_partial_rules = st.builds(
    lambda effect, to, parts, without: Rule.of(
        "", effect, to, [parse_pattern("/".join(parts))], ["pull"], without=without
    ),
    st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
    _people,
    _partial,
    st.lists(rich.plain_patterns, max_size=1),
)
USERS = ["a", "b", "ab", "zz", "x-a", "a-b", "x-zz", "x", "x-x", "a-x", "a-zz", "x-x-a"]
"""Users, one for each class that these patterns distinguish."""


def names_of(rules: list[Rule]) -> list[str]:
    """Names that the rules are about: an exception may leave a single one."""
    texts = [pattern.text for rule in rules for pattern in (*rule.patterns, *rule.without)]
    filled = [text.replace("**", word).replace("*", word) for text in texts for word in ("zz", "a")]
    return [name for name in dict.fromkeys(filled) if "$" not in name]


def names_for(user: str) -> list[str]:
    """Names that show whether a user has anything."""
    around = [f"{user}-{text}" for text in ("b", "zz", "x", user)] + [
        f"{text}-{user}" for text in ("b", "zz", "x", "a")
    ]
    words = dict.fromkeys(["a", "b", "ab", "zz", "x-a", "x-zz", "x-x-a", user, *around, f"x-{user}-{user}"])
    short = ["/".join(name) for count in (1, 2) for name in product(words, repeat=count)]
    return short + [name for word in words for name in (f"{word}/zz/zz", f"b/{word}/zz", f"b/zz/{word}")]


@settings(deadline=None, max_examples=min(settings().max_examples, 2_000))
@example(
    [
        Rule.of("", Effect.ALLOW, Principals(authenticated=True), [parse_pattern("**")], ["pull"]),
        Rule.of(
            "",
            Effect.DENY,
            Principals(authenticated=True),
            [parse_pattern("**")],
            ["pull"],
            without=[parse_pattern("a/a/a")],
        ),
    ]
)
@given(st.lists(_partial_rules, min_size=1, max_size=3))
def test_what_is_true_of_everybody_with_every_word(found: list[Rule]) -> None:
    """What some user has of a column is in its cell, and has a question mark if another one has nothing."""
    policies = rich.policy_set(found, TREE)
    columns = columns_named(policies, OPEN)
    table = matrix(policies, list(ROWS), columns, OPEN)
    for (principal, brought), row in zip(ROWS.items(), table.cells, strict=True):
        for (_, pattern), cell in zip(columns, row, strict=True):
            lucky = {
                user
                for user in USERS
                if has_some(
                    *(policies, Identity(user, Kind.PASSWORD, groups=frozenset(brought)), principal, pattern),
                    [*names_for(user), *names_of(found)],
                )
            }
            assert bool(lucky) == ("pull" in cell.always | cell.partly)
            if lucky:
                assert (len(lucky) < len(USERS)) == ("pull" in cell.for_some)
