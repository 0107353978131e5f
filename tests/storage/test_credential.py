"""Rows of credentials and what they mean, both ways."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from stored_credentials import FULL, PLAIN

from tokenserver.storage.credential import (
    SEALED,
    CredentialRow,
    StoredCredential,
    UnreadableCredential,
    opened,
    row_of,
)
from tokenserver.storage.tables import credentials


@pytest.mark.parametrize("one", [pytest.param(PLAIN, id="plain"), pytest.param(FULL, id="full")])
def test_a_credential_is_read_as_it_was_written(one: StoredCredential) -> None:
    """Every column, set or not."""
    row = row_of(one, digest=b"d" * 32, pepper=1)
    assert opened(row) == one
    assert (row.digest, row.pepper, row.state, row.seal, row.rev) == (b"d" * 32, 1, 1, b"", 0)


def test_the_row_has_the_columns_of_the_table() -> None:
    """In its order, since rows are made from tuples."""
    assert CredentialRow._fields == tuple(credentials.c.keys())


def test_the_seal_covers_all_but_the_end() -> None:
    """A column is left out only if it can do nothing but end the credential."""
    assert set(CredentialRow._fields) - set(SEALED) == {"state", "ended", "ended_by", "reason", "seal", "rev"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("form", "x"),
        ("sort", "x"),
        ("ceiling", "{}"),
        ("networks", '["10.0.0.1/8"]'),
        ("networks", '"10.0.0.0/8"'),
        ("services", "{}"),
        ("claims", '[["a"]]'),
        ("claims", '[["a", 1]]'),
        ("claims", "{}"),
        ("claims", "["),
    ],
)
def test_a_row_that_cannot_be_read_is_refused(column: str, value: str) -> None:
    """The error names the id alone."""
    changes: dict[str, Any] = {"id": "0123456789ab", column: value}
    row = row_of(FULL, digest=b"", pepper=1)._replace(**changes)
    with pytest.raises(UnreadableCredential, match=r"^the stored credential 0123456789ab cannot be read$"):
        opened(row)


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (IPv4Address("10.1.2.3"), True),
        (IPv6Address("2001:db8::1"), True),
        (IPv4Address("192.0.2.1"), False),
        (None, False),
    ],
)
def test_networks(client: IPv4Address | IPv6Address | None, expected: bool) -> None:
    """An unknown address is in no network; without networks, every client is allowed."""
    assert (FULL.allows(client), PLAIN.allows(client)) == (expected, True)
