"""The index of rules: it changes what a decision costs, and never what it is."""

from __future__ import annotations

import policy_worlds as world
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_properties import slow_examples

from tokenserver.identity import Identity
from tokenserver.patterns import matches, parse_pattern
from tokenserver.policy.index import buckets_for, build_index, index_keys, matching_rules, prefixes, updated_index
from tokenserver.policy.model import Effect, PolicySet, Principals, Rule
from tokenserver.scopes import Resource

RULES = st.lists(
    st.builds(
        lambda patterns, kind, user: Rule.of(
            "x",
            Effect.ALLOW,
            Principals(users=frozenset({user})),
            [parse_pattern(text) for text in patterns],
            ["*"],
            resource_type=kind,
        ),
        st.lists(st.sampled_from(["a", "a/b", "a/**", "b/*", "**", "*/a", "${user}/x", "c"]), min_size=1, max_size=2),
        st.sampled_from(["repository", "registry"]),
        st.sampled_from(["ann", "bob"]),
    ),
    max_size=7,
)


@given(kept=RULES, gone=RULES, new=RULES)
def test_a_updated_index_is_a_new_one(kept: list[Rule], gone: list[Rule], new: list[Rule]) -> None:
    """Untouched parts are shared."""
    old = build_index([*kept, *gone])
    touched = index_keys([*gone, *new])
    near = [rule for rule in [*kept, *new] if not index_keys([rule]).isdisjoint(touched)]
    renewed = updated_index(old, near, touched)
    assert renewed == build_index([*kept, *new])
    for kind, by_first in renewed.items():
        for first, by_prefix in by_first.items():
            assert (kind, first) in touched or by_prefix is old[kind][first]
    assert old == build_index([*kept, *gone])


@slow_examples()
@given(world.worlds, world.names, world.identities, st.integers(0, 6))
def test_the_index_finds_what_a_search_of_all_rules_finds(
    policies: PolicySet, name: str, identity: Identity, few: int
) -> None:
    """Every rule whose pattern covers the name and whose principals include the identity, and each only once."""
    groups = policies.groups.holding(identity)
    user = None if identity.is_anonymous else identity.subject
    index = build_index(policies.rules, few=few)
    found = matching_rules(index, Resource("repository", name), identity, groups)
    assert len(found) == len({id(rule) for rule in found})
    covering = [
        rule
        for rule in policies.rules
        if any(matches(pattern, name.split("/"), user, groups) for pattern in rule.patterns)
    ]
    assert all(rule in covering for rule in found)
    for rule in covering:
        assert rule in found or not rule.to.include(identity, groups)


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        pytest.param([], [""], id="nothing"),
        pytest.param(["web"], ["", "web"], id="one segment"),
        pytest.param(["web", "x", "y"], ["", "web", "web/x", "web/x/y"], id="three"),
    ],
)
def test_prefixes(segments: list[str], expected: list[str]) -> None:
    """From the empty one to the whole name."""
    assert prefixes(segments) == expected


def test_index_keys() -> None:
    """By the first literal segment; a pattern that begins with a wildcard has none."""
    rule = Rule.of("r", Effect.ALLOW, Principals(everyone=True), map(parse_pattern, ["web/**", "*/x", "a/b"]), ["pull"])
    assert index_keys([rule]) == {("repository", "web"), ("repository", ""), ("repository", "a")}
    assert index_keys([]) == frozenset()


def test_a_bucket_beside_a_name_is_not_looked_at() -> None:
    """Of buckets, only those on the way to the name, and those of patterns that begin with a wildcard."""
    texts = ["web/**", "web/x", "web/x/y", "web/z", "**", "*/x", "data/**"]
    rules = [Rule.of(text, Effect.ALLOW, Principals(everyone=True), [parse_pattern(text)], ["pull"]) for text in texts]
    index = build_index(rules)
    found = {rule.id for bucket in buckets_for(index, "repository", ["web", "x"]) for rule, _ in bucket.broad}
    assert found == {"web/**", "web/x", "**", "*/x"}
    assert buckets_for(index, "registry", ["web"]) == []
    assert {rule.id for one in buckets_for(index, "repository", []) for rule, _ in one.broad} == {"**", "*/x"}


def test_a_pattern_with_a_wildcard_in_front_is_found_by_its_literal() -> None:
    """The rarest one after the wildcard, so that thousands of such patterns cost a decision no more than one."""
    texts = [*(f"*/prod/shared{number}/**" for number in range(100)), "**", "*/x", "web/*"]
    rules = [Rule.of(text, Effect.ALLOW, Principals(everyone=True), [parse_pattern(text)], ["pull"]) for text in texts]
    index = build_index(rules)
    for name, expected in [
        ("t/prod/shared7/a", {"*/prod/shared7/**", "**"}),
        ("shared7/shared7", {"*/prod/shared7/**", "**"}),
        ("web/x", {"*/x", "**", "web/*"}),
        ("web/prod", {"**", "web/*"}),
    ]:
        buckets = buckets_for(index, "repository", name.split("/"))
        found = [rule.id for bucket in buckets for rule, _ in bucket.broad]
        assert set(found) == expected
        assert len(found) == len(expected)
