"""Opening the storage for a command: who changes something, and how faults and outages end."""

from __future__ import annotations

import os

import pytest
from stored_sites import StoredSite

from tokenserver.cli.stored.opening import by_whom


def test_by_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the account, or its number where it has no name."""
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert by_whom() == "cli:root"
    monkeypatch.setattr("os.getuid", lambda: 123_456_789)
    assert by_whom() == "cli:123456789"


def test_a_storage_that_is_broken(site: StoredSite) -> None:
    """One line and exit code 1; there is no traceback."""
    site.stored()
    (site.folder / "state" / "tokenserver.db").write_bytes(b"no database" * 1000)
    result = site.run("access-keys", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("storage cannot be asked: ")
    assert result.stderr.endswith("; nothing was changed\n")


def test_no_state_key(site: StoredSite) -> None:
    """Nothing can be verified without it, so nothing is made."""
    site.remove_storage()
    os.unlink(site.folder / "keys" / "state.key")
    result = site.run("access-keys", "create", "--user", "ann")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "state.key: does not exist; fix: tokenserver " in result.stderr
    assert not (site.folder / "state").exists()
