"""Selections by claims: sessions of a workload, and nothing that only resembles them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from impossible_names import IMPOSSIBLE, QUESTIONS
from sqlalchemy import update
from stored_credentials import PLAIN, store_of

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.storage.database import Database
from tokenserver.storage.selection import Selection
from tokenserver.storage.tables import credentials

SESSION = replace(PLAIN, owner="workload:github:repo", sort=Sort.WORKLOAD, source="github", form=AccessKeyForm.SESSION)
CLAIMS = {
    "main": frozenset({("ref", "main"), ("repo", "web")}),
    "branch": frozenset({("ref", 'main","x'), ("repo", "web")}),
    "other": frozenset({("ref", "main"), ("repo", "ops")}),
}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(claims=frozenset({("repo", "web")})), {"main", "branch"}),
        (Selection(claims=frozenset({("repo", "web"), ("ref", "main")})), {"main"}),
        (Selection(claims=frozenset({("ref", "ma")})), set()),
        (Selection(claims=frozenset()), {"main", "branch", "other"}),
        (Selection(claims=frozenset({("ref", "main")}), owner="nobody"), set()),
        (Selection(sort=Sort.WORKLOAD), {"main", "branch", "other"}),
        (Selection(sort=Sort.USER), {"person"}),
    ],
)
def test_claims_and_sorts(database: Database, selection: Selection, expected: set[str]) -> None:
    """Lists and ends mean the same ones; a row that cannot be read is in no selection by claims."""
    store = store_of(database)
    names = {store.create(replace(SESSION, claims=claims), at_most=9)[0].id: name for name, claims in CLAIMS.items()}
    names[store.create(PLAIN, at_most=9)[0].id] = "person"
    broken = store.create(replace(SESSION, claims=CLAIMS["main"], owner="x"), at_most=9)[0].id
    with database.engine.begin() as connection:
        connection.execute(update(credentials).where(credentials.c.id == broken).values(claims="{", sort="?"))
    assert {names[one.credential.id] for one in store.listed(selection)} == expected
    assert {names[one] for one in store.end(selection, by="ops", reason="x")} == expected


@pytest.mark.parametrize("text", IMPOSSIBLE)
@pytest.mark.parametrize("question", QUESTIONS)
def test_texts_that_no_database_has(database: Database, question: str, text: str) -> None:
    """Nothing is found, and nothing fails. The same on PostgreSQL: tests/e2e/test_storage_postgresql.py."""
    store = store_of(database)
    key = store.create(PLAIN, at_most=9)[0].id
    assert not QUESTIONS[question](store, text)
    assert [one.credential.id for one in store.listed(Selection()) if one.ended is None] == [key]


def test_an_empty_name_is_nobody(database: Database) -> None:
    """It is not a short form of everybody."""
    before = database.revision()
    store = store_of(database)
    assert store.end(Selection(owner=""), by="ops", reason="x") == []
    assert store.create(PLAIN, at_most=9, verified=before)[0].id
