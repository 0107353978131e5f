"""Credentials that end because of their owners."""

from __future__ import annotations

from held_credentials import MemoryStorage, stored

from tokenserver.authn.stored.endings import Endings
from tokenserver.credentials import AccessKeyForm


def test_an_end_is_known_immediately() -> None:
    """Here and in the storage, with its reason."""
    storage = MemoryStorage()
    key = storage.add(stored(AccessKeyForm.REFRESH))
    endings = Endings(storage.end)
    assert endings.reason(key.id) is None
    endings.end(key.id, "the password was changed")
    assert endings.reason(key.id) == "the password was changed"
    assert storage.ended == [(key.id, "the password was changed")]


def test_an_end_that_could_not_be_stored_is_stored_later() -> None:
    """It holds here meanwhile, and no use of the credential passes without a try."""
    storage = MemoryStorage()
    key = storage.add(stored(AccessKeyForm.REFRESH))
    storage.outage = True
    endings = Endings(storage.end)
    endings.end(key.id, "disabled")
    assert (endings.reason(key.id), storage.ended) == ("disabled", [])
    storage.outage = False
    assert [endings.reason(key.id), endings.reason(key.id)] == ["disabled"] * 2
    assert storage.ended == [(key.id, "disabled")]
