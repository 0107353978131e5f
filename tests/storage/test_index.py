"""The credential index: what it knows, when it asks the database, and what it refuses."""

from __future__ import annotations

import logging
from dataclasses import replace
from ipaddress import ip_address
from typing import NoReturn

import pytest
from followed_storage import GRACE, Copy, Site, presented
from stored_credentials import DAY, FULL, NOW, PLAIN, STATE_KEYS, store_of

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, compose_key
from tokenserver.credentials import AccessKeyForm, Key, Secret
from tokenserver.storage.credential import SEALED, StoredCredential, row_of
from tokenserver.storage.following.missing_rows import READS_PER_SECOND
from tokenserver.storage.index import LEAST_GRACE, MAX_OPENED, CredentialIndex
from tokenserver.storage.seals import new_row
from tokenserver.storage.selection import Selection
from tokenserver.storage.state_keys import StateKey, StateKeys
from tokenserver.storage.unavailable import StorageUnavailable


def loaded(site: Site, **options: float) -> Copy:
    """A copy after its first look."""
    copy = site.copy(**options)
    assert copy.look()
    return copy


def unknown_key(number: int = 0) -> AccessKey:
    """A well-formed key that no database has."""
    return compose_key(AccessKeyForm.PERSONAL, number.to_bytes(16, "big") + bytes(RANDOM_BYTES - 16))


def another_secret(key: AccessKey) -> Key:
    """The key with the same id and another secret."""
    other = compose_key(key.form, bytes(RANDOM_BYTES)).text.reveal()
    return Key(key.form, key.id, Secret(other[:5] + key.id + other[17:]), "")


@pytest.mark.parametrize("wanted", [pytest.param(PLAIN, id="plain"), pytest.param(FULL, id="every column")])
def test_a_key_finds_its_credential(site: Site, wanted: StoredCredential) -> None:
    """With all that its row says, at the first use and at every other."""
    key, made = site.store.create(wanted, at_most=10)
    copy = loaded(site)
    first, second = copy.verified(key), copy.verified(key)
    assert first is not None
    assert (first.credential, first.ended, first.used) == (made, None, None)
    assert second == first


def test_a_wrong_secret_finds_nothing(site: Site) -> None:
    """Before and after the first use of the right one."""
    key = site.make(PLAIN)
    copy = loaded(site)
    assert copy.index.verified(another_secret(key)) is None
    assert copy.verified(key) is not None
    assert copy.index.verified(another_secret(key)) is None


def test_the_form_is_part_of_the_secret(site: Site) -> None:
    """A session's secret is no refresh token, whatever letter it is presented with."""
    key = site.make(replace(PLAIN, form=AccessKeyForm.SESSION))
    copy = loaded(site)
    text = key.text.reveal().replace("tkns_", "tknf_")
    assert copy.index.verified(Key(AccessKeyForm.REFRESH, key.id, Secret(text), "")) is None
    assert copy.verified(key) is not None


@pytest.mark.parametrize("form", list(AccessKeyForm))
def test_unknown_and_wrong_take_the_same_work(site: Site, form: AccessKeyForm, monkeypatch: pytest.MonkeyPatch) -> None:
    """One digest each; docs/design/threats.md#threat-22."""
    key = site.make(replace(PLAIN, form=form))
    copy = loaded(site)
    digests: list[Secret] = []
    module = "tokenserver.storage.index.digest_of_key"

    def digest(_pepper: bytes, text: Secret) -> bytes:
        digests.append(text)
        return bytes(32)

    monkeypatch.setattr(module, digest)
    for one in (another_secret(key), presented(unknown_key())):
        digests.clear()
        assert copy.index.verified(one) is None
        assert len(digests) == 1


def test_an_ended_credential_says_why(site: Site) -> None:
    """The caller refuses it, and can name the reason, since its secret was right."""
    key = site.make(PLAIN)
    copy = loaded(site)
    before = copy.verified(key)
    site.store.end(Selection(ids=frozenset({key.id})), by="ann", reason="laptop lost")
    assert copy.look()
    after = copy.verified(key)
    assert before is not None
    assert after is not None
    assert (before.ended, after.ended) == (None, "laptop lost")
    assert copy.index.is_current(key.id, after)
    assert not copy.index.is_current(key.id, before)


def test_a_rotation_is_a_change(site: Site) -> None:
    """A use that relies on the row before it has to be checked again."""
    key = site.make(PLAIN)
    copy = loaded(site)
    before = copy.verified(key)
    new, _ = site.store.rotate(key.id, ends=NOW + 90 * DAY, overlap=DAY, by="ann")
    assert copy.look()
    after, successor = copy.verified(key), copy.verified(new)
    assert before is not None
    assert after is not None
    assert successor is not None
    assert (after.credential.ends, successor.credential.replaces) == (NOW + DAY, key.id)
    held = (before, after, successor)
    assert [copy.index.is_current(one.credential.id, one) for one in held] == [False, True, True]


def test_own_writes_are_known_without_a_look(site: Site) -> None:
    """The store hands them over; the database is not asked."""
    copy = loaded(site)
    store = store_of(site.database, site.clock, applied=copy.index.apply)
    key, _ = store.create(PLAIN, at_most=10)
    copy.read = _never
    assert copy.verified(key) is not None
    store.end(Selection(ids=frozenset({key.id})), by="ann", reason="lost")
    found = copy.verified(key)
    assert found is not None
    assert found.ended == "lost"


def _never(identifier: str) -> NoReturn:
    raise AssertionError(f"{identifier} was looked up")


@pytest.mark.parametrize(
    ("order", "ended"),
    [
        pytest.param((0, 1), "lost", id="in order"),
        pytest.param((1, 0), "lost", id="in disorder"),
        pytest.param((0,), None, id="one of them"),
    ],
)
def test_changes_that_share_a_revision(site: Site, order: tuple[int, ...], ended: str | None) -> None:
    """Of two changes in one transaction, the one that ended the credential counts, in whatever order they arrive."""
    key = site.make(PLAIN)
    copy = loaded(site)
    found_row = copy.reader.row(key.id)
    assert found_row is not None
    cut = found_row.row._replace(rev=found_row.row.rev + 1)
    rows = [cut, cut._replace(state=0, reason="lost")]
    for index in order:
        copy.index.apply([rows[index]])
    found = copy.verified(key)
    assert found is not None
    assert found.ended == ended


def test_an_older_row_changes_nothing(site: Site) -> None:
    """Such as one that was read just before it was ended."""
    key = site.make(PLAIN)
    copy = loaded(site)
    stale = copy.reader.row(key.id)
    assert stale is not None
    site.store.end(Selection(ids=frozenset({key.id})), by="ann", reason="lost")
    assert copy.look()
    copy.index.apply([stale.row])
    found = copy.verified(key)
    assert found is not None
    assert found.ended == "lost"


# --- ids that are not here yet ---------------------------------------------------------------------------------------


def test_a_new_id_is_read_from_the_database(site: Site) -> None:
    """So a credential works everywhere as soon as it is made."""
    copy = loaded(site)
    key = site.make(PLAIN)
    assert copy.verified(key) is not None
    copy.read = _never
    assert copy.verified(key) is not None


def test_a_flood_of_new_ids_is_answered_from_the_index(site: Site) -> None:
    """After a bounded number of looks, they are unknown without one."""
    copy = loaded(site)
    asked: list[str] = []

    def read(identifier: str) -> None:
        asked.append(identifier)

    copy.read = read
    for number in range(READS_PER_SECOND + 5):
        assert copy.verified(unknown_key(number)) is None
    assert len(asked) == READS_PER_SECOND


def test_new_ids_while_the_database_is_silent(site: Site) -> None:
    """They are not called unknown: nobody can tell."""
    copy = loaded(site)
    key = site.make(PLAIN)
    known = site.make(PLAIN)
    assert copy.look()
    site.file.rename(site.file.with_suffix(".away"))
    later = unknown_key()
    with pytest.raises(StorageUnavailable):  # the first that notices
        copy.verified(later)
    assert not copy.look()
    copy.read = _never
    with pytest.raises(StorageUnavailable, match="storage: "):  # now without another attempt
        copy.verified(later)
    assert copy.verified(key) is not None
    assert copy.verified(known) is not None


def test_before_the_first_load(site: Site) -> None:
    """Credentials are looked up one by one, and none is called unknown without a look."""
    key = site.make(PLAIN)
    copy = site.copy()
    assert copy.verified(key) is not None
    assert copy.verified(key) is not None
    for number in range(READS_PER_SECOND - 1):
        assert copy.verified(unknown_key(number)) is None
    with pytest.raises(StorageUnavailable, match="being loaded"):
        copy.verified(unknown_key(READS_PER_SECOND))


def test_the_last_use_comes_with_what_is_looked_up(site: Site) -> None:
    """Before the first load too, which takes longer with many credentials."""
    key, unused = site.make(replace(PLAIN, idle=60)), site.make(replace(PLAIN, idle=60))
    copy, other = site.copy(), loaded(site)
    other.index.touch(key.id, NOW + 500, None)
    other.chores.write_uses()
    found = [copy.verified(one) for one in (key, unused)]
    assert [held and held.used for held in found] == [NOW + 500, None]


# --- the grace -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grace", "after", "works"),
    [
        pytest.param(GRACE, GRACE, True, id="at its end"),
        pytest.param(GRACE, GRACE + 1, False, id="after it"),
        pytest.param(0.0, LEAST_GRACE, True, id="none, and looks that may take a while"),
        pytest.param(0.0, LEAST_GRACE + 1, False, id="none"),
    ],
)
def test_known_credentials_work_for_the_grace(site: Site, grace: float, after: float, works: bool) -> None:
    """Counted from the last good look; first uses and repeated ones alike."""
    used, unused = site.make(PLAIN), site.make(PLAIN)
    copy = loaded(site, grace=grace)
    assert copy.verified(used) is not None
    site.monotonic.now += after
    for key in (used, unused):
        if works:
            assert copy.verified(key) is not None
        else:
            with pytest.raises(StorageUnavailable):
                copy.verified(key)
    assert copy.look()
    assert copy.verified(used) is not None


def test_without_grace_a_failed_look_ends_them(site: Site) -> None:
    """Immediately, and until the next good one."""
    used = site.make(PLAIN)
    copy = loaded(site, grace=0.0)
    assert copy.verified(used) is not None
    site.monotonic.now += 1.0
    copy.index.failed("refused")
    with pytest.raises(StorageUnavailable, match="refused"):
        copy.verified(used)
    assert copy.look()
    assert copy.verified(used) is not None


def test_the_age_is_that_of_the_last_good_look(site: Site) -> None:
    """None before the first one."""
    copy = site.copy()
    assert copy.index.age is None
    copy.look()
    site.monotonic.now += 7
    assert copy.index.age == 7


# --- seals -----------------------------------------------------------------------------------------------------------

OTHER_VALUES: dict[str, object] = {
    "id": "ABCDEFGHIJKL",
    "form": "r",
    "sort": "r",
    "digest": bytes(32),
    "pepper": 2,
    "proof": b"x",
    "ends": NOW + 1000 * DAY,
    "created": NOW - DAY,
    "idle": None,
    "ceiling": None,
    "networks": None,
    "services": None,
    "claims": None,
    "replaces": None,
}


@pytest.mark.parametrize("column", SEALED)
def test_a_changed_column_is_refused(site: Site, column: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each that the seal covers, by SQL: the key does not work, which is logged once and counted.

    With another digest, or under another id, the right key is a wrong one, so that there is nothing to log.
    """
    key = site.make(FULL)
    value = OTHER_VALUES.get(column, "other")
    site.sql(f"UPDATE credentials SET {column} = :value WHERE id = :id", value=value, id=key.id)  # noqa: S608 - a column
    copy = loaded(site)
    with caplog.at_level(logging.ERROR):
        assert copy.verified(key) is None
        assert copy.verified(key) is None
    expected = 0 if column in ("id", "digest") else 1
    assert copy.index.refused_rows == expected
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [line.partition(":")[0] for line in lines] == [f"the stored credential {key.id} is refused"] * expected


def test_a_change_after_the_first_use_is_refused(site: Site) -> None:
    """As soon as the row is read again, although its revision is the same."""
    key = site.make(FULL)
    copy = loaded(site)
    assert copy.verified(key) is not None
    site.sql("UPDATE credentials SET ceiling = NULL")
    site.monotonic.now += 601  # a reload of everything
    assert copy.look()
    assert copy.verified(key) is None


def test_a_made_up_row_is_refused(site: Site) -> None:
    """Whoever can write to the database can compute neither digest nor seal; with a stolen pepper, still no seal."""
    key = unknown_key(7)
    foreign = StateKey.derived(9, bytes(32))
    row = replace(PLAIN, id=key.id)
    newest = STATE_KEYS.newest
    made = new_row(
        row_of(row, digest=b"", pepper=0), key, pepper=newest.pepper, pepper_number=newest.number, seal_key=foreign.seal
    )._replace(rev=1)
    copy = loaded(site)
    copy.index.apply([made])
    assert copy.verified(key) is None
    assert copy.index.refused_rows == 1


def test_a_row_of_a_state_key_that_is_missing_is_refused(site: Site) -> None:
    """As on a replica that has not been given the newest state.key."""
    key = site.make(PLAIN)
    copy = site.copy(keys=StateKeys({2: StateKey.derived(2, bytes(32))}))
    assert copy.look()
    assert copy.verified(key) is None


def test_a_row_of_an_older_state_key_works(site: Site) -> None:
    """Until it has ended, the older key stays in the file."""
    key = site.make(PLAIN)
    copy = site.copy(keys=StateKeys({1: STATE_KEYS.newest, 2: StateKey.derived(2, bytes(32))}))
    assert copy.look()
    assert copy.verified(key) is not None


def test_a_row_that_cannot_be_read_ends_nothing_else(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a load nor in a change; it is refused and counted."""
    broken, other, third = site.make(PLAIN), site.make(PLAIN), site.make(PLAIN)
    site.sql("UPDATE credentials SET ends = 'soon' WHERE id = :id", id=broken.id)
    copy = loaded(site)
    assert (copy.verified(broken), copy.index.refused_rows) == (None, 1)
    assert copy.verified(other) is not None
    site.sql("UPDATE credentials SET rev = 9, seal = 'x' WHERE id = :id", id=third.id)
    site.sql("UPDATE revision SET rev = 9")
    assert copy.look()
    assert (copy.verified(third), copy.index.refused_rows) == (None, 2)
    assert copy.verified(other) is not None
    assert f"the stored credential {broken.id} cannot be read and is refused" in caplog.text


def test_sealed_nonsense_is_refused(site: Site) -> None:
    """A row with a right seal that this program cannot open, as a newer program might write it."""
    key = unknown_key(3)
    newest = STATE_KEYS.newest
    row = row_of(replace(PLAIN, id=key.id), digest=b"", pepper=0)._replace(sort="z")
    made = new_row(row, key, pepper=newest.pepper, pepper_number=newest.number, seal_key=newest.seal)
    copy = loaded(site)
    copy.index.apply([made._replace(rev=1)])
    assert (copy.verified(key), copy.index.refused_rows) == (None, 1)


# --- last uses, memory -----------------------------------------------------------------------------------------------


def test_a_use_is_known_immediately(site: Site) -> None:
    """To the worker where it was made."""
    key = site.make(FULL)
    copy = loaded(site)
    copy.index.touch(key.id, NOW + 5.5, ip_address("192.0.2.1"))
    found = copy.verified(key)
    assert found is not None
    assert found.used == NOW + 5


def test_opened_credentials_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is opened again when it is used again."""
    assert MAX_OPENED == 20_000
    monkeypatch.setattr("tokenserver.storage.index.MAX_OPENED", 2)
    keys = [site.make(PLAIN) for _ in range(4)]
    copy = loaded(site)
    for key in [*keys, *keys]:
        assert copy.verified(key) is not None
    assert len(copy.index._opened) == 2


def test_the_index_starts_empty() -> None:
    """Nothing works before anything was read."""
    index = CredentialIndex(STATE_KEYS, lambda _: None, grace=GRACE, monotonic=lambda: 0.0)
    assert (len(index), index.outage, index.verified(presented(unknown_key()))) == (0, None, None)


def test_a_row_that_changed_or_an_outage_is_not_current(site: Site) -> None:
    """What was verified counts for as long as it would be verified again (docs/design/threats.md#threat-262)."""
    key, other = site.make(PLAIN), site.make(PLAIN)
    copy = loaded(site, grace=60.0)
    before, held = copy.verified(key), copy.verified(other)
    assert copy.index.is_current(key.id, before)
    assert not copy.index.is_current(key.id, held)
    assert not copy.index.is_current("0" * 12, before)
    site.monotonic.now += 61.0
    assert not copy.index.is_current(key.id, before)
    assert copy.look()
    assert copy.index.is_current(key.id, before)
    copy.index.failed("is down")
    site.monotonic.now += 60.0
    assert copy.index.is_current(key.id, before)
    site.monotonic.now += 1.0
    assert not copy.index.is_current(key.id, before)
    copy.index.replace({}, 9)
    copy.index.looked()
    assert not copy.index.is_current(key.id, before)
