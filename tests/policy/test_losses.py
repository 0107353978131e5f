"""Whether it matters that the names of some groups are unknown: which rules take something away from members."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.losses import restricting_rule
from tokenserver.policy.model import Context, Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.scopes import Resource, Scope

TREE = Groups.of_all([Group("mixed", frozenset({"ann"}), frozenset({"devs"})), Group("listed", frozenset({"ann"}))])
ALL = Principals(authenticated=True)


def rule(effect: Effect, to: Principals, *, pattern: str = "**", **more: Any) -> Rule:
    """A rule about pushing."""
    return Rule.of("r", effect, to, [parse_pattern(pattern)], ["push"], **more)


def policies(*rules: Rule) -> PolicySet:
    """A policy set of these rules."""
    return PolicySet("", (), rules, TREE, build_index(rules))


def groups(*names: str) -> Principals:
    """The members of these groups."""
    return Principals(groups=frozenset(names))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(rule(Effect.DENY, groups("ops")), True, id="a deny for a directory's group"),
        pytest.param(rule(Effect.DENY, groups("mixed")), True, id="for a group of the tree that a directory fills"),
        pytest.param(rule(Effect.DENY, groups("listed")), False, id="for a group of the tree that lists its users"),
        pytest.param(rule(Effect.DENY, Principals(users=frozenset({"ann"}))), False, id="for a user"),
        pytest.param(rule(Effect.DENY, ALL), False, id="for everybody who has logged in"),
        pytest.param(rule(Effect.DENY, Principals(everyone=True, groups=frozenset({"ops"}))), False, id="for everyone"),
        pytest.param(rule(Effect.DENY, ALL, pattern="a/${group}/b"), True, id="about the groups that one is in"),
        pytest.param(rule(Effect.DENY, ALL, excluded=groups("ops")), False, id="a deny that excepts a group"),
        pytest.param(rule(Effect.ALLOW, groups("ops")), False, id="an allow for a group"),
        pytest.param(rule(Effect.ALLOW, ALL, pattern="a/${group}/b"), False, id="an allow about groups"),
        pytest.param(rule(Effect.ALLOW, ALL, excluded=groups("ops")), True, id="an allow that excepts a group"),
        pytest.param(rule(Effect.ALLOW, ALL, excluded=groups("listed")), False, id="that excepts users"),
        pytest.param(rule(Effect.DENY, groups("ops"), services=frozenset({"other"})), False, id="elsewhere"),
        pytest.param(rule(Effect.DENY, groups("ops"), services=frozenset({"reg", "b"})), True, id="here too"),
    ],
)
def test_what_restricts(one: Rule, expected: bool) -> None:
    """A rule that may grant less to who is in one group more; others stand beside it."""
    found = restricting_rule(policies(rule(Effect.ALLOW, ALL), one), "reg")
    assert found is (one if expected else None)


NAMES = st.sampled_from(["ops", "devs", "mixed", "listed", "a"])
PEOPLE = st.builds(
    lambda names, users, authenticated: Principals(authenticated=authenticated, users=users, groups=names),
    st.frozensets(NAMES, max_size=2),
    st.sampled_from([frozenset(), frozenset({"ann"}), frozenset({"bob"})]),
    st.booleans(),
)
RULES = st.lists(
    st.builds(
        lambda effect, to, excluded, pattern: rule(effect, to, excluded=excluded, pattern=pattern),
        st.sampled_from(Effect),
        PEOPLE,
        st.none() | PEOPLE,
        st.sampled_from(["**", "a/**", "x/${group}", "${user}/a"]),
    ),
    max_size=5,
)


@given(RULES, st.frozensets(NAMES, max_size=2), NAMES, st.sampled_from(["a/b", "x/ops", "x/a", "ann/a"]))
def test_one_group_more_takes_nothing_away_where_no_rule_restricts(
    rules: list[Rule], brought: frozenset[str], more: str, name: str
) -> None:
    """So who brought fewer groups than there are got nothing that the others would have taken away."""
    policy = policies(*rules)
    if restricting_rule(policy, "reg") is not None:
        return
    scope, context = Scope(Resource("repository", name), frozenset({"push"})), Context("reg", None, None)  # type: ignore[arg-type]
    known, whole = (Identity("ann", Kind.PASSWORD, groups=names) for names in (brought, brought | {more}))
    assert decide(policy, known, scope, context).granted <= decide(policy, whole, scope, context).granted
