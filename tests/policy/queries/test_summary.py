"""The short answer to "who can?"."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_files import NOW
from who_can_rules import TREE, answer, answers, policy_set

from tokenserver.identity import Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.model import Condition, Context, Effect, Groups, PolicySet, Rule
from tokenserver.policy.principals import AUTHENTICATED, ROBOTS, AllOf, principals_of
from tokenserver.policy.queries.summary import canonical, short_answer, spell_answers
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], "nobody", id="no-rule"),
        pytest.param([("r", "everyone", "", "other")], "nobody", id="other-repository"),
        pytest.param(
            [("r", "user:ann", "", "web/**"), ("s", "group:ops", "", "**")], "group:ops, user:ann", id="union"
        ),
        pytest.param([("r", "everyone", "", "**"), ("no-r", "everyone", "", "**")], "nobody", id="denied-to-all"),
        pytest.param(
            [("r", "everyone", "", "**"), ("no-r", "anonymous", "", "**")], "authenticated", id="denied-anonymous"
        ),
        pytest.param(
            [("r", "everyone", "", "**"), ("no-r", "authenticated", "", "**")], "anonymous", id="denied-users"
        ),
        pytest.param([("r", "everyone", "authenticated", "**")], "anonymous", id="allow-except"),
        pytest.param(
            [("r", "authenticated", "", "**"), ("no-r", "everyone", "everyone", "**")],
            "authenticated",
            id="deny-but-all",
        ),
        pytest.param(
            [("r", "everyone", "", "**"), ("no-r", "everyone", "anonymous", "**")], "anonymous", id="deny-but-anonymous"
        ),
        pytest.param(
            [("r", "everyone", "", "**"), ("no-r", "everyone", "authenticated", "**")],
            "authenticated",
            id="deny-but-authenticated",
        ),
        pytest.param(
            [("r", "group:web", "", "**"), ("no-r", "everyone", "user:ann user:eve", "**")],
            "user:ann, user:eve",
            id="members-and-possible-members",
        ),
        pytest.param(
            [("r", "group:pair", "", "**"), ("no-r", "everyone", "user:ann user:eve", "**")],
            "user:ann",
            id="nobody-else-can-be-in-a-list-of-users",
        ),
        pytest.param(
            [("r", "user:ann", "", "**"), ("no-r", "everyone", "user:eve", "**")], "nobody", id="no-two-users-at-once"
        ),
        pytest.param(
            [("r", "group:a", "", "**"), ("no-1", "everyone", "group:b", "**"), ("no-2", "everyone", "group:c", "**")],
            "group:a & group:b & group:c",
            id="three-at-once",
        ),
        pytest.param(
            [("r", "group:a", "", "**"), ("no-r", "everyone", "group:b", "**"), ("s", "group:b", "", "**")],
            "group:b",
            id="narrower-is-left-out",
        ),
        pytest.param([("r", "authenticated", "", "${group}/*")], "group:web", id="group-variable"),
        pytest.param([("r", "authenticated", "", "${user}/*")], "user:web", id="user-variable"),
        pytest.param([("r", "anonymous", "", "${user}/*")], "nobody", id="user-variable-anonymous"),
    ],
)
def test_who_can(rules: list[tuple[str, str, str, str]], expected: str) -> None:
    """The answer has the broadest principals, and users who only have access otherwise."""
    assert answers(policy_set(*rules, groups=TREE)) == expected


def test_a_kind_that_the_rules_do_not_want() -> None:
    """Only access with the requested kind of credential counts."""
    condition = Condition(kinds=frozenset({Kind.PASSWORD}))
    rule = Rule.of(
        "r",
        Effect.ALLOW,
        principals_of([parse_principal("user:ann")]),
        [parse_pattern("x")],
        ["pull"],
        condition=condition,
    )
    policies = PolicySet("", (), (rule,), Groups.of_all(()), build_index([rule]))
    context = Context("r", None, NOW)
    assert list(short_answer(policies, "pull", Resource("repository", "x"), context)) == [answer("user:ann")]
    assert short_answer(policies, "pull", Resource("repository", "x"), context, Kind.ANONYMOUS) == {}


def test_canonical_form() -> None:
    """Groups of users are expanded, and covered answers removed."""
    policies = policy_set(groups=TREE)
    given = map(answer, ["group:pair", "group:web", "group:a", "group:a & group:b", "user:eve"])
    assert canonical(policies, given) == {answer("group:web"), answer("group:a"), answer("user:eve")}
    assert canonical(policies, [answer("everyone"), answer("user:eve")]) == {
        answer("authenticated"),
        answer("anonymous"),
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], "nobody", id="nobody"),
        pytest.param(["user:bob", "user:ann"], "user:ann, user:bob", id="in order"),
        pytest.param(["group:b & group:a"], "group:a & group:b", id="members of both"),
        pytest.param(["anonymous", "authenticated"], "everyone", id="both halves"),
        pytest.param(["anonymous", "user:ann"], "anonymous, user:ann", id="one half"),
    ],
)
def test_spell_answers(found: list[str], expected: str) -> None:
    """As a policy file writes them."""
    assert spell_answers(policy_set(), map(answer, found)) == expected


@given(
    st.lists(
        st.sampled_from(
            [
                "everyone",
                "authenticated",
                "anonymous",
                "user:ann",
                "user:eve",
                "group:pair",
                "group:web",
                "group:a",
                "group:a & group:b",
            ]
        )
    )
)
def test_canonical_answers_stay_as_they_are(found: list[str]) -> None:
    """No answer is covered by another one any more, and the form does not depend on what was listed twice."""
    policies = policy_set(groups=TREE)
    once = canonical(policies, map(answer, found))
    assert canonical(policies, once) == once == canonical(policies, map(answer, found * 2))
    assert not any(one < other for one in once for other in once)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(Kind.PASSWORD, {frozenset({AUTHENTICATED}), frozenset({ROBOTS})}, id="people and machines"),
        pytest.param(Kind.ROBOT, {frozenset({ROBOTS})}, id="robots alone"),
        pytest.param(Kind.WORKLOAD, set(), id="workloads, of which there are none"),
    ],
)
def test_a_kind_of_machines(kind: Kind, expected: set[AllOf]) -> None:
    """A question about a kind that only machines have leaves people out."""
    declared = replace(policy_set(("r", "authenticated robots", "", "**")), robots={"ci": Robot("ci")})
    found = short_answer(declared, "pull", Resource("repository", "x"), Context("r", None, NOW), kind)
    assert set(found) == expected
