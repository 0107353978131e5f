"""What followers read and write: in pages, at a pace, and whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from followed_storage import Site
from stored_credentials import DAY, FULL, NOW, PLAIN

from tokenserver.storage.following import reading
from tokenserver.storage.following.last_uses import NotedUse
from tokenserver.storage.following.packed_rows import packed
from tokenserver.storage.following.reading import CredentialReader, EndingSoon
from tokenserver.storage.selection import Selection
from tokenserver.storage.unavailable import StorageUnavailable


def test_everything_is_all_rows_at_a_pace(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rest after every few."""
    monkeypatch.setattr(reading, "BATCH", 2)
    odd = replace(FULL, name="é%s\\'\n", created_from="", client="%", ceiling=None, proof=b"", idle=0)
    made = [site.make([FULL, odd, PLAIN][min(number, 2)]) for number in range(5)]
    rests: list[int] = []
    reader = CredentialReader(site.database)
    rows = reader.everything(lambda: rests.append(1))
    expected = {key.id: reader.row(key.id) for key in made}
    assert rows == {identifier: packed(found.row) for identifier, found in expected.items() if found is not None}
    assert len(rests) == 3


def test_changed_rows_come_in_the_order_of_revisions(site: Site) -> None:
    """Those after a revision only."""
    keys = [site.make(PLAIN) for _ in range(3)]
    reader = CredentialReader(site.database)
    before = reader.revision()
    site.store.end(Selection(ids=frozenset({keys[1].id})), by="ann", reason="lost")
    site.store.end(Selection(ids=frozenset({keys[0].id})), by="ann", reason="lost")
    assert [row.id for page in reader.changed(before) for row in page] == [keys[1].id, keys[0].id]
    assert list(reader.changed(reader.revision())) == []


@pytest.mark.parametrize("made", [3, 4], ids=["a part of a page", "whole pages"])
def test_last_uses_come_in_pages(site: Site, monkeypatch: pytest.MonkeyPatch, made: int) -> None:
    """Those since a moment, of credentials that end when they are idle."""
    monkeypatch.setattr(reading, "USES_PAGE", 2)
    idle = sorted(site.make(FULL).id for _ in range(made))
    old, plain = site.make(FULL).id, site.make(PLAIN).id
    reader = CredentialReader(site.database)
    reader.write_uses({one: NotedUse(NOW + 5, "", "", 1) for one in (*idle, plain)} | {old: NotedUse(NOW, "", "", 1)})
    pages = list(reader.last_uses(NOW + 1))
    assert [list(page) for page in pages] == [one for one in (idle[:2], idle[2:]) if one]
    assert {last for page in pages for last in page.values()} == {NOW + 5}


def test_what_ends_soon_comes_first(site: Site) -> None:
    """Up to a limit, of the wanted forms."""
    keys = [site.make(replace(PLAIN, name=f"n{day}", ends=NOW + day * DAY)) for day in (3, 1, 2, 9)]
    reader = CredentialReader(site.database)
    found = reader.ending(NOW, NOW + 5 * DAY, forms=frozenset({"p"}), limit=2)
    assert found == [
        EndingSoon(keys[1].id, "p", "ann", "n1", NOW + DAY),
        EndingSoon(keys[2].id, "p", "ann", "n2", NOW + 2 * DAY),
    ]
    assert reader.ending(NOW, NOW + 5 * DAY, forms=frozenset({"r"}), limit=2) == []


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda reader: reader.revision(), id="revision"),
        pytest.param(lambda reader: reader.row("x"), id="row"),
        pytest.param(lambda reader: list(reader.changed(0)), id="changed"),
        pytest.param(lambda reader: reader.everything(lambda: None), id="everything"),
        pytest.param(lambda reader: list(reader.last_uses(0)), id="last uses"),
        pytest.param(lambda reader: reader.totals(NOW), id="totals"),
        pytest.param(lambda reader: reader.write_uses({"x": NotedUse(1, "", "", 1)}), id="writing"),
    ],
)
def test_a_database_that_does_not_answer(site: Site, ask: Callable[[CredentialReader], object]) -> None:
    """Each of them says so, also where only the table is gone."""
    reader = CredentialReader(site.database)
    site.sql("DROP TABLE uses")
    site.sql("DROP TABLE credentials")
    site.sql("DROP TABLE revision")
    with pytest.raises(StorageUnavailable):
        ask(reader)
