"""Algorithms: asymmetric ones alone, each with the type of its key."""

from __future__ import annotations

import pytest

from tokenserver.authn.workload.algorithms import ALGORITHMS, KeyType, is_same_algorithm


def test_no_algorithm_is_symmetric() -> None:
    """Neither a MAC nor nothing at all; each has the family of its key."""
    families = {KeyType.RSA: ("RS", "PS"), KeyType.ED25519: ("Ed",)}
    assert len(ALGORITHMS) == 11
    assert {name for name, kind in ALGORITHMS.items() if name[:2] not in families.get(kind, ("ES",))} == set()


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        pytest.param("RS256", "RS256", True, id="equal"),
        pytest.param("EdDSA", "Ed25519", True, id="old and new name"),
        pytest.param("Ed25519", "EdDSA", True, id="new and old name"),
        pytest.param("RS256", "PS256", False, id="same key, other padding"),
        pytest.param("RS256", "RS512", False, id="other hash"),
    ],
)
def test_names_of_one_algorithm(one: str, other: str, is_same: bool) -> None:
    """A key for one of them verifies the other."""
    assert is_same_algorithm(one, other) is is_same
