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


class Users:
    """Users of a file."""

    current = True

    def is_current(self) -> bool:
        return self.current


def test_users_are_those_of_a_known_revision() -> None:
    """The newest one at which they were current; each version of the users has its own."""
    followed = [3]
    known, users, others = KnownRevision(lambda: followed[0]), Users(), Users()
    others.current = False
    assert (known.of_users(users), known.of_users(others)) == (3, -1)
    followed[0] = 5
    users.current = False
    assert known.of_users(users) == 3
    users.current = True
    assert known.of_users(users) == 5


def test_a_change_while_it_is_checked() -> None:
    """The revision counts that was known before the file was looked at: the next one may be that of a change."""
    followed = [3]
    known, users = KnownRevision(lambda: followed[0]), Users()

    def changing() -> bool:
        followed[0] = 4
        return True

    users.is_current = changing  # type: ignore[method-assign]
    assert known.of_users(users) == 3
