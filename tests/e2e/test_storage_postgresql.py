"""The storage on a real PostgreSQL: the same tables and the same store, and a server that stops, is slow or silent."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from harness.faultproxy import Mode, faulty
from harness.own_time import OwnTime
from harness.postgresql_server import PostgresqlServer, postgresql_server
from harness.waiting import until
from impossible_names import IMPOSSIBLE, QUESTIONS
from login_races import (
    ACTORS,
    ENDS,
    OTHER_ENDS,
    OTHER_SESSION_ENDS,
    SESSION_ENDS,
    STORED,
    WEB,
    actor_race,
    begin_session,
    is_refused,
    race,
)
from old_databases import migrate_only_to
from sleeping_writers import follow_writers, overtake
from sqlalchemy import Engine, insert, inspect, select, text
from stored_credentials import DAY, FULL, NOW, PLAIN, STATE_KEYS, Clock, store_of

from tokenserver.errors import Throttled
from tokenserver.identity import Kind
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.database import GENERATION, Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.following.packed_rows import packed
from tokenserver.storage.following.reading import CredentialReader
from tokenserver.storage.following.signals import PostgresqlSignal
from tokenserver.storage.migrations.migrate import OLDEST, migrate_schema, schema_of
from tokenserver.storage.people.code_guesses import CodeGuesses
from tokenserver.storage.people.device_flow import DeviceApproval, DeviceRequest
from tokenserver.storage.people.flow_limits import KEPT_SECONDS, LIFETIME_SECONDS
from tokenserver.storage.people.flows import Flows
from tokenserver.storage.people.remembered_answers import RememberedAnswer, RememberedAnswers
from tokenserver.storage.people.seen_tokens import SeenTokens
from tokenserver.storage.people.used_forms import UsedForms
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore, TooManyCredentials
from tokenserver.storage.tables import SCHEMA, jwks, metadata
from tokenserver.storage.trail.chains import ChainRegister, ChainRow
from tokenserver.storage.upkeep.inspection import Inspection
from tokenserver.storage.upkeep.inspection import inspect as inspected
from tokenserver.storage.upkeep.pruning import prune
from tokenserver.storage.upkeep.restoring import end_restored

pytestmark = [pytest.mark.real("postgresql"), pytest.mark.waits]

T = TypeVar("T")

ROUNDS = 5

LIMIT = 5.0
"""Seconds for what has to end within about two, on a busy machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """One server for all tests; each has a database of its own."""
    with postgresql_server() as found:
        outside = engine_for(found.url)
        wait_for(outside)
        outside.dispose()
        yield found


@pytest.fixture
def engine(server: PostgresqlServer) -> Iterator[Engine]:
    """An engine for an empty database."""
    name = f"t{secrets.token_hex(6)}"
    server.execute(f"CREATE DATABASE {name}")
    found = engine_for(f"{server.url.removesuffix('/postgres')}/{name}")
    yield found
    found.dispose()


@pytest.fixture
def store(engine: Engine) -> Iterator[CredentialStore]:
    """An empty store."""
    migrate_schema(engine, server="https://auth.example.com", now=NOW)
    found = store_of(Database(engine))
    yield found
    found.database.close()


@pytest.mark.parametrize("text", IMPOSSIBLE)
@pytest.mark.parametrize("question", QUESTIONS)
def test_texts_that_no_database_has(store: CredentialStore, question: str, text: str) -> None:
    """An id of an API call may have a NUL, which PostgreSQL refuses: that is no outage, and nothing is there."""
    assert not QUESTIONS[question](store, text)


def test_the_schema_is_that_of_the_code(engine: Engine) -> None:
    """Tables, types, indexes and constraints; SQLite: tests/storage/migrations/versions."""
    assert schema_of(engine) is None
    migrate_schema(engine, server="", now=NOW)
    assert schema_of(engine) == SCHEMA
    with engine.connect() as connection:
        options = {"version_table": "schema_version", "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    found = inspect(engine)
    assert {one["name"] for one in found.get_check_constraints("credentials")} == {
        "credentials_form",
        "credentials_state",
    }


def test_packed_rows(store: CredentialStore) -> None:
    """The database packs rows as the program does."""
    odd = replace(FULL, name="é%s\\'\n", created_from="", client="%", ceiling=None, proof=b"", idle=0)
    for one in (FULL, odd, PLAIN):
        store.create(one, at_most=9)
    store.end(Selection(ids=frozenset({store.create(PLAIN, at_most=9)[0].id})), by="ops", reason="lost")
    reader = CredentialReader(store.database)
    rows = [row for page in reader.changed(0) for row in page]
    assert reader.everything(lambda: None) == {row.id: packed(row) for row in rows}
    assert len(rows) == 4


def test_many_replicas_make_the_tables_once(engine: Engine) -> None:
    """They wait for each other."""
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: migrate_schema(engine, server="", now=NOW), range(6)))
    assert sorted(found, key=str) == [(SCHEMA, SCHEMA)] * 5 + [(None, SCHEMA)]


def test_a_life(store: CredentialStore) -> None:
    """Made with every column set, rotated, ended, listed, inspected, restored and pruned."""
    old, made = store.create(FULL, at_most=1)
    assert [one.credential for one in store.listed(Selection())] == [made]
    new, _ = store.rotate(old.id, ends=NOW + 9 * DAY, overlap=DAY, by="ops")
    found = inspected(store, now=NOW)
    assert found._replace(notes=()) == Inspection(2, {1: 2}, [])
    (note,) = found.notes  # nothing of the old one, which has its successor
    assert note.startswith(f"credentials end within 14 days: access key {new.id} of ann ")
    assert store.end(Selection(claims=FULL.claims, ids=frozenset({old.id})), by="ops", reason="lost") == [old.id]
    assert store.create_in_place(FULL, at_most=1, by="server", reason="limit")[2] == (new.id,)
    assert [one.owner for one in store.owners()] == ["ann"]
    assert end_restored(store, logs=None, keep=False, by="ops") == 1
    assert store.database.revision() == GENERATION
    assert prune(store.database, now=NOW + 40 * DAY)["credentials"] == 3


@pytest.mark.parametrize("stored", STORED)
def test_logins_in_flight(store: CredentialStore, stored: str) -> None:
    """Each end of all logins of a person refuses what was verified before it, and no other end does."""
    for name, end in {**ENDS, **OTHER_ENDS}.items():
        before = store.database.revision()
        end(store.database)
        assert (name, is_refused(STORED[stored], store.database, before)) == (name, name in ENDS)
        assert not is_refused(STORED[stored], store.database, store.database.revision()), name


@pytest.mark.parametrize("stored", ["a refresh token", "an access key", "a browser session"])
def test_a_login_while_the_end_commits(engine: Engine, store: CredentialStore, stored: str) -> None:
    """Another replica waits for the open transaction, and refuses what was verified before it."""
    other = Database(engine_for(f"postgresql://postgres@127.0.0.1:{engine.url.port}/{engine.url.database}"))
    try:
        assert race(store.database, other, Selection(owner="ann"), STORED[stored]) == (True, True)
        assert store.listed(Selection(owner="ann")) == []
    finally:
        other.close()


@pytest.mark.parametrize("actor", ACTORS)
def test_a_change_while_the_end_of_the_actor_commits(engine: Engine, store: CredentialStore, actor: str) -> None:
    """Another replica waits for the open transaction, and does not make the change."""
    other = Database(engine_for(f"postgresql://postgres@127.0.0.1:{engine.url.port}/{engine.url.database}"))
    try:
        assert actor_race(actor, store.database, other) == (True, True)
        assert len(store.listed(Selection(owner="ann"))) == 1
    finally:
        other.close()


def test_sessions_in_flight(store: CredentialStore) -> None:
    """Each end of all logins of a workload refuses what was verified before it, and tokens of before."""
    for name, end in {**SESSION_ENDS, **OTHER_SESSION_ENDS}.items():
        before = store.database.revision()
        end(store.database)
        assert (name, is_refused(begin_session, store.database, before)) == (name, name in SESSION_ENDS)
        now = store.database.revision()
        assert not is_refused(begin_session, store.database, now), name
    assert is_refused(partial(begin_session, issued=NOW), store.database, now)


def test_a_session_while_the_end_of_its_workload_commits(engine: Engine, store: CredentialStore) -> None:
    """Another replica waits for the open transaction, and refuses what was verified before it."""
    other = Database(engine_for(f"postgresql://postgres@127.0.0.1:{engine.url.port}/{engine.url.database}"))
    try:
        assert race(store.database, other, WEB, begin_session) == (True, True)
        assert store.listed(WEB) == []
    finally:
        other.close()


def test_logins_on_devices(engine: Engine, store: CredentialStore) -> None:
    """Over two replicas, one of sixteen takes what was approved, one question of sixteen is punctual, guesses count."""
    other = Database(engine_for(f"postgresql://postgres@127.0.0.1:{engine.url.port}/{engine.url.database}"))
    clock, databases = Clock(), [store.database, other]
    replicas = [Flows(one, Boxes(STATE_KEYS), now=clock) for one in databases]
    request = DeviceRequest("tokenserver-helper", "192.0.2.1", "", ("reg",))
    codes = replicas[0].begin(request, place="192.0.2.1")
    with ThreadPoolExecutor(16) as pool:
        early = list(pool.map(lambda number: replicas[number % 2].is_early(codes.flow), range(16)))
        assert early.count(False) == 1
        assert replicas[1].approve(codes.flow, DeviceApproval("local", "ann", Kind.PASSWORD, b"proof"))
        approved = replicas[0].by_device_code(codes.device_code)
        assert approved is not None
        taken = list(pool.map(lambda number: replicas[number % 2].take(approved), range(16)))
    assert taken.count(True) == 1
    counters = [CodeGuesses(one, now=clock) for one in databases]
    for number in range(3):
        counters[number % 2].begin({"session": 3})
    with pytest.raises(Throttled):
        counters[1].begin({"session": 3})
    clock.now += LIFETIME_SECONDS + KEPT_SECONDS
    replicas[1].begin(request, place="192.0.2.1")
    assert replicas[1].by_device_code(codes.device_code) is None
    other.close()


def test_limits_hold_over_replicas(engine: Engine, store: CredentialStore) -> None:
    """Two processes, as two stores: of 16 writers exactly as many succeed as there may be."""
    other = engine_for(f"postgresql://postgres@127.0.0.1:{engine.url.port}/{engine.url.database}")
    stores = [store, store_of(Database(other))]

    def create(number: int) -> bool:
        try:
            stores[number % 2].create(PLAIN, at_most=3)
        except TooManyCredentials:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(create, range(16))) == 3
    stores[1].database.close()


def test_a_request_is_begun_once(engine: Engine, store: CredentialStore) -> None:
    """Of 16 clients that send the same request to two replicas, one does it; the others hear that it is in progress."""
    databases = [store.database, Database(engine_for(engine.url.render_as_string(hide_password=False)))]
    answers = [RememberedAnswers(database, STATE_KEYS, now=lambda: float(NOW)) for database in databases]
    for round_ in range(ROUNDS):
        request, together = b"ann POST /access-keys %d" % round_, Barrier(16)
        began = at_once(together, lambda number: answers[number % 2].begin(request, b"{}"))  # noqa: B023 - called here
        assert sorted(began, key=lambda one: one is None) == [RememberedAnswer(is_same=True, answer=None)] * 15 + [None]
    databases[1].close()


def test_a_form_is_used_once(engine: Engine, store: CredentialStore) -> None:
    """Of 16 clients that send the same form to two replicas, one is let in, and no other gets a 503."""
    databases = [store.database, Database(engine_for(engine.url.render_as_string(hide_password=False)))]
    forms = [UsedForms(SeenTokens(database), now=lambda: float(NOW)) for database in databases]
    for round_ in range(ROUNDS):
        together = Barrier(16)
        used = at_once(together, lambda number: forms[number % 2].use(f"form {round_}"))  # noqa: B023 - called here
        assert sum(used) == 1
    databases[1].close()


def at_once(together: Barrier, work: Callable[[int], T]) -> list[T]:
    """What `work` gives to each thread, all of which begin together."""

    def begin(number: int) -> T:
        together.wait()
        return work(number)

    with ThreadPoolExecutor(together.parties) as pool:
        return list(pool.map(begin, range(together.parties)))


def test_a_failing_change_undoes_nothing_of_the_others(store: CredentialStore) -> None:
    """Also where the database itself rejects it."""

    def add(name: str) -> None:
        values = {"issuer": name, "document": "", "fetched": 1}
        store.database.write(lambda connection, _: connection.execute(insert(jwks).values(values)))

    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(add, name) for name in ("a", "b", "a", "c", "b", "d")]
        failed = [run.exception() for run in runs if run.exception() is not None]
    assert [type(error) for error in failed] == [StorageUnavailable] * 2
    names = store.database.read(lambda connection: set(connection.execute(select(jwks.c.issuer)).scalars()))
    assert names == {"a", "b", "c", "d"}


def test_a_statement_that_takes_long_is_ended(store: CredentialStore) -> None:
    """By the server, after two seconds."""
    own = OwnTime(os.getpid())
    with pytest.raises(StorageUnavailable, match=r"QueryCanceled|does not answer in time"):
        store.database.read(lambda connection: connection.execute(text("SELECT pg_sleep(30)")))
    assert own.seconds < LIMIT
    store.create(PLAIN, at_most=9)


def test_a_writer_that_hangs_holds_up_nobody_for_long(engine: Engine, store: CredentialStore) -> None:
    """Another process holds the row of the revision."""
    with engine.begin() as other:
        other.execute(text("UPDATE revision SET rev = rev"))
        own = OwnTime(os.getpid())
        with pytest.raises(StorageUnavailable):
            store.create(PLAIN, at_most=9)
        assert own.seconds < LIMIT
    store.create(PLAIN, at_most=9)


@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.RESET, Mode.GARBAGE])
def test_a_network_that_fails(server: PostgresqlServer, store: CredentialStore, mode: Mode) -> None:
    """Whatever is done with open connections and new ones, nothing waits long, and everything works afterwards."""
    name = store.database.engine.url.database
    with faulty(server.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable"
        beyond = store_of(Database(engine_for(url)))
        key, _ = beyond.create(PLAIN, at_most=9)
        proxy.mode = mode
        for ask in (lambda: beyond.create(PLAIN, at_most=9), lambda: beyond.listed(Selection()), beyond.owners):
            own = OwnTime(os.getpid())
            with pytest.raises(StorageUnavailable):
                ask()
            assert own.seconds < LIMIT
        proxy.lose(mode)
        proxy.mode = Mode.PASS
        assert key.id in {one.credential.id for one in beyond.listed(Selection())}
        beyond.create(PLAIN, at_most=9)
        beyond.database.close()


def wait_for(engine: Engine) -> None:
    """Wait until the server answers; it listens before it has recovered."""
    until(lambda: is_answered(engine))


def is_answered(engine: Engine) -> bool:
    """Whether the server answers."""
    try:
        schema_of(engine)
    except StorageUnavailable:
        return False
    return True


def test_a_server_that_stops() -> None:
    """Immediately, as in a crash, with a server of its own: seen at once, and forgotten when it is back."""
    with postgresql_server() as own:
        engine = engine_for(own.url)
        wait_for(engine)
        migrate_schema(engine, server="", now=NOW)
        store = store_of(Database(engine), Clock())
        key, _ = store.create(replace(PLAIN, name="before"), at_most=9)
        own.daemon.signal(signal.SIGQUIT)
        own.daemon.wait()
        for _ in range(2):
            asked = OwnTime(os.getpid())
            with pytest.raises(StorageUnavailable):
                store.create(PLAIN, at_most=9)
            assert asked.seconds < LIMIT
        own.stop()
        own.start()
        wait_for(engine)
        store.create(PLAIN, at_most=9)
        assert key.id in {one.credential.id for one in store.listed(Selection())}
        store.database.close()


def test_writers_that_sleep_lose_no_row(engine: Engine, store: CredentialStore) -> None:
    """Four replicas write, and a fifth follows by revision (docs/design/threats.md#threat-179)."""
    writers = [Database(engine_for(engine.url.render_as_string(hide_password=False))) for _ in range(4)]
    found = follow_writers(writers, store.database, PostgresqlSignal(engine, seconds=0.01))
    assert found.known == found.written
    assert found.partial > 3
    for one in writers:
        one.close()


def test_no_writer_overtakes_another(engine: Engine, store: CredentialStore) -> None:
    """The second one waits for the revision of the first: a sequence would let it commit before, and lose the first."""
    first, second = (Database(engine_for(engine.url.render_as_string(hide_password=False))) for _ in range(2))
    assert overtake(first, second, store.database, PostgresqlSignal(engine, seconds=0.01)) == [0, 2, 2]
    for one in (first, second):
        one.close()


def test_chains_of_audit_events(store: CredentialStore) -> None:
    """Many workers keep theirs at the same time, each row has its last number, and what was changed is found."""
    register = ChainRegister(STATE_KEYS)
    row = ChainRow("AAAAAAAA", "host :1", NOW * 1000, 1, NOW * 1000, 0)

    def keep(worker: int) -> None:
        for number in range(1, 6):
            register.put(store.database, row._replace(chain=f"{worker:08}", number=number, sealed=row.sealed + worker))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, range(8)))
    assert sorted((one.chain, one.number) for one in register.known(store.database).rows) == [
        (f"{worker:08}", 5) for worker in range(8)
    ]
    found = register.before(store.database, "host :1")
    assert [one.chain for one in found] == [f"{worker:08}" for worker in reversed(range(8))]
    register.note_stated(store.database, [(one.chain, one.number) for one in found[:7]])
    assert [one.chain for one in register.before(store.database, "host :1")] == ["00000000"]
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE audit_chains SET number = 1 WHERE chain = '00000003'"))
    known = register.known(store.database)
    assert (len(known.rows), known.of_unknown_keys, known.forged) == (7, 0, 1)


def test_tables_of_the_version_before(engine: Engine) -> None:
    """Replicas are upgraded before the tables: nothing but the chains has to wait, and `migrate` brings them."""
    migrate_only_to(OLDEST, engine)
    register = ChainRegister(STATE_KEYS)
    row = ChainRow("AAAAAAAA", "host :1", NOW * 1000, 1, NOW * 1000, 0)
    store = store_of(Database(engine))
    key, _ = store.create(PLAIN, at_most=9)
    assert [one.credential.id for one in store.listed(Selection())] == [key.id]
    assert prune(store.database, now=NOW)["chains of audit events"] == 0
    with pytest.raises(StorageUnavailable, match="tokenserver storage migrate"):
        register.put(store.database, row)
    migrate_schema(engine, server="https://auth.example.com", now=NOW)
    register.put(store.database, row)
    assert len(register.known(store.database).rows) == 1
    assert [one.credential.id for one in store.listed(Selection())] == [key.id]
    store.database.close()
