"""Seals of rows: each column that they cover counts, and they hold for one table and one set of state keys."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from stored_credentials import STATE_KEYS

from tokenserver.storage.people.row_seals import RowSeals
from tokenserver.storage.state_keys import StateKey, StateKeys


class Row(NamedTuple):
    """A row with a column of each type, and one that the seal does not cover."""

    name: str = "ann"
    proof: bytes | None = b"\xab"
    ends: int = 7
    seen: int = 1
    pepper: int = 0
    seal: bytes = b""


SEALS = RowSeals(STATE_KEYS, purpose="test", columns=("name", "proof", "ends"))


def written(seals: RowSeals = SEALS, row: Row | None = None) -> Row:
    """A row with its seal."""
    row = Row() if row is None else row
    pepper, seal = seals.of(row)
    return row._replace(pepper=pepper, seal=seal)


def test_what_was_written_is_genuine() -> None:
    """By the newest state key; a column without a seal may change."""
    assert written().pepper == STATE_KEYS.newest.number
    assert SEALS.is_genuine(written())
    assert SEALS.is_genuine(written()._replace(seen=2))
    assert written(row=written()) == written()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "bob"),
        ("proof", None),
        ("proof", b"\xac"),
        ("proof", "ab"),
        ("proof", "bytes:ab"),
        ("ends", 8),
        ("ends", "7"),
        ("pepper", 9),
        ("seal", b""),
        ("seal", b"x" * 32),
    ],
)
def test_what_was_changed_is_not(column: str, value: Any) -> None:
    """Also to a value of another type that looks alike, or to a state key that is not here."""
    assert not SEALS.is_genuine(written()._replace(**{column: value}))


@pytest.mark.parametrize("seal", ["", "text", None, 5, 1.5, 10**12])
def test_a_seal_of_another_type(seal: Any) -> None:
    """docs/design/threats.md#threat-258: SQLite stores a value of any type in any column."""
    assert not SEALS.is_genuine(written()._replace(seal=seal))


def test_a_row_of_another_table_is_not() -> None:
    """Even one with the same columns and state key."""
    other = RowSeals(STATE_KEYS, purpose="other", columns=("name", "proof", "ends"))
    assert other.is_genuine(written(other))
    assert not SEALS.is_genuine(written(other))


def test_an_older_state_key_goes_on_to_count() -> None:
    """A row is sealed by the newest key, and checked by the one with its number."""
    newer = StateKey.derived(STATE_KEYS.newest.number + 1, b"n" * 32)
    both = RowSeals(
        StateKeys({**STATE_KEYS.by_number, newer.number: newer}), purpose="test", columns=("name", "proof", "ends")
    )
    assert both.is_genuine(written())
    assert written(both).pepper == newer.number
    assert not SEALS.is_genuine(written(both))
