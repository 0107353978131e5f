"""The index of rules: it changes what a decision costs, and never what it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.policy.index import beginnings, build_index, renewed_index
from tokenserver.policy.model import Effect, Principals, Rule
from tokenserver.policy.patterns import parse_pattern

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
def test_a_renewed_index_is_a_new_one(kept: list[Rule], gone: list[Rule], new: list[Rule]) -> None:
    """Untouched parts are shared."""
    old = build_index([*kept, *gone])
    touched = beginnings([*gone, *new])
    near = [rule for rule in [*kept, *new] if not beginnings([rule]).isdisjoint(touched)]
    renewed = renewed_index(old, near, touched)
    assert renewed == build_index([*kept, *new])
    for kind, by_first in renewed.items():
        for first, by_prefix in by_first.items():
            assert (kind, first) in touched or by_prefix is old[kind][first]
    assert old == build_index([*kept, *gone])
