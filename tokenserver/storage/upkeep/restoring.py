"""Restoring a backup: credentials that may have been revoked since it was made do not come back.

The backup is changed in a copy next to the database, so that no server ever reads it as it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, update

from tokenserver.errors import BackendUnavailable
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.migrations.migrate import migrate_schema
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import credentials, revision
from tokenserver.storage.upkeep.audit_replay import ended_in
from tokenserver.storage.upkeep.backup import back_up, replace_content, require_backup

REASON = "restored from a backup"

_MANY = 1000
"""Ids of one statement."""


def restore(
    store: CredentialStore, backup: Path, database: Path, *, logs: Sequence[bytes] | None, keep: bool, by: str
) -> int:
    """Put a backup into the database of `store`; how many of its credentials were ended. See `end_restored`.

    Raises:
        LoadError: the file is no undamaged backup of this or an older version; nothing was changed.
        StorageUnavailable: the database cannot be written; it is as before.
    """
    require_backup(backup)
    above = _revision_of(store)
    with TemporaryDirectory(dir=database.parent, prefix=".restore-") as folder:
        copy = Path(folder) / "copy.db"
        back_up(backup, copy)
        engine = engine_for(copy)
        migrate_schema(engine, server="", now=int(time.time()))
        changed = CredentialStore(Database(engine), store.keys, now=time.time)
        ended = end_restored(changed, logs=logs, keep=keep, above=above, by=by)
        changed.database.close()
        replace_content(database, copy)
    return ended


def end_restored(store: CredentialStore, *, logs: Sequence[bytes] | None, keep: bool, above: int = 0, by: str) -> int:
    """End credentials of a restored storage; how many.

    With `logs`, the contents of audit logs, those that have ended according to them; with `keep` none; else all. Every
    row gets a revision higher than `above`, that of the storage before, so that readers read it again.

    Raises:
        StorageUnavailable: not all were ended.
    """

    def renumber(connection: Connection, rev: int) -> None:
        newest = max(rev, above + 1)
        connection.execute(update(revision).values(rev=newest))
        connection.execute(update(credentials).values(rev=newest))

    ended = 0
    if logs is not None:
        ids = sorted({one for log in logs for one in ended_in(log.splitlines())})
        for start in range(0, len(ids), _MANY):
            some = Selection(ids=frozenset(ids[start : start + _MANY]))
            ended += len(store.end(some, by=by, reason=REASON))
    elif not keep:
        ended = len(store.end(Selection(), by=by, reason=REASON))
    store.database.write(renumber)
    return ended


def _revision_of(store: CredentialStore) -> int:
    """The revision of the storage; 0 if it cannot be read, which is why it is restored."""
    with suppress(BackendUnavailable):
        return store.database.revision()
    return 0
