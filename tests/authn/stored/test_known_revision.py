"""The known revision: what was followed, or seen otherwise."""

from __future__ import annotations

from tokenserver.authn.stored.known_revision import KnownRevision


def test_it_never_goes_back() -> None:
    """The newer of the two counts, whichever was known first."""
    followed = [3]
    known = KnownRevision(lambda: followed[0])
    assert known() == 3
    known.learn(7)
    assert known() == 7
    known.learn(5)
    assert known() == 7
    followed[0] = 9
    assert known() == 9
