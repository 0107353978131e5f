"""What can be done with stored credentials: make, rotate, end and list them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import insert, select, update
from stored_credentials import DAY, FULL, NOW, PLAIN, STATE_KEYS, Clock, store_of

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.storage.changes import NoSuchCredential, RotatedAlready, TooManyCredentials
from tokenserver.storage.credential import SEALED, CredentialRow
from tokenserver.storage.database import Database
from tokenserver.storage.seals import is_right, is_sealed
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import credentials, uses


@pytest.fixture
def clock() -> Clock:
    """The clock of the store."""
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> CredentialStore:
    """An empty store."""
    return store_of(database, clock)


def row(database: Database, identifier: str) -> CredentialRow:
    """The row with this id."""
    statement = select(credentials).where(credentials.c.id == identifier)
    return CredentialRow(*database.read(lambda connection: connection.execute(statement).one()))


def test_a_new_credential_is_stored_sealed(store: CredentialStore, database: Database) -> None:
    """With the digest of its key, and with the id and the moment filled in."""
    key, made = store.create(FULL, at_most=1)
    stored = row(database, key.id)
    assert made == replace(FULL, id=key.id, created=NOW)
    assert is_right(STATE_KEYS.newest.pepper, stored, key.text)
    assert is_sealed(STATE_KEYS.newest.seal, stored)
    assert (stored.pepper, stored.state, stored.rev) == (1, 1, 1)
    assert [one.credential for one in store.listed(Selection())] == [made]


def test_ids_and_secrets_come_from_the_random_source(database: Database) -> None:
    """Two keys never share one."""
    store = store_of(database)
    first, second = (store.create(PLAIN, at_most=9)[0] for _ in range(2))
    assert first.id != second.id
    assert first.text != second.text


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(PLAIN, owner="bob"), id="owner"),
        pytest.param(replace(PLAIN, source="corp"), id="source"),
        pytest.param(replace(PLAIN, form=AccessKeyForm.REFRESH), id="form"),
    ],
)
def test_a_limit_counts_live_ones_of_an_owner_and_form(store: CredentialStore, clock: Clock, other: object) -> None:
    """Those of others do not count, nor those that expired or were ended."""
    first, _ = store.create(PLAIN, at_most=2)
    store.create(replace(PLAIN, ends=NOW + DAY), at_most=2)
    with pytest.raises(TooManyCredentials, match="ann has 2 live ones, the limit; fix: revoke one first"):
        store.create(PLAIN, at_most=2)
    store.create(other, at_most=1)  # type: ignore[arg-type]  # a credential
    store.end(Selection(ids=frozenset({first.id})), by="ann", reason="lost")
    store.create(PLAIN, at_most=2)
    clock.now += DAY
    store.create(PLAIN, at_most=2)


def test_a_limit_holds_for_many_at_a_time(store: CredentialStore) -> None:
    """Of 16 writers, exactly as many succeed as there may be."""

    def create(_: int) -> bool:
        try:
            store.create(PLAIN, at_most=3)
        except TooManyCredentials:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(create, range(16))) == 3
    assert len(store.listed(Selection())) == 3


def test_rotation(store: CredentialStore, database: Database, clock: Clock) -> None:
    """The successor has the same limits and a secret of its own; the old one ends after the overlap, resealed."""
    old, _ = store.create(FULL, at_most=1)
    clock.now += 5
    key, made = store.rotate(old.id, ends=NOW + 30 * DAY, overlap=DAY, by="ops")
    expected = replace(FULL, id=key.id, created=NOW + 5, created_by="ops", ends=NOW + 30 * DAY, replaces=old.id)
    assert made == expected
    cut = row(database, old.id)
    assert (cut.ends, cut.state) == (NOW + 5 + DAY, 1)
    assert is_sealed(STATE_KEYS.newest.seal, cut)
    assert is_sealed(STATE_KEYS.newest.seal, row(database, key.id))
    assert is_right(STATE_KEYS.newest.pepper, cut, old.text)


def test_an_overlap_never_prolongs(store: CredentialStore, database: Database) -> None:
    """The old one's own end comes first."""
    old, _ = store.create(replace(PLAIN, ends=NOW + 60), at_most=1)
    store.rotate(old.id, ends=NOW + DAY, overlap=DAY, by="ann")
    assert row(database, old.id).ends == NOW + 60


def test_a_rotation_is_not_begun_twice(store: CredentialStore, clock: Clock) -> None:
    """Until the newer one is revoked, or the old one has ended."""
    old, _ = store.create(PLAIN, at_most=1)
    new, _ = store.rotate(old.id, ends=NOW + 9 * DAY, overlap=DAY, by="ann")
    with pytest.raises(TooManyCredentials, match="is being rotated already; fix: revoke the newer one first"):
        store.rotate(old.id, ends=NOW + 9 * DAY, overlap=DAY, by="ann")
    store.end(Selection(ids=frozenset({new.id})), by="ann", reason="x")
    store.rotate(old.id, ends=NOW + 9 * DAY, overlap=DAY, by="ann")
    clock.now += DAY
    with pytest.raises(NoSuchCredential, match=f"there is no live credential {old.id}"):
        store.rotate(old.id, ends=NOW + 9 * DAY, overlap=DAY, by="ann")


def test_what_has_ended_stays_so(store: CredentialStore, database: Database, clock: Clock) -> None:
    """The first end counts; a second call finds nothing."""
    key, _ = store.create(PLAIN, at_most=1)
    selection = Selection(ids=frozenset({key.id}))
    clock.now += 1
    assert store.end(selection, by="ops", reason="lost") == [key.id]
    assert store.end(selection, by="other", reason="again") == []
    (found,) = store.listed(selection)
    assert (found.ended, found.ended_by, found.reason) == (NOW + 1, "ops", "lost")
    assert row(database, key.id).rev == 2
    with pytest.raises(NoSuchCredential):
        store.rotate(key.id, ends=NOW + DAY, overlap=0, by="ann")


def test_one_of_many_ends_it(store: CredentialStore) -> None:
    """So that one audit event says who did."""
    key, _ = store.create(PLAIN, at_most=1)
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda by: store.end(Selection(ids=frozenset({key.id})), by=str(by), reason=""), range(16))
        )
    assert sorted(map(len, found)) == [0] * 15 + [1]


ROBOT = replace(PLAIN, owner="robot:ci", sort=Sort.ROBOT, source="", form=AccessKeyForm.ROBOT)
SESSION = replace(
    PLAIN,
    owner="workload:github:repo",
    sort=Sort.WORKLOAD,
    source="github",
    form=AccessKeyForm.SESSION,
    claims=frozenset({("ref", "main")}),
)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        pytest.param(lambda _: Selection(), "abrs", id="all"),
        pytest.param(lambda ids: Selection(ids=frozenset({ids["a"], "none"})), "a", id="ids"),
        pytest.param(lambda _: Selection(ids=frozenset()), "", id="no ids"),
        pytest.param(lambda _: Selection(forms=frozenset({AccessKeyForm.PERSONAL})), "ab", id="form"),
        pytest.param(lambda _: Selection(owner="ann"), "a", id="owner"),
        pytest.param(lambda _: Selection(source="corp"), "b", id="source"),
        pytest.param(lambda _: Selection(before=NOW + 2), "ab", id="before"),
        pytest.param(lambda _: Selection(owner="ann", source="corp"), "", id="both"),
    ],
)
def test_selections(
    store: CredentialStore, clock: Clock, selection: Callable[[dict[str, str]], Selection], expected: str
) -> None:
    """Everything that is set must hold. The newest come first."""
    wanted = {"a": PLAIN, "b": replace(PLAIN, owner="bob", source="corp"), "r": ROBOT, "s": SESSION}
    ids: dict[str, str] = {}
    for name, one in wanted.items():
        ids[name] = store.create(one, at_most=1)[0].id
        clock.now += 1
    names = {identifier: name for name, identifier in ids.items()}
    found = [names[one.credential.id] for one in store.listed(selection(ids))]
    assert "".join(reversed(found)) == expected
    assert {names[one] for one in store.end(selection(ids), by="ops", reason="x")} == set(expected)


def test_the_one_unused_for_longest_makes_room(store: CredentialStore, database: Database, clock: Clock) -> None:
    """A new one counts from the moment it was made."""
    ids = []
    for _ in range(3):
        ids.append(store.create(PLAIN, at_most=9)[0].id)
        clock.now += 10
    use = {"id": ids[0], "last": NOW + 15, "last_from": "", "first_from": "", "times": 1}
    database.note(lambda connection: connection.execute(insert(uses).values(use)))
    clock.now += 10
    key, made, ended = store.create_in_place(PLAIN, at_most=3, by="server", reason="limit")
    assert (made.id, ended) == (key.id, (ids[1],))
    (listed,) = store.listed(Selection(ids=frozenset(ended)))
    assert (listed.ended, listed.ended_by, listed.reason) == (clock.now, "server", "limit")
    assert store.create_in_place(PLAIN, at_most=1, by="server", reason="limit")[2] == tuple(
        sorted((ids[0], ids[2], key.id))
    )
    assert store.create_in_place(replace(PLAIN, owner="bob"), at_most=1, by="server", reason="limit")[2] == ()


def test_owners(store: CredentialStore, clock: Clock) -> None:
    """Each once, and only those with live credentials."""
    for one in (PLAIN, PLAIN, ROBOT, SESSION, replace(PLAIN, owner="gone", ends=NOW + 1)):
        store.create(one, at_most=9)
    key, _ = store.create(replace(PLAIN, owner="ended"), at_most=9)
    store.end(Selection(ids=frozenset({key.id})), by="x", reason="x")
    clock.now += 1
    assert store.owners() == [
        (Sort.ROBOT, "", "robot:ci"),
        (Sort.USER, "local", "ann"),
        (Sort.WORKLOAD, "github", "workload:github:repo"),
    ]


def test_a_limit_holds_for_rotations(store: CredentialStore) -> None:
    """Where there is one: the old credential counts, too, and nothing is changed."""
    old, _ = store.create(ROBOT, at_most=2)
    other, _ = store.create(ROBOT, at_most=2)
    with pytest.raises(TooManyCredentials, match="has 2 live ones, the limit"):
        store.rotate(old.id, ends=NOW + DAY, overlap=60, by="ops", at_most=2)
    assert {one.credential.ends for one in store.listed(Selection())} == {ROBOT.ends}
    store.end(Selection(ids=frozenset({other.id})), by="ops", reason="lost")
    store.rotate(old.id, ends=NOW + DAY, overlap=60, by="ops", at_most=2)


@pytest.mark.parametrize("column", SEALED)
def test_a_changed_row_is_neither_rotated_nor_genuine(store: CredentialStore, database: Database, column: str) -> None:
    """Rotating seals the old row again, and would make whatever it says genuine."""
    key, _ = store.create(FULL, at_most=1)
    value = getattr(row(database, key.id), column)
    other = {"id": "ZZZZZZZZZZZZ", "form": "f", "ceiling": None, "networks": None, "services": None}
    changed = other.get(column, value + 1 if isinstance(value, int) else value + value[:1])
    table = credentials.c
    with database.engine.begin() as connection:
        connection.execute(update(credentials).where(table.id == key.id).values({column: changed}))
    identifier = "ZZZZZZZZZZZZ" if column == "id" else key.id
    before = row(database, identifier)
    with pytest.raises(NoSuchCredential, match="was changed in the database"):
        store.rotate(identifier, ends=NOW + DAY, overlap=DAY, by="ann")
    assert not store.is_genuine(before)
    assert row(database, identifier) == before
    assert [one.is_genuine for one in store.listed(Selection())] in ([False], [])


def test_changes_are_applied_once_they_are_on_disk(database: Database, clock: Clock) -> None:
    """With the rows as they are stored, so that the own index need not wait for its next look."""
    applied: list[list[CredentialRow]] = []

    def apply(rows: Sequence[CredentialRow]) -> None:
        assert [row(database, one.id) for one in rows] == list(rows)
        applied.append(list(rows))

    store = store_of(database, clock, applied=apply)
    first, _ = store.create(PLAIN, at_most=1)
    second, _ = store.rotate(first.id, ends=NOW + DAY, overlap=60, by="ann")
    third, _, _ = store.create_in_place(PLAIN, at_most=1, by="server", reason="limit")
    store.end(Selection(), by="ann", reason="lost")
    ids = [{one.id for one in rows} for rows in applied]
    assert ids == [{first.id}, {first.id, second.id}, {first.id, second.id, third.id}, {third.id}]


def test_another_name(store: CredentialStore, database: Database) -> None:
    """Everything else stays, and the row is sealed again; one that has ended keeps its name."""
    key, made = store.create(FULL, at_most=1)
    assert store.rename(key.id, "tower") == replace(made, name="tower")
    stored = row(database, key.id)
    assert (stored.name, stored.rev, is_sealed(STATE_KEYS.newest.seal, stored)) == ("tower", 2, True)
    store.end(Selection(), by="ann", reason="lost")
    with pytest.raises(NoSuchCredential):
        store.rename(key.id, "other")


def test_a_name_does_not_make_a_row_genuine(store: CredentialStore, database: Database) -> None:
    """One that was changed in the database is not sealed again."""
    key, _ = store.create(PLAIN, at_most=1)
    with database.engine.begin() as connection:
        connection.execute(update(credentials).values(owner="eve"))
    with pytest.raises(NoSuchCredential, match="was changed in the database"):
        store.rename(key.id, "other")


class Refusal(Exception):
    """What a record raises."""


def refuse(_: object) -> None:
    """No event can be written."""
    raise Refusal


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda store, _: store.create(PLAIN, at_most=9, recorded=refuse), id="create"),
        pytest.param(
            lambda store, key: store.rotate(key, ends=NOW + DAY, overlap=0, by="ann", recorded=refuse), id="rotate"
        ),
        pytest.param(lambda store, key: store.rename(key, "other", recorded=refuse), id="rename"),
        pytest.param(lambda store, _: store.end(Selection(), by="ann", reason="x", recorded=refuse), id="end"),
    ],
)
def test_a_change_that_cannot_be_recorded_is_undone(
    store: CredentialStore, database: Database, change: Callable[[CredentialStore, str], object]
) -> None:
    """Nothing of it stays, and the next change works."""
    key, _ = store.create(PLAIN, at_most=9)
    before = row(database, key.id)
    with pytest.raises(Refusal):
        change(store, key.id)
    assert (row(database, key.id), len(store.listed(Selection()))) == (before, 1)
    assert store.end(Selection(), by="ann", reason="x") == [key.id]


def test_what_is_recorded(store: CredentialStore) -> None:
    """The credential as it will be, once; the ids of those that end."""
    seen: list[object] = []
    key, made = store.create(PLAIN, at_most=9, recorded=seen.append)
    new, successor = store.rotate(key.id, ends=NOW + DAY, overlap=60, by="ann", recorded=seen.append)
    renamed = store.rename(new.id, "other", recorded=seen.append)
    store.end(Selection(ids=frozenset({new.id})), by="ann", reason="x", recorded=seen.append)
    store.end(Selection(ids=frozenset({new.id})), by="ann", reason="x", recorded=seen.append)
    assert seen == [made, successor, renamed, [new.id], []]


def test_a_rotation_within_a_limit(store: CredentialStore) -> None:
    """A robot has two secrets at most; one that is being rotated says so."""
    first, _ = store.create(PLAIN, at_most=9)
    store.create(PLAIN, at_most=9)
    limits = {"ends": NOW + DAY, "overlap": 60, "by": "ann"}
    with pytest.raises(TooManyCredentials, match="has 2 live ones") as refused:
        store.rotate(first.id, **limits, at_most=2)  # type: ignore[arg-type]  # of two types
    assert not isinstance(refused.value, RotatedAlready)
    store.rotate(first.id, **limits, at_most=3)  # type: ignore[arg-type]
    with pytest.raises(RotatedAlready):
        store.rotate(first.id, **limits, at_most=3)  # type: ignore[arg-type]


def test_concurrent_rotations_keep_the_limit(store: CredentialStore) -> None:
    """However many ask: one live successor."""
    first, _ = store.create(PLAIN, at_most=9)

    def rotate(_: int) -> bool:
        try:
            store.rotate(first.id, ends=NOW + DAY, overlap=60, by="ann", at_most=2)
        except TooManyCredentials:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(rotate, range(16))) == 1
    assert len(store.listed(Selection())) == 2
