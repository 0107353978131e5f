"""Restoring a backup: credentials that may have been revoked since it was made do not come back.

The backup is changed in a copy next to the database, so that no server ever reads it as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update

from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import BackendUnavailable
from tokenserver.storage.changes import unrecorded
from tokenserver.storage.credential import ENDED
from tokenserver.storage.database import GENERATION, Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.migrations.migrate import migrate_schema
from tokenserver.storage.outbox import OutboxRow, replace_waiting, waiting
from tokenserver.storage.people.epochs import EVERYBODY, end_logins_until
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import browser_sessions, credentials, epochs, flows, revision
from tokenserver.storage.upkeep.audit_replay import ended_in
from tokenserver.storage.upkeep.backup import back_up, replace_content, require_backup

REASON = "restored from a backup"

_REFRESH = frozenset({AccessKeyForm.REFRESH})

_MANY = 1000
"""Ids of one statement."""


class Restored(NamedTuple):
    """How many credentials were ended, and whether it was known which ones had ended in the storage before.

    `is_moved`: the old database was moved aside, and servers that run still have it.
    """

    ended: int
    knew_ends: bool = True
    is_moved: bool = False


def restore(
    store: CredentialStore,
    backup: Path,
    database: Path,
    *,
    logs: Sequence[bytes] | None,
    keep: bool,
    by: str,
    announced: Callable[[Connection, int, int], None] = unrecorded,
) -> Restored:
    """Put a backup into the database of `store`. See `end_restored`. Servers may run.

    `announced` is called with the number of what has ended, in the last transaction before the backup is in force.
    Audit events that wait in the database stay there; those of the backup were written long ago.

    What had ended in the database before has ended in the restored one, too, if it can still be read.

    Raises:
        LoadError: the file is no undamaged backup of this or an older version; nothing was changed.
        StorageUnavailable: the database cannot be written; it is as before.
    """
    require_backup(backup)
    before = _known(store)
    with TemporaryDirectory(dir=database.parent, prefix=".restore-") as folder:
        copy = Path(folder) / "copy.db"
        back_up(backup, copy)
        engine = engine_for(copy)
        migrate_schema(engine, server="", now=int(time.time()))
        changed = CredentialStore(Database(engine), store.keys, now=time.time)
        ended = end_restored(changed, logs=logs, keep=keep, before=before, by=by)

        def announce(connection: Connection, rev: int) -> None:
            replace_waiting(connection, rev, before.events)
            announced(connection, rev, ended)

        changed.database.write(announce)
        changed.database.close()
        is_moved = not replace_content(database, copy)
    return Restored(ended, before.is_certain, is_moved)


class StorageBefore(NamedTuple):
    """What is known of the storage before: its revision, and the ids of what had ended there.

    `is_certain`: it could be read; otherwise there are none. `events` wait in its outbox.
    """

    revision: int = 0
    ended: frozenset[str] = frozenset()
    is_certain: bool = False
    events: tuple[OutboxRow, ...] = ()


def end_restored(
    store: CredentialStore, *, logs: Sequence[bytes] | None, keep: bool, before: StorageBefore | None = None, by: str
) -> int:
    """End credentials of a restored storage; how many.

    With `logs`, the contents of audit logs, those that have ended according to them, or had ended `before`; with `keep`
    none; else all. Without `keep`, all browser sessions and logins in progress end, since no log knows enough of them.
    Every row gets a revision of the next generation: readers read it again, and forget what is not there any more.

    Raises:
        StorageUnavailable: not all were ended.
    """
    ended, before = 0, before or StorageBefore()
    if logs is not None:
        found = ended_in(line for log in logs for line in log.splitlines())
        ids = sorted(found.ids | before.ended)
        some = [Selection(ids=frozenset(ids[start : start + _MANY])) for start in range(0, len(ids), _MANY)]
        some += [Selection(owner=one, forms=_REFRESH, before=int(moment) + 1) for one, moment in sorted(found.people)]
        ended = sum(len(store.end(selection, by=by, reason=REASON)) for selection in some)
    elif not keep:
        ended = len(store.end(Selection(), by=by, reason=REASON))

    def begin_generation(connection: Connection, rev: int) -> None:
        newest = (max(rev, before.revision) // GENERATION + 1) * GENERATION
        connection.execute(update(revision).values(rev=newest))
        connection.execute(update(credentials).values(rev=newest))
        connection.execute(delete(epochs))
        if not keep:
            connection.execute(update(browser_sessions).values(state=ENDED))
            connection.execute(delete(flows))
            end_logins_until(connection, newest, EVERYBODY, now=int(time.time()))

    store.database.write(begin_generation)
    return ended


def _known(store: CredentialStore) -> StorageBefore:
    """What can be read of the storage before; nothing if it is damaged, which is why it is restored."""
    table = credentials.c
    revoked = (table.state == ENDED, table.reason.is_distinct_from(REASON))  # another restore has ended all
    with suppress(BackendUnavailable):
        ended = store.database.read(
            lambda connection: connection.execute(select(table.id).where(*revoked)).scalars().all()
        )
        events = store.database.read(waiting)
        return StorageBefore(store.database.revision(), frozenset(ended), is_certain=True, events=tuple(events))
    return StorageBefore()
