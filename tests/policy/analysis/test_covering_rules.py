"""Candidates for covering a rule: every rule that covers it is among them, and few others are."""

from __future__ import annotations

from dataclasses import replace

import captured_rules as captured
import machine_rules as machine
import policy_worlds as world
import pytest
from hypothesis import given, settings

from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.covering_rules import CoveringRules
from tokenserver.policy.analysis.subsumption import covers
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal


def rule(name: str, patterns: str, to: str = "authenticated") -> Rule:
    """An allow rule."""
    people = principals_of(map(parse_principal, to.split()))
    return Rule.of(name, Effect.ALLOW, people, map(parse_pattern, patterns.split()), ["pull"])


@settings(deadline=None)
@given(world.worlds | captured.worlds | machine.worlds)
def test_every_rule_that_covers_another_is_a_candidate(policies: PolicySet) -> None:
    """And none is a candidate for itself."""
    covering = CoveringRules(policies)
    for inner in policies.rules:
        found = covering.of(inner)
        assert inner not in found
        assert [one.id for one in found] == sorted({one.id for one in found})
        for outer in policies.rules:
            if outer is not inner and inner.to != Principals() and covers(outer, inner, policies.groups, inner.actions):
                assert outer in found


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        pytest.param("*/shared7/**", {"shared7", "any", "tree"}, id="other literals after a wildcard"),
        pytest.param("**/shared7/x", {"shared7", "tree", "any"}, id="a wildcard of any depth"),
        pytest.param("z0/x/*", {"tree", "any"}, id="a literal that looks like the text of an example"),
        pytest.param("*/x/*", {"tree", "any"}, id="a wildcard in the place of such a literal"),
        pytest.param("a*/x/z0", {"tree", "any"}, id="a glob in the place of such a literal"),
        pytest.param("${user}/x/*", {"tree", "any", "user"}, id="the same variable"),
        pytest.param("${group}/x/*", {"tree", "any", "group"}, id="the other variable"),
        pytest.param("z0u/x/*", {"tree", "any"}, id="a name is no variable"),
    ],
)
def test_candidates_cover_an_example_of_the_rule(patterns: str, expected: set[str]) -> None:
    """So they are few where literals differ."""
    others = [rule(f"shared{number}", f"*/shared{number}/**") for number in range(20)]
    others += [rule("any", "*/**"), rule("tree", "**"), rule("literal", "z0/x/q"), rule("short", "az0/x az1/x")]
    others += [rule("user", "${user}/x/**"), rule("group", "${group}/x/**")]
    inner = rule("inner", patterns)
    assert {one.id for one in CoveringRules(world.policy_set(others, [])).of(inner)} == {
        f"rule-{number}" for number, one in enumerate(others) if one.id in expected
    }


def test_where_a_rule_is_listed_for_its_principals() -> None:
    """Rules for other groups are no candidates."""
    others = [rule("", "web/**", f"group:g{number}") for number in range(20)]
    found = CoveringRules(world.policy_set(others, [])).of(rule("inner", "web/x", "group:g7"))
    assert [one.id for one in found] == ["rule-7"]


def test_a_rule_for_a_group_without_members() -> None:
    """Any rule covers it; beside a group with members, those that cover that one do."""
    others = [rule("", "web/**", f"group:g{number}") for number in range(20)]
    policies = world.policy_set(others, [Group("a")])
    assert len(CoveringRules(policies).of(rule("inner", "web/x", "group:a"))) == 20
    found = CoveringRules(policies).of(rule("inner", "web/x", "group:a group:g7"))
    assert [one.id for one in found] == ["rule-7"]


def test_a_pattern_without_an_example() -> None:
    """Every other rule is a candidate: an impossible pattern is covered by any."""
    policies = world.policy_set([rule("", "a-_*b"), rule("", "web/**")], [])
    assert CoveringRules(policies).of(policies.rules[0]) == [policies.rules[1]]
    assert covers(policies.rules[1], policies.rules[0], policies.groups, frozenset({"pull"}))


@pytest.mark.parametrize(
    ("patterns", "without", "expected"),
    [
        pytest.param("web/**", "web/x", {"tree", "deep", "web"}, id="another name is taken away"),
        pytest.param("web/**", "web/*", {"tree", "deep", "web", "below"}, id="the shortest are taken away"),
        pytest.param("web/**", "web/* web/*/*", {"tree", "deep", "web", "below"}, id="the two shortest"),
        pytest.param("web/* data/*", "web/*", {"tree", "data"}, id="all of one pattern"),
        pytest.param("web/**", "web/* web/*/* web/*/*/*", {"tree", "deep", "web", "below", "data"}, id="no example"),
    ],
)
def test_an_example_is_not_taken_away(patterns: str, without: str, expected: set[str]) -> None:
    """So a rule for the rest is among the candidates; where no example was found, every rule is."""
    others = {"tree": "**", "deep": "web/**", "web": "web/** data", "below": "web/*/**", "data": "data/**"}
    made = [rule(name, text) for name, text in others.items()]
    inner = replace(rule("inner", patterns), without=tuple(map(parse_pattern, without.split())))
    found = CoveringRules(world.policy_set(made, [])).of(inner)
    assert {[*others][int(one.id.removeprefix("rule-"))] for one in found} == expected


def test_a_rule_whose_not_has_the_example() -> None:
    """It does not cover the rule."""
    other = replace(rule("other", "web/**"), without=(parse_pattern("web/*"),))
    policies = PolicySet("", (), (other,), Groups.of_all([]), build_index([other]))
    assert CoveringRules(policies).of(rule("inner", "web/**")) == []
    assert CoveringRules(policies).of(rule("inner", "web/*/x")) == [other]
