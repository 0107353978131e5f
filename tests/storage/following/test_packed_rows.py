"""Packed rows: nothing is lost, equal rows are equal, and what this program does not write is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_credentials import FULL, PLAIN

from tokenserver.storage.credential import CredentialRow, StoredCredential, UnreadableCredential, row_of
from tokenserver.storage.following.packed_rows import packed, revision_of, unpacked


def row(credential: StoredCredential) -> CredentialRow:
    """Its row."""
    return row_of(credential, digest=b"d" * 32, pepper=1)._replace(seal=b"s" * 32, rev=7)


TEXTS = st.text(st.characters(exclude_characters="\0\x1f"), max_size=5)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
BYTES = st.binary(max_size=5)
ROWS = st.builds(
    CredentialRow,
    **dict.fromkeys(("id", "form", "owner", "sort", "source", "name", "created_by", "created_from", "client"), TEXTS),
    **dict.fromkeys(("pepper", "created", "ends", "state", "rev"), NUMBERS),
    **dict.fromkeys(("digest", "seal"), st.binary(min_size=32, max_size=32)),
    **dict.fromkeys(("ceiling", "networks", "services", "claims", "ended_by", "reason", "replaces"), TEXTS | st.none()),
    **dict.fromkeys(("idle", "ended"), NUMBERS | st.none()),
    proof=BYTES | st.none(),
)


@given(ROWS)
def test_nothing_is_lost(one: CredentialRow) -> None:
    """Whatever the columns hold: empty text is not None, and every number stays."""
    data = packed(one)
    assert (unpacked(one.id, data), revision_of(data)) == (one, one.rev)


@given(ROWS, ROWS)
def test_rows_are_equal_if_their_bytes_are(one: CredentialRow, other: CredentialRow) -> None:
    """So that a load knows which rows have changed."""
    assert (packed(one) == packed(other)) == (one._replace(id="") == other._replace(id=""))
    assert packed(one) == packed(tuple(one))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param("digest", "d" * 32, id="text instead of bytes"),
        pytest.param("seal", "s" * 32, id="text instead of the seal"),
        pytest.param("seal", 5, id="a number instead of the seal"),
        pytest.param("digest", b"d" * 31, id="a short digest"),
        pytest.param("seal", b"s" * 33, id="a long seal"),
        pytest.param("seal", b"", id="no seal"),
        pytest.param("proof", 5, id="a number instead of bytes"),
        pytest.param("owner", None, id="nothing where there must be something"),
        pytest.param("owner", b"ann", id="bytes instead of text"),
        pytest.param("name", "a\x1fb", id="a separator"),
        pytest.param("reason", "a\x1fb", id="a separator in what may be absent"),
        pytest.param("ends", "soon", id="text instead of a number"),
        pytest.param("rev", 1.5, id="half a revision"),
    ],
)
def test_what_cannot_be_packed(column: str, value: Any) -> None:
    """It is refused by name of the row and not with its content."""
    one = row(FULL)._replace(id="Ab", **{column: value})
    with pytest.raises(UnreadableCredential, match=r"^the stored credential Ab cannot be read$"):
        packed(one)


@pytest.mark.parametrize("column", ["idle", "ended"])
def test_what_cannot_be_unpacked(column: str) -> None:
    """Text in a column of numbers that may be empty, which only the first use finds out."""
    values: dict[str, Any] = {column: "soon"}
    data = packed(row(PLAIN)._replace(**values))
    with pytest.raises(UnreadableCredential):
        unpacked("Ab", data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"7",
        b"7\x1fsoon",
        packed(row(PLAIN)) + b"\x1f",
        packed(row(PLAIN))[:-1],
        packed(row(PLAIN)).replace(b"\x1f", b"\x1f\x1f", 1),
        packed(row(PLAIN)).replace(b"\x1f", b"\x1f\xff", 1),
    ],
)
def test_what_was_not_packed(data: bytes) -> None:
    """Such as a row whose columns something else has changed: it has no revision, and is refused."""
    with pytest.raises(UnreadableCredential):
        unpacked("Ab", data)
    assert revision_of(data) in (-1, 7)
