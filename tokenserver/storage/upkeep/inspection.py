"""What is wrong with the content of a storage: seals, state keys, rows that cannot be read, and moments to come."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from sqlalchemy import select

from tokenserver.credentials import AccessKeyForm
from tokenserver.storage.credential import ACTIVE, CredentialRow, UnreadableCredential, opened
from tokenserver.storage.following.chores import MAX_NAMED, ending_line, ending_soon
from tokenserver.storage.following.reading import CredentialReader
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import credentials

_LEEWAY = 300


class Inspection(NamedTuple):
    """What was looked at, and the findings as sentences, each with its fix.

    `live` is the number of live credentials by the number of the state key that they were made with. `notes` are what
    is no fault of the storage.
    """

    rows: int
    live: dict[int, int]
    findings: list[str]
    notes: tuple[str, ...] = ()


def inspect(store: CredentialStore, *, now: float) -> Inspection:
    """Look at every row of the credentials. `now` is in seconds since the epoch.

    Raises:
        StorageUnavailable: the database does not answer.
    """
    found: dict[str, list[str]] = {}
    live: Counter[int] = Counter()
    unproved: Counter[str] = Counter()
    rows = store.database.read(lambda connection: connection.execute(select(credentials)).all())
    for values in rows:
        row = CredentialRow(*values)
        is_live = row.state == ACTIVE and row.ends > now
        if is_live:
            live[row.pepper] += 1
            if row.form == AccessKeyForm.REFRESH and row.proof == b"":
                unproved[row.source] += 1
        problem = _problem(store, row, now, is_live=is_live)
        if problem is not None:
            found.setdefault(problem, []).append(row.id)
    findings = [_sentence(*item) for item in sorted(found.items())]
    ending = ending_soon(CredentialReader(store.database), int(now))
    notes = [ending_line(ending)] if ending else []
    notes += [_unproved(*item) for item in sorted(unproved.items())]
    return Inspection(len(rows), dict(sorted(live.items())), findings, tuple(notes))


def _problem(store: CredentialStore, row: CredentialRow, now: float, *, is_live: bool) -> str | None:
    if row.pepper not in store.keys.by_number:
        if not is_live:  # as `storage reseal --retire` leaves them, and refused for two reasons
            return None
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


def _unproved(source: str, count: int) -> str:
    logins = f"{count} refresh token{'s' if count != 1 else ''} of {source}"
    why = "the source does not say when a password was changed, so a changed one does not end them"
    return f"{logins}: {why}; fix: set password_changed of {source}, and let bind_dn read that attribute"
