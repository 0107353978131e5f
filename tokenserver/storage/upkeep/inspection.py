"""What is wrong with the content of a storage: seals, state keys, rows that cannot be read, and moments to come."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from sqlalchemy import select

from tokenserver.storage.credential import ACTIVE, CredentialRow, UnreadableCredential, opened
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import credentials

MAX_NAMED = 20
"""How many credentials of one kind of finding are named."""

_LEEWAY = 300


class Inspection(NamedTuple):
    """What was looked at, and the findings as sentences, each with its fix.

    `live` is the number of live credentials by the number of the state key that they were made with.
    """

    rows: int
    live: dict[int, int]
    findings: list[str]


def inspect(store: CredentialStore, *, now: float) -> Inspection:
    """Look at every row of the credentials. `now` is in seconds since the epoch.

    Raises:
        StorageUnavailable: the database does not answer.
    """
    found: dict[str, list[str]] = {}
    live: Counter[int] = Counter()
    rows = store.database.read(lambda connection: connection.execute(select(credentials)).all())
    for values in rows:
        row = CredentialRow(*values)
        if row.state == ACTIVE and row.ends > now:
            live[row.pepper] += 1
        problem = _problem(store, row, now)
        if problem is not None:
            found.setdefault(problem, []).append(row.id)
    return Inspection(len(rows), dict(sorted(live.items())), [_sentence(*item) for item in sorted(found.items())])


def _problem(store: CredentialStore, row: CredentialRow, now: float) -> str | None:
    if row.pepper not in store.keys.by_number:
        return f"made with state key {row.pepper}, which is missing here; fix: copy state.key from another replica"
    if not store.is_genuine(row):
        return "changed by something else than this server, and rejected; fix: revoke them, and find out who did"
    try:
        opened(row)
    except UnreadableCredential:
        return "unreadable for this version, and rejected; fix: install the newer release, or make new ones"
    if row.created > now + _LEEWAY:
        return "made in the future; fix: set the clock of this machine, or of the one that made them"
    return None


def _sentence(problem: str, ids: list[str]) -> str:
    named = ", ".join(sorted(ids)[:MAX_NAMED])
    more = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
    return f"{len(ids)} credential{'s' if len(ids) != 1 else ''} ({named}{more}) {problem}"
