"""Texts that a client can send as an id or a name, and that no row of any database has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from stored_credentials import STATE_KEYS, Clock

from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore, NoSuchCredential

IMPOSSIBLE = ["\0", "a\0b", "\ud800"]


def _rotated(store: CredentialStore, text: str) -> bool:
    with pytest.raises(NoSuchCredential):
        store.rotate(text, ends=2, overlap=1, by="ops")
    return False


def _sessions(store: CredentialStore) -> BrowserSessions:
    return BrowserSessions(store.database, STATE_KEYS, now=Clock())


QUESTIONS: Mapping[str, Callable[[CredentialStore, str], object]] = {
    "by id": lambda store, text: store.listed(Selection(ids=frozenset({text}))),
    "by owner": lambda store, text: store.listed(Selection(owner=text)),
    "by source": lambda store, text: store.listed(Selection(owner="ann", source=text)),
    "end by id": lambda store, text: store.end(Selection(ids=frozenset({text})), by="ops", reason="x"),
    "end by owner": lambda store, text: store.end(Selection(owner=text), by="ops", reason="x"),
    "end by source": lambda store, text: store.end(Selection(owner="ann", source=text), by="ops", reason="x"),
    "rotate": _rotated,
    "sessions": lambda store, text: _sessions(store).listed(source="local", subject=text),
    "sessions of a source": lambda store, text: _sessions(store).listed(source=text, subject="ann"),
    "end sessions": lambda store, text: _sessions(store).end_all(Whose("", "subject", text)),
    "end sessions of a source": lambda store, text: _sessions(store).end_all(Whose(text, "subject", "ann")),
    "end sessions by a provider": lambda store, text: _sessions(store).end_all(Whose("corp", "sid", text)),
}
"""What is asked about such a text; each has an answer that is false."""
