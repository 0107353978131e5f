"""What a change of stored credentials may run into."""

from __future__ import annotations

from tokenserver.errors import TokenserverError
from tokenserver.storage.changes import NoSuchCredential, RotatedAlready, TooManyCredentials, unrecorded


def test_a_second_rotation_is_one_credential_too_many() -> None:
    """For callers that handle limits alone; a credential that is not there is no limit."""
    assert issubclass(RotatedAlready, TooManyCredentials)
    assert not issubclass(NoSuchCredential, TooManyCredentials)
    assert issubclass(NoSuchCredential, TokenserverError)


def test_nothing_is_recorded() -> None:
    """Whatever is made or changed, and nothing is raised, which would undo the change."""
    assert [unrecorded(), unrecorded("credential", 1)] == [None, None]  # type: ignore[func-returns-value]  # the test
