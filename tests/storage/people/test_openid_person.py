"""What is kept of a person: the proof is theirs alone."""

from __future__ import annotations

from dataclasses import replace

from tokenserver.storage.people.openid_person import NotThisPerson, OpenIdPerson

ANN = OpenIdPerson("sso", "1", "ann", frozenset(), 5, 5)


def test_the_proof() -> None:
    """Another person, provider or end gives another one; a login or other groups do not."""
    proofs = [one.proof for one in (ANN, replace(ANN, sub="2"), replace(ANN, source="x"), replace(ANN, not_before=1))]
    assert len(set(proofs)) == len(proofs)
    assert replace(ANN, seen=9, asked=9, groups=frozenset({"a"})).proof == ANN.proof


def test_why_somebody_is_another_person() -> None:
    """In words."""
    assert "somebody else's" in str(NotThisPerson(None))
    assert "another name" in str(NotThisPerson("ann"))
