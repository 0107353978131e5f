"""The access matrix."""

from __future__ import annotations

import policy_worlds as world
from hypothesis import given, settings
from pattern_languages import covers
from what_can_rules import OFFICE, OPEN, can, policy_set, rule

from tokenserver.policy.model import Effect, PolicySet, Rule
from tokenserver.policy.patterns import parse_pattern
from tokenserver.policy.principals import client_for, principals_of
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
