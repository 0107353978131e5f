"""docs/disaster-drills.md, held on a running server with a storage and a real directory."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

import canaries
import pytest
from click.testing import CliRunner
from harness import web
from harness.authority import Authority
from harness.processes import Output, run
from harness.programs import ROOT
from harness.server import Setup, TokenServer, password, serving
from harness.slapd import BASE, READER, Slapd, group, person, slapd
from harness.waiting import PATIENCE_SECONDS, until

from tokenserver.cli import main

pytestmark = [pytest.mark.real("slapd"), pytest.mark.waits]

PAGE = (ROOT / "docs" / "disaster-drills.md").read_text("utf-8")
FOUND = re.findall(r"(?:^<!-- test: ([\w ]+) -->\n)?^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
BEFORE = [text for name, text in FOUND if not name]
BLOCKS = {name: text for name, text in FOUND if name}
DRILLS = {
    "lost": ("restored", "replaced", "emptied"),
    "leaked key": ("dropped", "new ca"),
    "leaked database": ("examined", "resealed"),
    "directory": ("down", "enabled", "up"),
}
SERVICE = "reg.test"
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
SECONDS = PATIENCE_SECONDS


@dataclass
class Drilled:
    """A server, its directory, and the emergency user's password."""

    server: TokenServer
    directory: Slapd
    secret: str

    def shell(self, text: str) -> Output:
        """Commands of the page, which stop at the first that fails; what all of them print."""
        output = Output((), 0, "", "")
        for line in text.splitlines():
            words = shlex.split(line)
            if words[0] == "tokenserver":
                with contextlib.chdir(self.server.folder):
                    result = CliRunner().invoke(main, words[1:], input=self.secret)
                found = Output(tuple(words), result.exit_code, result.stdout, result.stderr)
            else:
                found = run(words, environment=self.server.environment, folder=self.server.folder)
            canaries.watch(found.text, "the output of a drill")
            output = replace(found, stdout=output.stdout + found.stdout)
            if not found.ok:
                break
        return output

    def do(self, name: str) -> str:
        """A block of the page, of which each command works; what it prints."""
        output = self.shell(BLOCKS[name])
        assert output.ok, str(output)
        return output.text

    def status(self, user: str, secret: str) -> int:
        """What a login gets."""
        return self.server.request("GET", web.token_target(SERVICE), headers=web.basic(user, secret)).status

    def signer(self) -> str:
        """The certificate of the key that signs now."""
        answer = self.server.request(
            "GET", web.token_target(SERVICE), headers=web.basic("ann", self.server.people["ann"])
        )
        assert answer.status == 200, answer
        return str(web.header(answer.json()["token"])["x5c"][0])

    def new_key(self) -> str:
        """A stored access key of the user ann, which works."""
        command = ["access-keys", "create", "--user", "ann", "--config", str(self.server.config)]
        key = CliRunner().invoke(main, command).stdout.split()[0]
        until(lambda: self.status("ann", key) == 200, seconds=SECONDS)
        return key

    def restart(self) -> None:
        """As systemd would."""
        self.server.daemon.stop()
        self.server.daemon.start(self.server.is_ready)


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drilled]:
    """One site for all drills, after the section "Before". Each drill leaves it in order."""
    tmp_path = tmp_path_factory.mktemp("drills")
    for name in ("authority", "slapd", "server"):
        (tmp_path / name).mkdir()
    authority = Authority(tmp_path / "authority", "the company")
    with slapd(tmp_path / "slapd", authority) as directory:
        directory.add(person("alice", "secret"), group("staff", "cn=alice,ou=people"))
        ldap = {"name": "corp", "preset": "openldap", "url": directory.tls_url, "ca_file": str(authority.file)}
        ldap |= {"base": BASE, "bind_dn": READER, "bind_password": directory.reader_password}
        settings = {
            "server": {"workers": 1},
            "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"ldap": {**ldap, "deadline": 2, "cache": 0}}],
            "storage": "state/tokenserver.db",
            "access_keys": {},
        }
        people = {"ann": password()}
        with serving(tmp_path / "server", Setup(people, POLICIES, {SERVICE: "universal"}, settings)) as server:
            site = Drilled(server, directory, password())
            canaries.know(site.secret, user="emergency")
            made = site.shell(BEFORE[1])
            assert made.ok, str(made)
            yield site


def test_every_block_is_in_a_drill() -> None:
    """And every drill on the page."""
    assert [name for names in DRILLS.values() for name in names] == list(BLOCKS)


def test_lost_keys_come_back(drilled: Drilled) -> None:
    """The server serves while they are gone, and everything works with the backup."""
    old, key = drilled.signer(), drilled.new_key()
    assert drilled.shell(BEFORE[0]).ok
    shutil.rmtree(drilled.server.folder / "keys")
    until(lambda: not drilled.server.is_ready(), seconds=SECONDS)
    assert drilled.signer() == old
    copy, *checks = BLOCKS["restored"].splitlines()
    assert [drilled.shell(check).ok for check in checks] == [False, False, False]
    assert drilled.shell(copy).ok
    until(drilled.server.is_ready, seconds=SECONDS)
    assert [drilled.shell(check).ok for check in checks] == [True, True, True]
    assert (drilled.signer(), drilled.status("ann", key)) == (old, 200)


def test_lost_keys_without_a_backup(drilled: Drilled) -> None:
    """New keys sign, the registries' files are written, and with an empty storage a new access key works."""
    old, key = drilled.signer(), drilled.new_key()
    shutil.rmtree(drilled.server.folder / "keys")
    drilled.do("replaced")
    until(lambda: drilled.signer() != old, seconds=SECONDS)
    assert list((drilled.server.folder / "registries").rglob("*.pem"))
    drilled.do("emptied")
    drilled.restart()
    assert (drilled.status("ann", key), drilled.status("ann", drilled.server.people["ann"])) == (401, 200)
    drilled.new_key()


def test_a_leaked_signing_key(drilled: Drilled) -> None:
    """Another key signs, then one under another CA; stored credentials live on."""
    key, signers = drilled.new_key(), [drilled.signer()]
    authorities = [(drilled.server.folder / "keys" / "token-ca.pem").read_bytes()]
    assert "cannot learn that a key was dropped" in drilled.do("dropped")
    until(lambda: drilled.signer() not in signers, seconds=SECONDS)
    signers.append(drilled.signer())
    drilled.do("new ca")
    authorities.append((drilled.server.folder / "keys" / "token-ca.pem").read_bytes())
    until(lambda: drilled.signer() not in signers, seconds=SECONDS)
    assert authorities[0] != authorities[1]
    assert drilled.status("ann", key) == 200
    drilled.restart()
    assert drilled.status("ann", key) == 200


def test_a_leaked_database(drilled: Drilled) -> None:
    """What the leaked state key sealed has ended, and what is made afterwards works."""
    key = drilled.new_key()
    assert "sound" in drilled.do("examined")
    drilled.do("resealed")
    assert "sound" in drilled.do("examined")
    drilled.restart()
    assert (drilled.status("ann", key), drilled.status("ann", drilled.server.people["ann"])) == (401, 200)
    drilled.new_key()


def test_a_directory_that_is_down(drilled: Drilled) -> None:
    """Its users get 503, those of the file do not; the emergency user is for that time alone."""
    assert [drilled.status("alice", "secret"), drilled.status("emergency", drilled.secret)] == [200, 401]
    drilled.directory.stop()
    until(lambda: drilled.status("alice", "secret") == 503 and not drilled.server.is_ready(), seconds=SECONDS)
    for command in BLOCKS["down"].splitlines():
        assert drilled.shell(command).code == 1
    drilled.do("enabled")
    until(lambda: drilled.status("emergency", drilled.secret) == 200, seconds=SECONDS)
    drilled.directory.start()
    until(lambda: drilled.status("alice", "secret") == 200 and drilled.server.is_ready(), seconds=SECONDS)
    drilled.do("up")
    until(lambda: drilled.status("emergency", drilled.secret) == 401, seconds=SECONDS)
