"""Forms that were sent: once each, whoever asks, and forgotten when no session can have made them."""

from __future__ import annotations

from pathlib import Path

from stored_credentials import Clock, new_database

from tokenserver.storage.database import Database
from tokenserver.storage.people.seen_tokens import SeenTokens
from tokenserver.storage.people.used_forms import KEPT_SECONDS, UsedForms
from tokenserver.storage.upkeep.pruning import prune


def test_once(tmp_path: Path) -> None:
    """The second time is known, also by another worker; another form is not."""
    engine = new_database(tmp_path).engine
    first, second = (UsedForms(SeenTokens(Database(engine)), now=Clock()) for _ in range(2))
    assert [first.use("a"), first.use("a"), second.use("a"), second.use("b")] == [True, False, False, True]
    assert not second.use("b")
    assert first.use("\udcff")


def test_forgotten(tmp_path: Path) -> None:
    """Pruning removes the row a day later, and not before."""
    clock = Clock()
    database = new_database(tmp_path)
    forms = UsedForms(SeenTokens(database), now=clock)
    forms.use("a")
    clock.now += KEPT_SECONDS
    assert prune(database, now=clock.now)["tokens seen"] == 0
    assert prune(database, now=clock.now + 1)["tokens seen"] == 1
