"""Digests and seals: only the right key matches, and a changed column breaks the seal."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_credentials import FULL, STATE_KEYS

from tokenserver.access_keys import compose_key
from tokenserver.credentials import AccessKeyForm
from tokenserver.storage.credential import SEALED, CredentialRow, row_of
from tokenserver.storage.seals import (
    digest_of_key,
    hmac_sha256,
    is_right,
    is_sealed,
    new_row,
    seal_of,
    sealed,
    spell_sealed,
)

KEY = compose_key(AccessKeyForm.PERSONAL, bytes(48))
OTHER = compose_key(AccessKeyForm.REFRESH, bytes(48))
STATE = STATE_KEYS.newest


def row() -> CredentialRow:
    """The row of KEY."""
    empty = row_of(FULL, digest=b"", pepper=0)
    return new_row(empty, KEY, pepper=STATE.pepper, pepper_number=STATE.number, seal_key=STATE.seal)


def changed(column: str, value: Any) -> CredentialRow:
    """The row with another value, of any type, in one column."""
    return row()._replace(**{column: value})


def test_the_right_key_alone_matches() -> None:
    """The digest covers the form as well: the same id and secret as another form are another key."""
    assert is_right(STATE.pepper, row(), KEY.text)
    assert not is_right(STATE.pepper, row(), OTHER.text)
    assert not is_right(b"x" * 32, row(), KEY.text)


def test_a_digest_is_an_hmac() -> None:
    """32 bytes that depend on the pepper, and say nothing about the key without it."""
    assert len(digest_of_key(STATE.pepper, KEY.text)) == 32
    assert digest_of_key(STATE.pepper, KEY.text) != digest_of_key(b"x" * 32, KEY.text)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_the_hmac_is_that_of_the_standard_library(key: bytes, content: bytes) -> None:
    """Whatever the key and the content, and again with the same key."""
    expected = hmac.digest(key, content, "sha256")
    assert [hmac_sha256(key, content), hmac_sha256(key, content)] == [expected] * 2


def test_a_new_row_is_sealed() -> None:
    """By the seal key of the state key whose number it has."""
    assert is_sealed(STATE.seal, row())
    assert not is_sealed(b"x" * 32, row())
    assert row().pepper == STATE.number


@pytest.mark.parametrize("column", SEALED)
def test_every_sealed_column_breaks_the_seal(column: str) -> None:
    """Set to another value of its type, and to nothing."""
    value = getattr(row(), column)
    other = value + 1 if isinstance(value, int) else value + (b"x" if isinstance(value, bytes) else "x")
    assert not is_sealed(STATE.seal, changed(column, other))
    assert not is_sealed(STATE.seal, changed(column, None))


@pytest.mark.parametrize("seal", ["", "text", None, 5, 1.5, 10**12])
def test_a_seal_of_another_type(seal: object) -> None:
    """docs/design/threats.md#threat-258: SQLite stores a value of any type in any column."""
    assert not is_sealed(STATE.seal, changed("seal", seal))


def test_text_is_not_the_bytes_that_it_spells() -> None:
    """Values of two types never have the same form under the seal."""
    spelled = row()._replace(proof="bytes:01")  # type: ignore[arg-type]  # what a database can hold
    assert sealed(STATE.seal, spelled).seal != sealed(STATE.seal, row()._replace(proof=b"\x01")).seal


@pytest.mark.parametrize(("column", "value"), [("state", 0), ("ended", 5), ("reason", "x"), ("rev", 9)])
def test_an_end_needs_no_new_seal(column: str, value: object) -> None:
    """A credential can be ended without the seal key."""
    assert is_sealed(STATE.seal, changed(column, value))


VALUES = st.one_of(
    st.none(), st.text(), st.binary(max_size=40), st.integers(), st.booleans(), st.floats(allow_nan=False)
)


@given(st.fixed_dictionaries(dict.fromkeys(SEALED, VALUES)))
def test_the_columns_are_spelled_as_by_the_library(values: dict[str, Any]) -> None:
    """What is written by hand is what the general encoder writes, whatever a database holds."""
    one = row()._replace(**values)
    tagged = {
        name: f"bytes:{value.hex()}"
        if isinstance(value, bytes)
        else f"text:{value}"
        if isinstance(value, str)
        else value
        for name, value in values.items()
    }
    assert spell_sealed(one) == json.dumps(tagged, sort_keys=True)
    assert is_sealed(STATE.seal, one._replace(seal=seal_of(STATE.seal, values)))
