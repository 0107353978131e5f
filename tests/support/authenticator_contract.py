"""The contract of `Authenticator` as tests; each user source runs them in a class that gives the fixtures."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.authn.authenticator import Authenticator, KnownUsers
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Identity, Kind

GOOD = "wonderland"
NAME = "here"

_NAMES = st.text(st.characters(), min_size=0, max_size=20) | st.sampled_from(["alice", "ALICE", " alice", "*", "\0"])
_EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def ask(backend: Authenticator, user: str, password: str) -> Identity | str | None:
    """The backend's answer, an error by its name; anything that the contract does not have fails."""
    try:
        return backend.authenticate(Password(user, Secret(password)))
    except (InvalidCredentials, BackendUnavailable) as error:
        return type(error).__name__


def look_for(backend: Authenticator, subject: str) -> Identity | str | None:
    """What the backend says about a user without a password, an error by its name."""
    assert isinstance(backend, KnownUsers)
    try:
        return backend.find(subject)
    except (InvalidCredentials, BackendUnavailable) as error:
        return type(error).__name__


class AuthenticatorContract:
    """A subclass gives the fixture `backend`: a source called `NAME`, whose only user is alice with password `GOOD`.

    It overrides the fixture `unknown` where the source cannot tell an unknown user from a wrong password.
    """

    @pytest.fixture
    def unknown(self) -> str | None:
        """The answer for a user who does not exist."""
        return None

    def test_right(self, backend: Authenticator) -> None:
        """An identity of its own, with a subject, of the kind of the credentials."""
        found = ask(backend, "alice", GOOD)
        assert isinstance(found, Identity)
        assert (found.subject, found.source, found.kind, backend.name) == ("alice", NAME, Kind.PASSWORD, NAME)
        assert not found.is_anonymous

    def test_wrong(self, backend: Authenticator) -> None:
        """The user is mine: no other source is asked."""
        assert ask(backend, "alice", "wrong") == "InvalidCredentials"

    def test_unknown(self, backend: Authenticator, unknown: str | None) -> None:
        """Not mine: the next source is asked, unless this one cannot tell."""
        assert ask(backend, "nobody", GOOD) == unknown

    @pytest.mark.parametrize(
        "password", ["", "\0", f"{GOOD}\0", f"\0{GOOD}", f"{GOOD} ", f" {GOOD}", GOOD.upper(), GOOD[:-1]]
    )
    def test_nearly_right(self, backend: Authenticator, password: str) -> None:
        """At the backend itself: no password but the right one, and never the empty one.

        See docs/design/threats.md#threat-1 and docs/design/threats.md#threat-13.
        """
        assert ask(backend, "alice", password) == "InvalidCredentials"

    @pytest.fixture
    def finds(self) -> bool:
        """Whether the source can find a user without the password."""
        return True

    def test_find(self, backend: Authenticator, finds: bool) -> None:
        """`KnownUsers.find` reports whom a login with the right password reports, with the same proof."""
        found = look_for(backend, "alice")
        if not finds:
            assert found == "BackendUnavailable"
            return
        assert isinstance(found, Identity)
        known = ask(backend, "alice", GOOD)
        assert isinstance(known, Identity)
        assert (found, found.proof, found.valid_for) == (known, known.proof, None)

    @pytest.mark.parametrize("subject", ["nobody", "", "*", "alic", "alice ", "alice)(uid=*", "\0", "x" * 300])
    def test_find_nobody(self, backend: Authenticator, finds: bool, subject: str) -> None:
        """Every other subject finds nobody; a text that can be no name may be refused."""
        nobody = {None, "InvalidCredentials"} if finds else {"BackendUnavailable"}
        assert look_for(backend, subject) in nobody

    @given(user=_NAMES, password=st.sampled_from(["", "\0", "x\0"]))
    @_EXAMPLES
    def test_the_empty_password_is_nobody_s(self, backend: Authenticator, user: str, password: str) -> None:
        """For every name, at every backend (docs/design/threats.md#threat-1)."""
        assert not isinstance(ask(backend, user, password), Identity)

    @given(user=_NAMES, password=st.text(st.characters(), max_size=100))
    @_EXAMPLES
    def test_any_text_has_an_answer(self, backend: Authenticator, user: str, password: str) -> None:
        """Any text gives one of the answers, and never an identity but alice's."""
        found = ask(backend, user, password)
        assert found in (None, "InvalidCredentials") or (
            isinstance(found, Identity) and (found.subject, password) == ("alice", GOOD)
        )
