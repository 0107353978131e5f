"""The commands for stored credentials on a real PostgreSQL, among them its own tools for a backup.

On SQLite: tests/cli.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from harness.postgresql_server import PostgresqlServer, database_program, postgresql_server
from harness.processes import plain_environment, run
from sqlalchemy import text, update
from stored_sites import StoredSite

from tokenserver.cli.storage.backup import DUMP, LOAD
from tokenserver.identity import Kind
from tokenserver.storage.connections.files import make_file
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.openid_people import OpenIdPeople
from tokenserver.storage.state_keys import STATE_KEY
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import SCHEMA, meta

pytestmark = pytest.mark.real("postgresql")

NAME = "commands"


class RealSite(StoredSite):
    """A site whose commands are processes of their own, which close what they open."""

    @cached_property
    def store(self) -> CredentialStore:
        """The storage, opened once."""
        return super().store

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        """The command's result."""
        command = [sys.executable, "-m", "tokenserver", *arguments, "--config", self.config]
        environment = {**plain_environment(self.folder), "COLUMNS": "250"}
        found = subprocess.run(
            command, input=stdin or "", capture_output=True, text=True, env=environment, cwd=self.folder, check=False
        )
        out, err = found.stdout.encode(), found.stderr.encode()
        return Result(CliRunner(), out, err, out + err, None, found.returncode, None)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    """A real server."""
    with postgresql_server() as found:
        yield found


@pytest.fixture
def url(postgresql: PostgresqlServer) -> Iterator[str]:
    """The URL of an empty database."""
    postgresql.execute(f"CREATE DATABASE {NAME}")
    yield f"{postgresql.url.removesuffix('postgres')}{NAME}"
    postgresql.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


@pytest.fixture
def empty(tmp_path: Path, url: str) -> Iterator[RealSite]:
    """A site whose storage has no tables."""
    site = RealSite(tmp_path)
    site.configure("storage: state/tokenserver.db", f"storage: {url}")
    yield site
    site.store.database.close()


@pytest.fixture
def site(empty: RealSite) -> RealSite:
    """A site with an empty storage."""
    done(empty.run("storage", "init"))
    return empty


def done(result: Result) -> str:
    """What a command prints that succeeds."""
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def tool(site: RealSite, name: str, *arguments: str) -> None:
    """Run one of the tools of PostgreSQL."""
    result = run([database_program(name), *arguments], environment=plain_environment(site.folder), folder=site.folder)
    assert result.ok, result


def test_init_and_migrate(empty: RealSite) -> None:
    """The tables are made by the command alone; whatever needs them says so before."""
    state_key = empty.folder / "keys" / STATE_KEY
    state_key.unlink()
    refused = empty.run("access-keys", "list")
    assert (refused.exit_code, "state.key" in refused.stderr) == (2, True)
    assert "Created the state key" in done(empty.run("storage", "init"))
    assert state_key.stat().st_mode & 0o777 == 0o600
    assert "nothing was changed" in done(empty.run("storage", "migrate"))
    assert "nothing was changed" in done(empty.run("storage", "init"))
    empty.store.database.note(lambda connection: connection.execute(update(meta).values(schema=SCHEMA + 1)))
    newer = empty.run("storage", "migrate")
    assert (newer.exit_code, "install the newer release" in newer.stderr) == (2, True)


def test_access_keys(site: RealSite) -> None:
    """Made, listed, shown, rotated and revoked."""
    made = site.facts("access-keys", "create", "--user", "ann", "--repositories", "web/**", "--pull")
    identifier = made["id"]
    assert [one["id"] for one in site.facts("access-keys", "list")["access_keys"]] == [identifier]
    assert site.facts("access-keys", "show", identifier)["owner"] == "ann"
    newer = site.facts("access-keys", "rotate", identifier)["id"]
    assert site.facts("access-keys", "revoke", newer)["revoked"] == [newer]
    assert site.run("access-keys", "revoke", newer).exit_code == 1
    assert site.facts("access-keys", "revoke", "--user", "ann")["revoked"] == [identifier]
    assert site.live() == set()


def test_robots(site: RealSite) -> None:
    """Their secrets are made, listed, rotated and revoked."""
    first = site.run("robots", "secret", "new", "ci-web")
    assert first.exit_code == 0
    (identifier,) = site.live()
    assert identifier in done(site.run("robots", "show", "ci-web"))
    assert site.run("robots", "secret", "rotate", "ci-web").exit_code == 0
    assert len(site.live()) == 2
    assert site.run("robots", "secret", "revoke", "ci-web", "--id", identifier).exit_code == 0
    assert len(site.live() - {identifier}) == 1


def test_logins(site: RealSite) -> None:
    """Listed, and revoked by id, person, workload and moment."""
    ids = [site.refresh_token() for _ in range(2)] + [site.refresh_token("bob"), site.session("74"), site.session("75")]
    assert {one["id"] for one in site.facts("logins", "list")["logins"]} == set(ids)
    assert site.facts("logins", "revoke", ids[0])["revoked"] == [ids[0]]
    assert site.facts("logins", "revoke", "--user", "ann")["revoked"] == [ids[1]]
    assert site.facts("logins", "revoke", "--workload", "web-release")["revoked"] == [ids[3]]
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    assert set(site.facts("logins", "revoke", "--all-before", moment)["revoked"]) == {ids[2], ids[4]}


def test_people_and_users(site: RealSite) -> None:
    """A person of a provider is listed, and freed with all that they have; so is a user who is disabled."""
    database, keys = site.store.database, site.store.keys
    people, sessions = OpenIdPeople(database, keys, now=time.time), BrowserSessions(database, keys, now=time.time)
    people.log_in("sso", sub="1", subject="cora", groups=frozenset({"web"}))
    cookie, _ = sessions.begin(source="sso", subject="cora", kind=Kind.OIDC)
    mine = site.refresh_token("cora", source="sso")
    assert [one["user"] for one in site.facts("people", "list")["people"]] == ["cora"]
    assert "cora of sso is free" in done(site.run("people", "unpin", "cora", "--source", "sso"))
    assert (sessions.find(cookie), site.facts("people", "list")["people"]) == (None, [])
    assert site.row(mine).reason == "the name was freed for somebody else"
    token, (cookie, _) = site.refresh_token(), sessions.begin(source="staff", subject="ann", kind=Kind.PASSWORD)
    result = site.run("users", "disable", "ann", "--file", str(site.folder / "users.htpasswd"))
    assert (result.exit_code, site.row(token).reason) == (0, "the account was disabled"), result.output
    assert sessions.find(cookie) is None


def test_check_reseal_and_prune(site: RealSite) -> None:
    """A changed row is found, the state key replaced, and what ended long ago is removed."""
    kept, changed = site.stored(name="a")[1].id, site.stored()[1].id
    engine = site.store.database.engine
    with engine.begin() as connection:
        connection.execute(text("UPDATE credentials SET owner = 'root' WHERE id = :id"), {"id": changed})
    found = site.run("storage", "check", "--json")
    assert found.exit_code == 1
    facts = json.loads(found.stdout)
    assert (facts["credentials"], facts["live_by_key"], len(facts["findings"])) == (2, {"1": 2}, 1)
    assert changed in facts["findings"][0]
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM credentials WHERE id = :id"), {"id": changed})
    assert "The storage is sound." in done(site.run("storage", "check"))
    assert "Added state key 2." in done(site.run("storage", "reseal", "--new-key"))
    newer = site.facts("access-keys", "create", "--user", "ann")["id"]
    assert "Ended 1 credentials and deleted state key 1." in done(site.run("storage", "reseal", "--retire", "1"))
    assert site.live() == {newer}
    with engine.begin() as connection:
        connection.execute(text("UPDATE credentials SET ended = 1 WHERE id = :id"), {"id": kept})
    assert "Removed 1 credentials" in done(site.run("storage", "prune"))


def test_a_file_is_for_sqlite(site: RealSite) -> None:
    """`backup` and `restore FILE` change nothing, and name the tools of PostgreSQL."""
    kept = site.stored()[1].id
    make_file(site.folder / "other.db")
    for arguments, instead in ((("backup", "copy.db"), DUMP), (("restore", "other.db"), LOAD)):
        result = site.run("storage", *arguments)
        fix = instead.partition(", tokenserver")[0]  # whose file of settings is named behind it
        assert f"storage: is a PostgreSQL database; fix: {fix}" in result.stderr
        assert result.exit_code == 2
    assert site.live() == {kept}


@pytest.mark.parametrize("replay", [True, False])
def test_its_own_tools(site: RealSite, url: str, replay: bool) -> None:
    """The commands that the faults name: what was made after the backup is gone, and what was revoked is not back."""
    ids = [site.stored(name="kept")[1].id, site.stored(name="lost")[1].id]
    before = site.store.database.revision()
    dump, load = DUMP.split(), LOAD.split(", ")[1].split()
    fill = {"FILE": "storage.dump", "URL": url, "--file=FILE": "--file=storage.dump", "--dbname=URL": f"--dbname={url}"}
    tool(site, *(fill.get(word, word) for word in dump))
    site.stored(name="newer")
    assert site.facts("access-keys", "revoke", ids[1])["revoked"] == [ids[1]]
    event = {"event": "management", "outcome": "done", "action": "end_access_key", "credential": ids[1]}
    site.write("audit.jsonl", json.dumps(event) + "\n")
    tool(site, *(fill.get(word, word) for word in load))
    assert site.live() == set(ids)
    result = site.run("storage", "restore", *(("--replay", str(site.folder / "audit.jsonl")) if replay else ()))
    assert (result.exit_code, "what commands ended" in result.stderr) == (0, replay), result.output
    assert site.live() == (set(ids[:1]) if replay else set())
    assert site.store.database.revision() > before + 1_000_000
    assert "The storage is sound." in done(site.run("storage", "check"))
