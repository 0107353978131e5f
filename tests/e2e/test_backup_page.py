"""docs/backup.md: a server is backed up, its machine is lost, and another one goes on where the backup left off."""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import canaries
import jwt
import pytest
from cryptography import x509
from harness import web
from harness.postgresql_server import PostgresqlServer, database_program, postgresql_server
from harness.processes import Daemon, Output, answers, free_port, plain_environment, run, running
from harness.programs import ROOT, need
from harness.server import Setup, TokenServer, password, started
from harness.waiting import PATIENCE_SECONDS, until
from sqlalchemy import text

from tokenserver.storage.engines import engine_for

pytestmark = [pytest.mark.real("age"), pytest.mark.waits]

PAGE = (ROOT / "docs" / "backup.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^<!-- test: (\w+) -->\n```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
URL = "postgresql://tokenserver@db.example.com/tokenserver"
SERVICE = "reg.test"
SCOPE = "repository:x:pull"
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
SECONDS = PATIENCE_SECONDS
DAY = 86400


def test_every_command_of_the_page_is_here() -> None:
    """Blocks of commands without a test have no name."""
    assert len(re.findall(r"^```sh$", PAGE, re.MULTILINE)) == len(BLOCKS)
    assert set(BLOCKS) == {
        *("key", "gpg", "backup", "dump", "old", "restore", "look", "load", "rehearse", "rehearsed"),
    }


@dataclass
class Machine:
    """The folder of a server, and a shell on its machine, in which `places` are elsewhere."""

    server: TokenServer
    places: dict[str, str]
    environment: dict[str, str]

    def translated(self, name: str) -> str:
        """A block of the page with the places of this test."""
        found: str = BLOCKS[name]
        for place, here in self.places.items():
            found = found.replace(place, here)
        return found

    def shell(self, commands: str, folder: Path | None = None) -> Output:
        """Commands, which all have to work."""
        output = run(
            ["bash", "-euo", "pipefail", "-c", commands],
            environment=self.environment,
            folder=folder or self.server.folder,
            seconds=60,
        )
        canaries.watch(output.text, "the output of a backup")
        assert output.ok, f"{commands}\n{output}"
        return output

    def status(self, user: str, secret: str) -> int:
        """What a login gets."""
        return self.server.request("GET", web.token_target(SERVICE), headers=web.basic(user, secret)).status

    def call(self, method: str, path: str, body: bytes | None = None) -> web.Answer:
        """A call of the API by ann."""
        headers = web.basic("ann", self.server.people["ann"]) | {"Content-Type": "application/json"}
        return self.server.request(method, f"/api/v1{path}", headers=headers, body=body)

    def new_key(self) -> tuple[str, str]:
        """A stored access key of ann, which works, and its id."""
        answer = self.call("POST", "/access-keys", b'{"lifetime_seconds": 86400}')
        assert answer.status == 201, answer
        made = answer.json()
        canaries.know(made["secret"], user="ann")
        until(lambda: self.status("ann", made["secret"]) == 200, seconds=SECONDS)
        return made["secret"], str(made["id"])


@contextmanager
def machine(folder: Path, storage: str, places: dict[str, str]) -> Iterator[Machine]:
    """A server that runs, and the programs of the page."""
    for name in ("etc", "bin", "backups"):
        (folder / name).mkdir()
    tools = {
        "tokenserver": f"{shlex.quote(sys.executable)} -P -m tokenserver",
        **{name: shlex.quote(str(need(name))) for name in ("age", "age-keygen")},
    }
    if not storage.startswith("state/"):
        tools |= {name: shlex.quote(str(database_program(name))) for name in ("pg_dump", "pg_restore")}
    for name, command in tools.items():
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    environment = plain_environment(folder)
    environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
    settings = {"server": {"workers": 1}, "storage": storage, "access_keys": {}}
    setup = Setup({"ann": password()}, POLICIES, {SERVICE: "universal"}, settings)
    more = {"/etc/tokenserver-backup.pub": str(folder / "backup.pub"), "/etc/tokenserver": str(folder / "etc")}
    more |= {"/var/backups/tokenserver": str(folder / "backups"), "127.0.0.1:5099": f"127.0.0.1:{free_port()}"}
    server = TokenServer(folder / "etc", setup)
    server.run("storage", "init", "--config", server.config)
    with started(server):
        yield Machine(server, {**more, **places}, environment)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Machine]:
    """A machine with a file."""
    with machine(tmp_path, "state/tokenserver.db", {}) as one:
        yield one


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[tuple[Machine, PostgresqlServer]]:
    """A machine with a database."""
    with postgresql_server() as database, machine(tmp_path, database.url, {URL: database.url}) as one:
        yield one, database


def replaced(block: str, start: str, lines: str) -> str:
    """The block with these lines in place of those that begin so."""
    kept = [line for line in block.splitlines() if not line.startswith(start)]
    assert len(kept) < len(block.splitlines())
    at = next(index for index, line in enumerate(block.splitlines()) if line.startswith(start))
    return "\n".join([*kept[:at], *lines.splitlines(), *kept[at:]])


def backed_up(site: Machine, blocks: str) -> Path:
    """Make a key elsewhere, back up, and give the folder of the backup."""
    elsewhere = site.server.folder.parent / "elsewhere"
    elsewhere.mkdir()
    site.shell(site.translated("key"), elsewhere)
    shutil.copy(elsewhere / "backup.pub", site.places["/etc/tokenserver-backup.pub"])
    site.shell(blocks)
    (folder,) = Path(site.places["/var/backups/tokenserver"]).iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["site.age", "storage.age"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert all(path.read_bytes().startswith(b"age-encryption.org/v1\n") for path in folder.iterdir())
    return folder


def lose(site: Machine, backup: Path) -> None:
    """The machine is gone; on the new one are the backup, the key and the events since."""
    site.server.daemon.stop()
    events = site.server.daemon.stdout.read_bytes()
    shutil.rmtree(site.server.folder)
    site.server.folder.mkdir(mode=0o700)
    for file in (*backup.iterdir(), backup.parents[1] / "elsewhere" / "backup.key"):
        shutil.copy(file, site.server.folder)
    (site.server.folder / "audit.jsonl").write_bytes(events)


def verified(token: str, site: Machine) -> str:
    """The subject of a token whose certificate the token CA of the site issued, as a registry verifies it."""
    pem = site.shell("tokenserver keys export ca").stdout
    leaf = x509.load_der_x509_certificate(base64.b64decode(web.header(token)["x5c"][0]))
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(pem.encode()))
    claims = jwt.decode(token, key=leaf.public_key(), algorithms=["ES256"], audience=SERVICE)  # type: ignore[arg-type]
    return str(claims["sub"])


def proven(site: Machine, blocks: str, restore: str, lost: Callable[[Path], None]) -> None:
    """What the page promises: old tokens are verified, what was revoked stays revoked, the rest works."""
    revoked, identifier = site.new_key()
    kept, _ = site.new_key()
    token = site.server.token(SERVICE, [SCOPE], person="ann")
    backup = backed_up(site, blocks)
    assert site.call("DELETE", f"/access-keys/{identifier}").status == 204
    until(lambda: site.status("ann", revoked) == 401, seconds=SECONDS)
    late, _ = site.new_key()
    lost(backup)
    site.shell(restore)
    assert not list(site.server.folder.glob("*.key"))
    site.server.daemon.start(site.server.is_ready)
    site.shell(site.translated("look"))
    assert verified(token, site) == "ann"
    assert web.header(site.server.token(SERVICE, [SCOPE], person="ann")) == web.header(token)
    secrets = {"revoked": revoked, "kept": kept, "late": late, "password": site.server.people["ann"]}
    found = {name: site.status("ann", secret) for name, secret in secrets.items()}
    assert found == {"revoked": 401, "kept": 200, "late": 401, "password": 200}


def test_a_file(sqlite: Machine) -> None:
    """The whole page for one server."""
    proven(sqlite, sqlite.translated("backup"), sqlite.translated("restore"), lambda backup: lose(sqlite, backup))
    sqlite.server.daemon.stop()
    (command,) = sqlite.translated("rehearse").splitlines()
    daemon = Daemon(
        "rehearsal", ["sh", "-c", f"exec env {command}"], environment=sqlite.environment, folder=sqlite.server.folder
    )
    port = int(sqlite.places["127.0.0.1:5099"].rpartition(":")[2])
    with running(daemon, lambda: answers(port)):
        assert "BEGIN CERTIFICATE" in sqlite.shell(sqlite.translated("rehearsed")).stdout


@pytest.mark.real("postgresql")
def test_a_database(postgresql: tuple[Machine, PostgresqlServer]) -> None:
    """The same with the lines for PostgreSQL, into an empty database."""
    site, database = postgresql
    backup = replaced(site.translated("backup"), "tokenserver storage", site.translated("dump"))
    for start in ("age ", "rm "):
        backup = replaced(backup, start, "")
    load, end = site.translated("load").splitlines()
    restore = replaced(site.translated("restore"), "tokenserver storage restore", end)
    restore = replaced(restore, "age --decrypt --identity backup.key --output", load)
    restore = restore.replace("rm tokenserver.db", "rm")

    def lost(backup: Path) -> None:
        lose(site, backup)
        outside = engine_for(database.url).execution_options(isolation_level="AUTOCOMMIT")
        with outside.connect() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        outside.dispose()

    proven(site, backup, restore, lost)


def test_old_backups_are_deleted(sqlite: Machine) -> None:
    """Those of more than two weeks, and nothing else."""
    folder = Path(sqlite.places["/var/backups/tokenserver"])
    for days in (0, 13, 16, 400):
        (folder / str(days)).mkdir()
        (folder / str(days) / "site.age").touch()
        then = time.time() - days * DAY
        os.utime(folder / str(days), (then, then))
    sqlite.shell(sqlite.translated("old"))
    assert sorted(path.name for path in folder.iterdir()) == ["0", "13"]


def test_gpg(tmp_path: Path) -> None:
    """It encrypts for a key that is in no key ring of the machine, and whose owner decrypts."""
    encrypt, decrypt = BLOCKS["gpg"].replace("/etc/tokenserver-backup.pub", "backup.pub").splitlines()
    owner = plain_environment(tmp_path) | {"GNUPGHOME": str(tmp_path / "owner")}
    other = plain_environment(tmp_path) | {"GNUPGHOME": str(tmp_path / "machine")}
    for environment in (owner, other):
        Path(environment["GNUPGHOME"]).mkdir(mode=0o700)
    need("gpg")
    make = "gpg --batch --quiet --passphrase '' --quick-generate-key backup@example.com default default never"
    export = "gpg --export backup@example.com > backup.pub"
    try:
        for environment, command, stdin in (
            (owner, f"{make} && {export}", ""),
            (other, encrypt, "all of it"),
        ):
            output = run(["sh", "-c", command], environment=environment, folder=tmp_path, stdin=stdin, seconds=60)
            assert output.ok, str(output)
        assert run(["sh", "-c", decrypt], environment=owner, folder=tmp_path).stdout == "all of it"
    finally:
        for environment in (owner, other):
            run(["gpgconf", "--kill", "all"], environment=environment, folder=tmp_path)
