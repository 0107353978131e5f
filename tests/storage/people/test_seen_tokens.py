"""Tokens that may be used once."""

from __future__ import annotations

from pathlib import Path

from stored_credentials import NOW, new_database

from tokenserver.storage.people.seen_tokens import SeenTokens
from tokenserver.storage.upkeep.pruning import prune


def test_once(tmp_path: Path) -> None:
    """By issuer and `jti`; what has expired is removed."""
    database = new_database(tmp_path)
    seen = SeenTokens(database)
    assert not seen.is_known("a", "1")
    assert seen.is_new("a", "1", NOW)
    assert (seen.is_known("a", "1"), seen.is_known("b", "1"), seen.is_known("a", "2")) == (True, False, False)
    assert not seen.is_new("a", "1", NOW + 9)
    assert seen.is_new("b", "1", NOW + 9)
    assert seen.is_new("a", "2", NOW + 9)
    assert prune(database, now=NOW + 1)["tokens seen"] == 1
    assert not seen.is_new("a", "2", NOW + 9)
