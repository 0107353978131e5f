"""Granted accesses: which one a later report is joined with, and what is known once old ones are forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit import granted_accesses
from tokenserver.audit.granted_accesses import MAX_COMPARED, SKEW, GrantedAccess, GrantedAccesses
from tokenserver.scopes import MAX_LIFETIME

KEY = ("reg", "repository:a", "push")
OTHER = ("reg", "repository:b", "push")
WINDOW = MAX_LIFETIME + SKEW


def grant(moment: float, number: int = 0, client: str = "10.0.0.1") -> GrantedAccess:
    """A granted access at this moment."""
    return GrantedAccess(moment, number, client, f"jti-{number}", "", (), (), is_in_question=True)


def kept(*grants: GrantedAccess, subject: str = "ann") -> GrantedAccesses:
    """These accesses of one subject."""
    found = GrantedAccesses()
    for one in grants:
        found.add(subject, KEY, one)
    return found


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param(10_000.0 - SKEW - 1, None, id="before"),
        pytest.param(10_000.0 - SKEW, 1, id="a registry whose clock is behind"),
        pytest.param(10_000.0, 1, id="in the same moment"),
        pytest.param(10_500.0, 2, id="the last of two"),
        pytest.param(10_300.0 + WINDOW, 2, id="as long as any token may live"),
        pytest.param(10_301.0 + WINDOW, None, id="after that"),
    ],
)
def test_which_access_allowed_it(moment: float, number: int | None) -> None:
    """The last one before it, within the longest lifetime and the skew; in whichever order they were found."""
    for grants in (kept(grant(10_000.0, 1), grant(10_300.0, 2)), kept(grant(10_300.0, 2), grant(10_000.0, 1))):
        found = grants.allowing("ann", KEY, moment, "10.9.9.9")
        assert (None if found is None else found.number) == number


def test_the_address_of_the_client_decides_between_several() -> None:
    """One machine's token was not used on another, as far as that can be told."""
    grants = kept(grant(10_000.0, 1, "10.0.0.1"), grant(10_001.0, 2, "10.0.0.2"), grant(10_002.0, 3, "10.0.0.2"))
    numbers = [
        found.number
        for client in ("10.0.0.1", "10.0.0.2", "10.0.0.3")
        if (found := grants.allowing("ann", KEY, 10_100.0, client))
    ]
    assert numbers == [1, 3, 3]


def test_of_many_the_last_are_compared() -> None:
    """One is found, however many there are."""
    grants = kept(*(grant(10_000.0 + number, number, f"10.0.0.{number}") for number in range(MAX_COMPARED + 5)))
    found = grants.allowing("ann", KEY, 10_900.0, "10.0.0.1")
    assert found is not None
    assert found.number == MAX_COMPARED + 4


def test_others_are_no_help() -> None:
    """Neither another subject's access nor one to something else; but that somebody had one is known."""
    grants = kept(grant(10_000.0))
    assert grants.allowing("bob", KEY, 10_010.0, "10.0.0.1") is None
    assert grants.allowing("ann", OTHER, 10_010.0, "10.0.0.1") is None
    assert [grants.has_any(key, 10_010.0) for key in (KEY, OTHER)] == [True, False]
    assert not grants.has_any(KEY, 10_010.0 + 2 * WINDOW)


ACCESSES = st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from([KEY, OTHER]), st.integers(0, 40))


def is_near(moment: int, minutes: list[int]) -> bool:
    """Whether an access of one of these moments, in ten minutes each, allows something at this one."""
    return any(ten * 600 - SKEW <= moment <= ten * 600 + WINDOW for ten in minutes)


@given(st.lists(ACCESSES, max_size=40), st.integers(1, 10))
def test_forgetting(added: list[tuple[str, tuple[str, str, str], int]], most: int) -> None:
    """After `forgotten`, what is not found was not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(granted_accesses, "MAX_GRANTS", most)
        grants = GrantedAccesses()
        for number, (subject, key, minute) in enumerate(added):
            grants.add(subject, key, grant(minute * 600.0, number))
    for subject in ("ann", "bob"):
        for key in (KEY, OTHER):
            for moment in range(0, 40 * 600, 300):
                if moment <= grants.forgotten:
                    continue
                mine = [ten for who, one, ten in added if (who, one) == (subject, key)]
                assert (grants.allowing(subject, key, moment, "") is not None) == is_near(moment, mine)
                assert grants.has_any(key, moment) or not is_near(moment, [ten for _, one, ten in added if one == key])
