"""Spans of `what_can` tests: compared by their names, in single cases and with every name of small worlds."""

from __future__ import annotations

from dataclasses import replace

import policy_worlds as world
import pytest
import rich_worlds as rich
from hypothesis import given
from pattern_languages import covers
from slow_properties import slow_examples
from what_can_rules import OPEN

from tokenserver.identity import Identity
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.remainders import Remainder
from tokenserver.policy.budget import Budget
from tokenserver.policy.model import PolicySet
from tokenserver.policy.principals import HypotheticalClient
from tokenserver.policy.queries.what_can import what_can
from tokenserver.policy.testing.spans import Span, as_written, difference, span_of


def spans(*texts: str) -> list[Span]:
    made = []
    for text in texts:
        name, _, but = text.partition(" except ")
        made.append(
            Span(frozenset({"pull"}), "repository", parse_pattern(name), tuple(map(parse_pattern, but.split())))
        )
    return made


@pytest.mark.parametrize(
    ("found", "expected", "differs"),
    [
        pytest.param([], [], None, id="nothing"),
        pytest.param(["web/**"], ["web/**"], None, id="same"),
        pytest.param(["web/**", "web/x"], ["web/**"], None, id="covered"),
        pytest.param(["web/*", "web/*/**"], ["web/**"], None, id="written-otherwise"),
        pytest.param(["web/**"], [], True, id="more"),
        pytest.param([], ["web/**"], False, id="less"),
        pytest.param(["web/** except web/x"], ["web/**"], False, id="cut"),
        pytest.param(["web/** except web/x", "web/x"], ["web/**"], None, id="cut-and-given"),
        pytest.param(["u/${user}/x"], ["u/${user}/x"], None, id="variable"),
        pytest.param(["u/*/x"], ["u/${user}/x"], True, id="a-variable-is-not-everybody"),
    ],
)
def test_difference(found: list[str], expected: list[str], differs: bool | None) -> None:
    """Names count, not how patterns are written."""
    answer = difference(spans(*found), spans(*expected), "pull", "repository")
    assert (None if answer is None else answer[1]) is differs


@given(world.identities | rich.identities, world.worlds | rich.worlds, world.worlds | rich.worlds)
@slow_examples()
def test_difference_against_every_name(identity: Identity, one: PolicySet, other: PolicySet) -> None:
    """No difference: every name agrees; a difference: the name shows it."""
    sides = [
        [
            span_of(reach)
            for reach in what_can(world_, HypotheticalClient(identity, world_.groups.holding(identity)), OPEN)
        ]
        for world_ in (one, other)
    ]

    def has(side: list[Span], name: str) -> bool:
        return any(
            "pull" in span.actions
            and covers(span.pattern, name)
            and not any(covers(but, name) for but in span.but)
            and not any(
                covers(one.pattern, name) and not any(covers(each, name) for each in one.without) for one in span.partly
            )
            for span in side
        )

    answer = difference(sides[0], sides[1], "pull", "repository")
    if answer is None:
        assert [name for name in (*world.NAMES, *rich.NAMES) if has(sides[0], name) != has(sides[1], name)] == []
    else:
        name, in_found = answer
        assert (has(sides[0], name), has(sides[1], name)) == (in_found, not in_found)


@pytest.mark.parametrize(
    ("found", "expected", "answer"),
    [
        pytest.param(["a/** except a/x"], ["a/** except a/x a/y"], ("a/y", True), id="one-exception-more"),
        pytest.param(["a/** except a/x a/y"], ["a/** except a/x"], ("a/y", False), id="one-exception-less"),
        pytest.param(["a/** except a/x"], ["a/** except a/x"], None, id="the-same-exception"),
    ],
)
def test_difference_within_exceptions(found: list[str], expected: list[str], answer: tuple[str, bool] | None) -> None:
    """Only names that neither side has as a whole show the difference."""
    assert difference(spans(*found), spans(*expected), "pull", "repository") == answer


def test_difference_within() -> None:
    """Only names of the patterns in question count."""
    within = [parse_pattern("a/**")]
    assert difference(spans("a/**"), spans("a/**", "b"), "pull", "repository", within) is None
    assert difference(spans("a/**"), spans("a/** except a/x", "b"), "pull", "repository", within) == ("a/x", True)


PROD = (parse_pattern("web/prod/**"), (parse_pattern("web/prod/open/**"),))


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        pytest.param(["web/** except web/prod/**", "web/prod/open/**"], None, id="as-two-spans"),
        pytest.param(["web/** except web/prod/**"], ("web/prod/open/x", True), id="without-what-is-spared"),
        pytest.param(["web/**"], ("web/prod/x", False), id="too-much"),
    ],
)
def test_what_a_deny_rule_spares(expected: list[str], answer: tuple[str, bool] | None) -> None:
    """It is compared by its names, as everything else."""
    (found,) = spans("web/**")
    found = replace(found, partly=(Remainder(*PROD),))
    assert str(found) == "pull web/** except web/prod/** (without web/prod/open/**)"
    assert difference([found], spans(*expected), "pull", "repository") == answer
    assert difference([found], [found], "pull", "repository") is None


@pytest.mark.parametrize(
    ("pattern", "partly", "expected"),
    [
        pytest.param("web/**", {}, ["web/**"], id="nothing"),
        pytest.param(
            "web/**",
            {"web/prod/**": "web/prod/open/** web/x"},
            ["web/** except web/prod/**", "web/prod/open/**", "web/x"],
            id="spared",
        ),
        pytest.param("web/x", {"**": "web/**"}, ["web/x", "web/x except **"], id="spared-as-a-whole"),
        pytest.param(
            "**",
            {"a/**": "**/x", "b/**": "b/x"},
            [
                "** except a/** b/**",
                "**/x except b/**",
                "b/x",
                "b/x except a/**",
            ],
            id="twice",
        ),
        pytest.param(
            "w*/**",
            {"web/prod/**": "web/p*/**"},
            ["w*/** except web/prod/** (without web/p*/**)"],
            id="globs-that-meet",
        ),
    ],
)
def test_as_written(pattern: str, partly: dict[str, str], expected: list[str]) -> None:
    """As a test can have it: the same names, wherever patterns can say that."""
    (found,) = spans(pattern)
    remainders = (Remainder(parse_pattern(one), tuple(map(parse_pattern, two.split()))) for one, two in partly.items())
    found = replace(found, partly=tuple(remainders))
    written = [*as_written(found, Budget())]
    assert {str(one).removeprefix("pull ") for one in written} == set(expected)
    assert difference([found], written, "pull", "repository") is None


@given(rich.identities, rich.worlds)
@slow_examples()
def test_what_is_written_is_the_same(identity: Identity, policies: PolicySet) -> None:
    """For every client's reaches."""
    who = HypotheticalClient(identity, policies.groups.holding(identity))
    found = [span_of(reach) for reach in what_can(policies, who, OPEN)]
    written = [one for span in found for one in as_written(span, Budget())]
    assert difference(found, written, "pull", "repository") is None
