"""The index of globs by their literal beginnings finds whatever matches, and little else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.patterns import Pattern
from tokenserver.policy.machines.claim_globs import accepts, parse_claim_glob
from tokenserver.policy.machines.literal_heads import LiteralHeads

Claims = list[tuple[str, tuple[Pattern, ...]]]


def claims(*required: tuple[str, list[str]]) -> Claims:
    """Required claims, from texts."""
    return [(name, tuple(map(parse_claim_glob, texts))) for name, texts in required]


INDEX = LiteralHeads.of(
    [
        ("web", claims(("repo", ["octo/web-*"]), ("ref", ["refs/*"]))),
        ("lab", claims(("repo", ["octo/lab-*", "octo/lab/**"]), ("ref", ["refs/*"]))),
        ("any", claims(("repo", ["*/x", "octo/*"]))),
        ("all", claims(("repo", ["octo/*"]))),
    ]
)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([("repo", "octo/web-1")], ["any", "all", "web"], id="every length"),
        pytest.param([("repo", "octo/lab/1"), ("ref", "refs/x")], ["any", "all", "lab"], id="one of a list"),
        pytest.param([("repo", "octo")], ["any"], id="too short"),
        pytest.param([("ref", "refs/x")], ["any"], id="a claim that more have in common"),
        pytest.param([("else", "octo/web-1")], ["any"], id="another claim"),
        pytest.param([], ["any"], id="nothing"),
    ],
)
def test_candidates(found: list[tuple[str, str]], expected: list[str]) -> None:
    """Those without a literal beginning are always among them."""
    assert [*INDEX.candidates(found)] == expected


GLOBS = st.lists(st.sampled_from(["a", "a*", "ab*", "a/*", "*", "**", "b/**", "*b"]), min_size=1, max_size=2)
CLAIMS = st.lists(st.tuples(st.sampled_from("xy"), GLOBS), max_size=2).map(lambda found: claims(*found))


@given(
    st.lists(CLAIMS, max_size=5),
    st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from(["a", "ab", "a/b", "b", "b/a", ""])), max_size=3),
)
def test_nothing_that_matches_is_missed(required: list[Claims], found: list[tuple[str, str]]) -> None:
    """Each item whose claims all hold is a candidate."""
    matching = {
        number
        for number, one in enumerate(required)
        if all(any(claim == name and accepts(globs, value) for claim, value in found) for name, globs in one)
    }
    assert matching <= set(LiteralHeads.of(enumerate(required)).candidates(found))
