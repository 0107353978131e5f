"""People in the tables of real databases: the contract of user sources, and what goes wrong with servers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from authenticator_contract import GOOD, NAME, AuthenticatorContract, ask
from harness.authority import Authority
from harness.mariadb_server import MariadbServer, mariadb_server
from harness.own_time import OwnTime
from harness.postgresql_server import PostgresqlServer, postgresql_server
from harness.waiting import PATIENCE_SECONDS
from htpasswd_users import hashed
from user_tables import users_of

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.passwords import decoy_like
from tokenserver.authn.sql.backend import SqlUsers
from tokenserver.authn.sql.presets import QUERIES
from tokenserver.errors import BackendUnavailable, InvalidCredentials

Answer = TypeVar("Answer")

HASH = hashed(GOOD)
COLUMNS = "password_hash, name AS subject, team AS {groups}, enabled"


@dataclass
class Site:
    """A server with the table `users`. `run` executes statements as its administrator."""

    kind: str
    server: PostgresqlServer | MariadbServer
    run: Callable[..., None]

    @property
    def query(self) -> str:
        """The query for a user."""
        groups = "groups" if self.kind == "postgresql" else "`groups`"
        return f"SELECT {COLUMNS.format(groups=groups)} FROM users WHERE name = :user"  # noqa: S608 - of this test

    def users(self, query: str | None = None, *, seconds: float = 5, **more: Any) -> SqlUsers:
        """The user source."""
        return users_of(self.server.url, query or self.query, name=NAME, password="reader", seconds=seconds, **more)

    def row(self, name: str, hash_: str | None = HASH, team: str | None = None) -> None:
        """Insert a user. Values are of tests, without quotes."""
        values = ", ".join("NULL" if value is None else f"'{value}'" for value in (name, hash_, team))
        self.run(f"INSERT INTO users VALUES ({values}, TRUE)")  # noqa: S608 - of this test


def eventually(ask_it: Callable[[], Answer]) -> Answer:
    """What it answers once the server has started."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask_it()
        except (BackendUnavailable, psycopg.OperationalError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _postgresql() -> Iterator[Site]:
    with postgresql_server() as server:

        def run(*statements: str) -> None:
            with eventually(lambda: psycopg.connect(server.url, autocommit=True)) as connection:
                for statement in statements:
                    connection.execute(statement.encode())

        run("CREATE TABLE users (name TEXT, password_hash TEXT, team TEXT, enabled BOOLEAN)")
        yield Site("postgresql", server, run)


def _mariadb() -> Iterator[Site]:
    with mariadb_server() as server:
        server.execute("CREATE TABLE users (name VARCHAR(200), password_hash TEXT, team TEXT, enabled BOOLEAN)")
        yield Site("mariadb", server, server.execute)


SITES = {"postgresql": _postgresql, "mariadb": _mariadb}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("mariadb", marks=pytest.mark.real("mariadb")),
        pytest.param("postgresql", marks=pytest.mark.real("postgresql")),
    ],
)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A server of each kind; its only user is alice."""
    for made in SITES[request.param]():
        made.row("alice", team="dev, ops")
        yield made


class TestServers(AuthenticatorContract):
    """A table of a real server."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, site: Site) -> Authenticator:
        """The source; its only user is alice."""
        return site.users()


def test_groups(site: Site) -> None:
    """As a text, and as what each kind of database has for lists."""
    values = {"postgresql": ["ARRAY['a', 'b, c']", '\'["a", "b, c"]\'::jsonb', "'{a,\"b, c\"}'::varchar[]"]}
    for value in values.get(site.kind, ['\'["a", "b, c"]\'', "JSON_ARRAY('a', 'b, c')"]):
        query = site.query.replace("team", value)
        found = site.users(query).find("alice")
        assert found is not None
        assert found.groups == {"a", "b, c"}
    plain = site.users().find("alice")
    assert plain is not None
    assert plain.groups == {"dev", "ops"}


def test_marks_of_the_drivers(site: Site) -> None:
    """Percent signs, colons and question marks of a query are what they are."""
    query = f"{site.query} AND name LIKE 'a%' AND name NOT IN ('%s', ' :y', '?', '%(user)s')"
    found = site.users(query).find("alice")
    assert found is not None
    assert site.users(f"{query} AND name LIKE '%x%'").find("alice") is None


def test_the_preset_of_docker_auth(site: Site) -> None:
    """The table as docker_auth makes it; labels are groups."""
    text = "TEXT" if site.kind == "mariadb" else "JSON"
    site.run(
        f"CREATE TABLE xorm_user (id INT, username VARCHAR(128) NOT NULL, password_hash VARCHAR(128), labels {text})",
        f'INSERT INTO xorm_user VALUES (1, \'ann\', \'{HASH}\', \'{{"team": ["dev"], "project": ["web"]}}\')',  # noqa: S608 - of this test
        "INSERT INTO xorm_user VALUES (2, 'eve', NULL, NULL)",
    )
    source = site.users(QUERIES["docker_auth"])
    found = source.find("ann")
    assert found is not None
    assert found.groups == {"team=dev", "project=web"}
    assert ask(source, "eve", "") == ask(source, "eve", "any") == "InvalidCredentials"


@pytest.mark.parametrize(
    "name", ["' OR '1'='1", "alice' --", "alice\\", '"', "%", "alice; DROP TABLE users", "名前", "o'neil"]
)
def test_names_are_bound(site: Site, name: str) -> None:
    """A name is never part of a statement (docs/design/threats.md#threat-205)."""
    source = site.users()
    assert ask(source, name, GOOD) is None
    quoted = name.replace("'", "''").replace("\\", "\\\\" if site.kind == "mariadb" else "\\")
    site.run(f"INSERT INTO users VALUES ('{quoted}', '{HASH}', NULL, TRUE)")  # noqa: S608 - of this test
    try:
        assert getattr(ask(source, name, GOOD), "subject", None) == name
    finally:
        site.run(f"DELETE FROM users WHERE name = '{quoted}'")  # noqa: S608 - of this test


@pytest.mark.parametrize("typed", ["ALICE", "Alice", "alice ", "álice", "\uff41lice"])
def test_no_spelling_is_another_identity(site: Site, typed: str) -> None:
    """MariaDB takes these for alice, whose identity it is then (docs/design/threats.md#threat-205)."""
    found = ask(site.users(), typed, GOOD)
    assert found is None or getattr(found, "subject", None) == "alice"
    assert site.users().find(typed) is None


def test_nothing_is_written(site: Site) -> None:
    """Not by a function that the query calls, though the user of the URL may (docs/design/threats.md#threat-205)."""
    if site.kind == "mariadb":
        site.run(
            "CREATE FUNCTION touch_it() RETURNS INT MODIFIES SQL DATA BEGIN"
            " INSERT INTO users VALUES ('made', 'x', '', 1); RETURN 1; END",
            "GRANT ALL ON people.* TO reader@'%'",
            "GRANT ALL ON people.* TO reader@localhost",
        )
    else:
        site.run(
            "CREATE FUNCTION touch_it() RETURNS INT AS $$ INSERT INTO users VALUES ('made', 'x', '', TRUE);"
            " SELECT 1 $$ LANGUAGE SQL"
        )
    source = site.users(site.query.replace("WHERE", "WHERE touch_it() = 1 AND"))
    with pytest.raises(BackendUnavailable, match="fix: make the query one that only reads"):
        source.find("alice")
    assert site.users().find("made") is None


def test_two_rows(site: Site) -> None:
    """Never the first one (docs/design/threats.md#threat-205)."""
    site.row("twin")
    site.row("twin", decoy_like(HASH))
    with pytest.raises(InvalidCredentials) as caught:
        site.users().find("twin")
    assert caught.value.reason.startswith("the query returns several rows")
    site.run("DELETE FROM users WHERE name = 'twin'")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("users", "nowhere"), "fix: correct the table in query"),
        (("password_hash", "h AS password_hash"), "fix: correct the column in query"),
        (("password_hash, ", ""), "the query returns no column password_hash"),
        (("enabled", "repeat('x', 3000000) AS enabled"), None),
    ],
)
def test_queries(site: Site, change: tuple[str, str], reason: str | None) -> None:
    """What does not fit is a fault of the database, never a wrong password; and what is huge is cut off."""
    source = site.users(site.query.replace(*change))
    if reason is None:
        with pytest.raises(InvalidCredentials, match="wrong user name or password"):
            source.find("alice")
        return
    with pytest.raises(BackendUnavailable, match=reason):
        source.find("alice")


def test_bytes_are_no_hash(site: Site) -> None:
    """A binary column is read as text where it is one, or refused."""
    kind = "BYTEA" if site.kind == "postgresql" else "BINARY"
    found = ask(
        site.users(site.query.replace("password_hash", f"CAST(password_hash AS {kind}) AS password_hash")),
        "alice",
        GOOD,
    )
    assert found == "InvalidCredentials" or getattr(found, "subject", None) == "alice"


def test_a_wrong_password_of_the_server(site: Site) -> None:
    """The reason says which file has to have another one; neither password is in it."""
    source = users_of(site.server.url, site.query, name=NAME, password="canary")
    if site.kind == "postgresql":  # whose cluster asks for none
        source.probe()
        return
    with pytest.raises(BackendUnavailable, match="fix: put the password") as caught:
        source.probe()
    assert "canary" not in str(caught.value)


def test_a_slow_server(site: Site) -> None:
    """The deadline is for all that a login asks (docs/design/threats.md#threat-206)."""
    sleep = "pg_sleep(20)::text" if site.kind == "postgresql" else "SLEEP(20)"
    source = site.users(
        site.query.replace("password_hash", f"CONCAT(password_hash, {sleep}) AS password_hash"), seconds=1
    )
    own = OwnTime(os.getpid())
    with pytest.raises(BackendUnavailable):
        source.find("alice")
    assert own.seconds < 4


def test_many_logins_have_few_connections(site: Site) -> None:
    """And all of them are answered."""
    source = site.users()
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(source.find("alice"))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert None not in found


def test_it_stops_and_comes_back(site: Site) -> None:
    """An outage is 503, within the deadline, and ends by itself (docs/design/threats.md#threat-206)."""
    source = site.users(seconds=2)
    assert source.find("alice") is not None
    ended = threading.Event()
    answers: list[str] = []

    def log_in() -> None:
        while not ended.is_set():
            try:
                answers.append("found" if source.find("alice") else "lost")
            except BackendUnavailable:
                answers.append("down")
                time.sleep(0.01)

    threads = [threading.Thread(target=log_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    site.server.stop()
    own = OwnTime(os.getpid())
    with pytest.raises(BackendUnavailable):
        source.find("alice")
    assert own.seconds < 4
    site.server.start()
    ended.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {"found", "down"}
    assert eventually(lambda: source.find("alice")) is not None


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority whose certificates the servers of `secure` have."""
    return Authority(tmp_path_factory.mktemp("authority"), "the company")


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[MariadbServer]:
    """A server that speaks TLS, and takes nothing else from its reader."""
    with mariadb_server(tls=authority) as server:
        server.execute("CREATE TABLE users (name VARCHAR(200), password_hash TEXT)")
        server.execute(f"INSERT INTO users VALUES ('alice', '{HASH}')")  # noqa: S608 - of this test
        server.execute(*(f"ALTER USER reader@{host} REQUIRE SSL" for host in ("localhost", "'%'")))
        yield server


PLAIN = "SELECT password_hash, name AS subject FROM users WHERE name = :user"


@pytest.mark.real("mariadb")
def test_tls(secure: MariadbServer, authority: Authority) -> None:
    """With the authority of the settings, many logins work on few connections, and a slow one is ended."""
    url = f"mariadb://reader@localhost:{secure.port}/people"
    source = users_of(url, PLAIN, password="reader", ca_file=authority.file)
    assert [source.find("alice") is not None for _ in range(5)] == [True] * 5
    slow = PLAIN.replace("password_hash", "SLEEP(20) AS password_hash")
    own = OwnTime(os.getpid())
    with pytest.raises(BackendUnavailable):
        users_of(url, slow, password="reader", ca_file=authority.file, seconds=1).find("alice")
    assert own.seconds < 3


@pytest.mark.real("mariadb")
@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("localhost", False, "certificate verify failed.*fix: name the CA of the server: ca_file"),
        ("127.0.0.1", True, "certificate verify failed"),
        ("localhost", None, "Access denied"),
    ],
    ids=["another authority", "another name", "without TLS"],
)
def test_tls_is_verified(
    secure: MariadbServer,
    authority: Authority,
    tmp_path: Path,
    host: str,
    reason: str,
    *,
    trusted: bool | None,
) -> None:
    """A certificate of somebody else, or for another name, gets no password (docs/design/threats.md#threat-206)."""
    other = Authority(tmp_path, "somebody")
    ca_file = None if trusted is None else authority.file if trusted else other.file
    source = users_of(f"mariadb://reader@{host}:{secure.port}/people", PLAIN, password="reader", ca_file=ca_file)
    with pytest.raises(BackendUnavailable, match=reason):
        source.find("alice")


@pytest.mark.real("mariadb")
def test_a_socket(secure: MariadbServer, authority: Authority) -> None:
    """A server on this machine can be asked without the network, and one that is gone says so."""
    secure.execute("ALTER USER reader@localhost REQUIRE NONE")
    url = f"mariadb://reader@localhost/people?unix_socket={secure.socket}"
    assert users_of(url, PLAIN, password="reader").find("alice") is not None
    assert users_of(url, PLAIN, password="reader", ca_file=authority.file).find("alice") is not None
    with pytest.raises(BackendUnavailable, match="No such file"):
        users_of(f"{url}.gone", PLAIN, password="reader").find("alice")


@pytest.mark.real("mariadb")
@pytest.mark.parametrize(
    ("column", "names"),
    [
        ("latin1 COLLATE latin1_swedish_ci", ("ann", "j\u00fcrgen")),
        ("ascii", ("ann",)),
        ("utf8mb3 COLLATE utf8mb3_unicode_ci", ("ann", "j\u00fcrgen", "\u540d\u524d")),
        ("utf8mb4 COLLATE utf8mb4_bin", ("ann", "j\u00fcrgen", "\u540d\u524d", "x\U0001f600")),
    ],
)
def test_character_sets(secure: MariadbServer, authority: Authority, column: str, names: tuple[str, ...]) -> None:
    """The collation of the column counts, whatever character set it has; a name that it cannot hold is unknown."""
    secure.execute(
        "DROP TABLE IF EXISTS old",
        f"CREATE TABLE old (name VARCHAR(50) CHARACTER SET {column} PRIMARY KEY, password_hash TEXT)",
        *(f"INSERT INTO old VALUES ('{name}', '{HASH}')" for name in names),  # noqa: S608 - of this test
    )
    url = f"mariadb://reader@localhost:{secure.port}/people"
    source = users_of(url, PLAIN.replace("users", "old"), password="reader", ca_file=authority.file)
    for name in ("ann", "j\u00fcrgen", "\u540d\u524d", "x\U0001f600"):
        found = source.find(name)
        assert (None if found is None else found.subject) == (name if name in names else None)


@pytest.mark.real("postgresql")
def test_a_database_of_latin_letters(site: Site) -> None:
    """A name that its encoding cannot hold is unknown, and no outage for the others; so is one that no cast takes.

    See docs/design/threats.md#threat-206.
    """
    if not isinstance(site.server, PostgresqlServer):
        return
    site.run(
        "DROP DATABASE IF EXISTS old",
        "CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    url = site.server.url.removesuffix("/postgres") + "/old"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"CREATE TABLE users (id INT, name TEXT, password_hash TEXT)")
        connection.execute("INSERT INTO users VALUES (7, 'ann', %s)", (HASH,))
    source = users_of(url, PLAIN)
    for name in ("\u540d\u524d", "x\U0001f600"):
        assert source.find(name) is None
        assert ask(source, name, GOOD) is None
    by_number = users_of(url, PLAIN.replace("name = :user", "id = CAST(:user AS int)"))
    assert ask(by_number, "nobody", GOOD) == "InvalidCredentials"
    assert by_number.look_up("7") is not None
    by_number.probe()
    assert source.find("ann") is not None
