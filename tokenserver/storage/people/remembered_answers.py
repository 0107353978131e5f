"""Answers to requests that a client may send again after it lost the answer: each request is done once.

A request is known by a key of the client's choice together with who sent it and where to. Its answer may hold a new
secret, so it is in a box that only this server opens.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update

from tokenserver.storage.boxes import Boxes, UnreadableBox
from tokenserver.storage.connections.upsert import insert_if_new
from tokenserver.storage.database import Database
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.tables import flows

KIND = "idempotency"
"""The value of `kind` in the table."""

KEPT_SECONDS = 24 * 3600
"""For how long an answer is kept."""

OPEN_SECONDS = 60
"""For how long a request is taken to be in progress. Its process may have died."""

_OPEN, _DONE = "open", "done"
_DIGEST = 32
_TABLE = flows.c


class RememberedAnswer(NamedTuple):
    """What is known of a request with the same key. `answer` None: it is in progress.

    `is_same`: its content was the same, so that the answer is the right one.
    """

    is_same: bool
    answer: bytes | None


class RememberedAnswers:
    """The answers of a server. `now` gives seconds since the epoch."""

    def __init__(self, database: Database, keys: StateKeys, *, now: Callable[[], float]) -> None:
        self._database = database
        self._boxes = Boxes(keys)
        self._now = now

    def begin(self, request: bytes, content: bytes) -> RememberedAnswer | None:
        """Begin a request with this key and content; None if it is new, and so is to be done and `kept` or `dropped`.

        Raises:
            StorageUnavailable: nobody can tell.
        """
        identifier, digest, now = _id_of(request), hashlib.sha256(content).digest(), int(self._now())
        box = self._boxes.close(digest, about=identifier)
        values = {"id": identifier, "kind": KIND, "payload": box, "state": _OPEN, "ends": now + OPEN_SECONDS}

        def work(connection: Connection) -> RememberedAnswer | None:
            connection.execute(delete(flows).where(_TABLE.id == identifier, _TABLE.ends <= now))
            if insert_if_new(connection, flows, values):
                return None
            found = connection.execute(select(_TABLE.payload, _TABLE.state).where(_TABLE.id == identifier)).first()
            if found is None:  # another process has just dropped it
                return RememberedAnswer(is_same=True, answer=None)
            return self._remembered(identifier, digest, found.payload, is_done=found.state == _DONE)

        return self._database.note(work)

    def kept(self, request: bytes, content: bytes, answer: bytes) -> None:
        """Keep the answer to a request that was begun.

        Raises:
            StorageUnavailable: it is not kept.
        """
        identifier = _id_of(request)
        box = self._boxes.close(hashlib.sha256(content).digest() + answer, about=identifier)
        values = {"payload": box, "state": _DONE, "ends": int(self._now()) + KEPT_SECONDS}
        statement = update(flows).where(_TABLE.id == identifier, _TABLE.state == _OPEN).values(values)
        self._database.note(lambda connection: connection.execute(statement))

    def dropped(self, request: bytes) -> None:
        """Forget a request that was begun and came to nothing, so that it can be sent again.

        Raises:
            StorageUnavailable: it is in progress for a minute more.
        """
        statement = delete(flows).where(_TABLE.id == _id_of(request), _TABLE.state == _OPEN)
        self._database.note(lambda connection: connection.execute(statement))

    def _remembered(self, identifier: bytes, digest: bytes, box: bytes, *, is_done: bool) -> RememberedAnswer:
        try:
            content = self._boxes.open(box, about=identifier)
        except UnreadableBox:  # changed in the database: the answer is not ours
            return RememberedAnswer(is_same=False, answer=None)
        is_same = hmac.compare_digest(content[:_DIGEST], digest)
        return RememberedAnswer(is_same, content[_DIGEST:] if is_done else None)


def _id_of(request: bytes) -> bytes:
    return hashlib.sha256(b"idempotency\0" + request).digest()
