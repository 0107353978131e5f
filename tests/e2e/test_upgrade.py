"""docs/upgrade.md: the last release and this tree, side by side and one after the other, on the same files.

The last release has no storage. For that, it is the oldest revision with the tables of this one: that of `TABLES`.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from harness import web
from harness.postgresql_server import postgresql_server
from harness.processes import Daemon, answers, free_port, plain_environment, run
from harness.programs import ROOT, refuse
from harness.redis_server import redis_server
from harness.waiting import PATIENCE_SECONDS, until

from tokenserver.access_keys import parse_key
from tokenserver.cli import main

pytestmark = pytest.mark.nightly

PAGE = (ROOT / "docs" / "upgrade.md").read_text("utf-8")
COMMANDS = [
    line for text in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in text.splitlines()
]
PASSWORD = "correct horse battery"
POLICY = 'version: 1\nallow:\n  - {id: ann, to: ["user:ann"], repositories: ["public/**"], actions: [pull, push]}\n'
SECONDS = PATIENCE_SECONDS
TABLES = "tokenserver/storage/migrations/versions"
"""What changes the tables. Those that its last change replaced were in no release, so nothing has to work with them."""


def git(*words: str) -> bytes:
    """What git prints in the project."""
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def history() -> None:
    """All commits are there. The oldest of a shallow clone has made everything, so a tree would meet itself here."""
    if git("rev-parse", "--is-shallow-repository").strip() != b"false":
        refuse("this clone has no history; git fetch --unshallow gets it")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, history: None) -> Path:
    """The tree of the newest release of the changelog: the commit that dated its section."""
    section = re.findall(r"^## \[\d.*$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]
    commit = git("log", "--format=%H", "--reverse", f"-S{section}", "--", "CHANGELOG.md").decode().split()[0]
    return checked_out(commit, tmp_path_factory.mktemp("released"))


def checked_out(commit: str, folder: Path) -> Path:
    """The tree of a commit, in the folder."""
    with tarfile.open(fileobj=BytesIO(git("archive", commit))) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def with_storage(tmp_path_factory: pytest.TempPathFactory, history: None) -> Path:
    """The tree of the oldest revision with the tables of this one."""
    commit = git("log", "-1", "--format=%H", "--", TABLES).decode().strip()
    return checked_out(commit, tmp_path_factory.mktemp("with-storage"))


class Site:
    """The files of one site, which servers of both releases serve on ports of their own."""

    def __init__(self, folder: Path, released: Path) -> None:
        self.folder = folder
        self.released = {**plain_environment(folder), "PYTHONPATH": str(released)}
        self.ours = plain_environment(folder)
        self.command = [sys.executable, "-P", "-m", "tokenserver"]
        for words, stdin in ((["init", "."], ""), (["users", "set", "ann"], PASSWORD)):
            output = run([*self.command, *words], environment=self.released, folder=folder, stdin=stdin)
            assert output.ok, str(output)
        shutil.rmtree(folder / "policies")  # the samples have groups that nobody is in, which `policy lint` finds
        (folder / "policies").mkdir()
        (folder / "policies" / "root.yaml").write_text(POLICY)

    def configure(self, **sections: object) -> None:
        """Add sections for the servers of both releases."""
        document = yaml.safe_load((self.folder / "tokenserver.yaml").read_text())
        (self.folder / "tokenserver.yaml").write_text(yaml.safe_dump({**document, **sections}))

    def run(self, environment: dict[str, str], *words: str) -> str:
        """What a command of a release prints, which succeeds."""
        output = run([*self.command, *words], environment=environment, folder=self.folder)
        assert output.ok, str(output)
        return output.stdout

    @contextmanager
    def both(self) -> Iterator[tuple[int, int]]:
        """A server of the old release and one of this one, side by side: their ports."""
        old, old_port = self.server(self.released, "old")
        try:
            new, new_port = self.server(self.ours, "new")
            try:
                yield old_port, new_port
            finally:
                new.stop()
        finally:
            old.stop()

    def server(self, environment: dict[str, str], name: str) -> tuple[Daemon, int]:
        """A server that runs, and its port."""
        port = free_port()
        document = yaml.safe_load((self.folder / "tokenserver.yaml").read_text())
        document["server"] |= {"listen": f"127.0.0.1:{port}", "workers": 1}
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
        command = [*self.command, "serve", "--config", f"{name}.yaml"]
        daemon = Daemon(name, command, environment=environment, folder=self.folder)
        daemon.start(lambda: answers(port) and web.request(port, "GET", "/readyz").status == 200)
        return daemon, port


def signer(port: int) -> str:
    """The certificate of the key that signs a token for ann."""
    target = web.token_target("localhost:5000", ["repository:public/x:pull"])
    answer = web.request(port, "GET", target, headers=web.basic("ann", PASSWORD))
    assert answer.status == 200, answer
    return str(web.header(answer.json()["token"])["x5c"][0])


@pytest.fixture
def site(tmp_path: Path, released: Path) -> Site:
    """A site that the last release made."""
    return Site(tmp_path, released)


def test_side_by_side(site: Site) -> None:
    """Both sign with the same key, also after this release has rotated it."""
    with site.both() as (old_port, new_port):
        first = signer(old_port)
        assert signer(new_port) == first
        site.run(site.ours, "keys", "rotate", "--now")
        until(lambda: signer(old_port) == signer(new_port) != first, seconds=SECONDS)


def test_upgrade_and_roll_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the page by this release, and then the last one again on the files that this one has changed."""
    old, port = site.server(site.released, "before")
    first = signer(port)
    old.stop()
    new, port = site.server(site.ours, "upgraded")
    try:
        assert signer(port) == first
        monkeypatch.chdir(site.folder)
        monkeypatch.setenv("TOKENSERVER_CONFIG", "upgraded.yaml")
        assert [line.split()[0] for line in COMMANDS] == ["tokenserver"] * 5
        for command in COMMANDS:
            result = CliRunner().invoke(main, shlex.split(command)[1:])
            # `server.url` of the site is a port on which no server of this test listens, which the doctor finds.
            assert (command, result.exit_code) == (command, int("doctor" in command)), result.output
        assert run([*site.command, "keys", "rotate", "--now"], environment=site.ours, folder=site.folder).ok
        until(lambda: signer(port) != first, seconds=SECONDS)
        second = signer(port)
    finally:
        new.stop()
    old, port = site.server(site.released, "rolled-back")
    try:
        assert signer(port) == second
    finally:
        old.stop()


def status(port: int, secret: str, user: str = "ann") -> int:
    """What a login with this secret gets."""
    target = web.token_target("localhost:5000", ["repository:public/x:pull"])
    return web.request(port, "GET", target, headers=web.basic(user, secret)).status


@pytest.mark.real("redis-server")
def test_they_count_failed_logins_together(site: Site) -> None:
    """Wrong passwords at one of them limit the account at the other, in both directions."""
    with redis_server(site.folder) as redis:
        for name, content in (("secret", "0123456789abcdef" * 4), ("redis-password", redis.password)):
            (site.folder / name).touch(mode=0o600)
            (site.folder / name).write_text(content)
        throttle = {"redis": f"redis://localhost:{redis.port}", "redis_password_file": "redis-password"}
        site.configure(throttle={**throttle, "secret_file": "secret", "failures_per_user": 3})
        command = [*site.command, "users", "set", "ben"]
        assert run(command, environment=site.released, folder=site.folder, stdin=PASSWORD).ok
        with site.both() as ports:
            for user, (wrong, asked) in zip(("ann", "ben"), (ports, ports[::-1]), strict=True):
                assert status(asked, PASSWORD, user) == 200
                for number in range(4):
                    assert status(wrong, f"wrong {number}", user) in {401, 429}
                assert status(asked, "another", user) == 429


@pytest.mark.real("postgresql")
def test_they_share_a_storage(tmp_path: Path, with_storage: Path) -> None:
    """Keys that one makes work at the other, and end there; also one that the new release makes, after a roll back."""
    with postgresql_server() as database:
        site = Site(tmp_path, with_storage)
        site.configure(storage=database.url, access_keys={})
        site.run(site.released, "storage", "init")
        with site.both() as ports:
            made = []
            for environment in (site.released, site.ours):
                made.append(site.run(environment, "access-keys", "create", "--user", "ann").split()[0])
                until(lambda: [status(port, made[-1]) for port in ports] == [200, 200], seconds=SECONDS)
            site.run(site.ours, "access-keys", "revoke", parse_key(made[0]).id)
            until(lambda: [status(port, made[0]) for port in ports] == [401, 401], seconds=SECONDS)
        assert "up to date" in site.run(site.ours, "storage", "migrate")
        old, port = site.server(site.released, "rolled-back")
        try:
            assert [status(port, key) for key in made] == [401, 200]
        finally:
            old.stop()
