"""Names of claims: the short ones and the paths that they stand for."""

from __future__ import annotations

import pytest

from tokenserver.policy.machines.claim_names import (
    NO_ALIASES,
    SourceClaims,
    names_with_aliases,
    short_names,
    with_aliases,
)

ALIASES = {"namespace": "kubernetes.io/namespace", "pod": "kubernetes.io/pod/name"}


@pytest.mark.parametrize(
    ("claims", "more"),
    [
        pytest.param({("sub", "x")}, set(), id="neither"),
        pytest.param({("namespace", "web")}, {("kubernetes.io/namespace", "web")}, id="by alias"),
        pytest.param({("kubernetes.io/namespace", "web")}, {("namespace", "web")}, id="by path"),
        pytest.param(
            {("namespace", "a"), ("kubernetes.io/namespace", "b")},
            {("namespace", "b"), ("kubernetes.io/namespace", "a")},
            id="both",
        ),
    ],
)
def test_written_claims(claims: set[tuple[str, str]], more: set[tuple[str, str]]) -> None:
    """Alias and path are the same claim."""
    assert with_aliases(frozenset(claims), ALIASES) == claims | more
    assert with_aliases(frozenset(claims), NO_ALIASES) == claims


def test_names_alone() -> None:
    """As in an audit event of a server whose policies spell them otherwise."""
    assert names_with_aliases(["sub", "pod"], ALIASES) == {"sub", "pod", "kubernetes.io/pod/name"}
    assert names_with_aliases(["kubernetes.io/namespace"], ALIASES) == {"namespace", "kubernetes.io/namespace"}
    assert names_with_aliases([], ALIASES) == frozenset()


def test_short_names() -> None:
    """By path; a source has none by default."""
    assert short_names(ALIASES) == {"kubernetes.io/namespace": "namespace", "kubernetes.io/pod/name": "pod"}
    assert SourceClaims(frozenset()).aliases == {}
