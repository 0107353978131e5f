"""Seals of the rows of people and of browser sessions: a row that another program wrote or changed is not genuine."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any, Protocol

from tokenserver.storage.seals import seal_of
from tokenserver.storage.state_keys import StateKeys


class SealedRow(Protocol):
    """A row of a table with seals. `pepper` is the number of the state key of its seal."""

    @property
    def pepper(self) -> int:
        """The number of the state key."""

    @property
    def seal(self) -> bytes:
        """The seal, as it is stored."""

    def _asdict(self) -> dict[str, Any]:
        """All columns by name."""


class RowSeals:
    """The seals of one table. `purpose` is its own; `columns` are the names of the columns that a seal covers."""

    def __init__(self, keys: StateKeys, *, purpose: str, columns: Iterable[str]) -> None:
        self._keys = keys
        self._purpose = purpose
        self._columns = tuple(columns)

    def of(self, row: SealedRow) -> tuple[int, bytes]:
        """The `pepper` and the `seal` of a row that is about to be written, whatever it has there now."""
        newest = self._keys.newest
        return newest.number, self._seal(newest.seal, row)

    def is_genuine(self, row: SealedRow) -> bool:
        """Whether the row is what this server wrote, by a state key that is known here. Compares in constant time."""
        key = self._keys.by_number.get(row.pepper)
        # SQLite stores a value of any type in any column.
        is_seal = isinstance(row.seal, bytes | memoryview)
        return key is not None and is_seal and hmac.compare_digest(self._seal(key.seal, row), bytes(row.seal))

    def _seal(self, key: bytes, row: SealedRow) -> bytes:
        values = row._asdict()
        return seal_of(key, {name: values[name] for name in self._columns}, purpose=self._purpose)
