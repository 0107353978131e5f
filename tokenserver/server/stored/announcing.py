"""Changes of stored credentials by commands: their audit events, which a server writes.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tokenserver.credentials import AccessKeyForm
from tokenserver.exchange.audit_events import cut, shown, spell_time
from tokenserver.management.event_facts import made_facts
from tokenserver.management.events import MANAGEMENT
from tokenserver.storage.changes import MadeCredential
from tokenserver.storage.credential import CredentialRow, StoredCredential
from tokenserver.storage.database import Connection, Database
from tokenserver.storage.outbox import Outbox
from tokenserver.storage.selection import Selection
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.store import CredentialStore

COMMAND = "command"
"""The value of `via`."""

AT_A_TIME = 1000
"""Ids of one event."""

_MADE = {
    AccessKeyForm.PERSONAL: ("create_access_key", "rotate_access_key"),
    AccessKeyForm.ROBOT: ("create_robot_secret", "rotate_robot_secret"),
}
_ENDED = {str(AccessKeyForm.PERSONAL): "end_access_keys", str(AccessKeyForm.ROBOT): "end_robot_secrets"}
_LOGINS = "end_logins"


class AnnouncingStore(CredentialStore):
    """Stored credentials whose changes by a command have audit events. `by` is who runs it.

    An event is stored with the change, so that there is none without the other. `now` gives seconds since the epoch.
    """

    def __init__(self, database: Database, keys: StateKeys, *, now: Callable[[], float], by: str) -> None:
        super().__init__(database, keys, now=now)
        self._outbox = Outbox(keys)
        self._by = by

    def announce(self, connection: Connection, rev: int, action: str, **facts: Any) -> None:
        """Leave the event of a change in the transaction that makes it."""
        head = {"event": MANAGEMENT, "action": action, "actor": self._by, "via": COMMAND}
        event = {**head, "at": spell_time(self._now()), **facts, "outcome": "done"}
        self._outbox.put(connection, rev, event)

    def announce_done(self, action: str, **facts: Any) -> None:
        """Leave the event of a change that is not in the database, or is made already.

        Raises:
            StorageUnavailable: there is no event.
        """
        self.database.write(lambda connection, rev: self.announce(connection, rev, action, **facts))

    def _insert(self, connection: Connection, rev: int, wanted: StoredCredential) -> MadeCredential:
        made = super()._insert(connection, rev, wanted)
        names = _MADE.get(wanted.form)
        if names is not None:
            action = names[0] if wanted.replaces is None else names[1]
            self.announce(connection, rev, action, **made_facts(made.credential))
        return made

    def _end(self, connection: Connection, rev: int, selection: Selection, by: str, reason: str) -> list[CredentialRow]:
        ended = super()._end(connection, rev, selection, by, reason)
        for action, rows in _by_action(ended):
            for ids in _batches(sorted(row.id for row in rows)):
                owners = {row.owner for row in rows}
                whose = {"owner": owners.pop()} if len(owners) == 1 else {}
                why = {"reason": cut(shown(reason))}
                self.announce(connection, rev, action, credentials=ids, **whose, **why)
        return ended


def _by_action(rows: Iterable[CredentialRow]) -> Iterable[tuple[str, list[CredentialRow]]]:
    found: dict[str, list[CredentialRow]] = {}
    for row in rows:
        found.setdefault(_ENDED.get(row.form, _LOGINS), []).append(row)
    return sorted(found.items())


def _batches(ids: list[str]) -> Iterable[list[str]]:
    return (ids[start : start + AT_A_TIME] for start in range(0, len(ids), AT_A_TIME))
