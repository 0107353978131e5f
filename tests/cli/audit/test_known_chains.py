"""`tokenserver audit verify` with a configuration: what its storage knows, and what is said where it cannot be read."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from audit_chains import CA, START, chain, key
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import text, update

from tokenserver.cli.main import main
from tokenserver.config.load import load_settings
from tokenserver.exchange.audit_chain.links import link_text, read_link
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.database import Database
from tokenserver.storage.state_keys import init_state_keys
from tokenserver.storage.tables import audit_chains
from tokenserver.storage.trail.chains import ChainRegister, ChainRow

SIGNS = key()
CONFIG = """\
issuer: auth.example.com
keys: keys/
policies: policies/
anonymous: true
server: {{url: "https://auth.example.com"}}
registries: [{{service: registry.example.com}}]
{storage}
"""


class Site:
    """A folder with a configuration, its keys and storage, and the log of two runs of one server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "tokenserver.yaml"
        self.configure('storage: "state/tokenserver.db"')
        (folder / "keys").mkdir(mode=0o700)
        init_state_keys(folder / "keys")
        (folder / "keys" / "token-ca.pem").write_bytes(CA.public_bytes(Encoding.PEM))
        self.runs = [chain(5, signs=SIGNS), chain(5, signs=SIGNS)]
        self.write(*self.runs)
        self.store = open_store(load_settings(self.config))
        for number, lines in enumerate(self.runs):
            self.record(lines, began=number * 1000)

    @property
    def database(self) -> Database:
        return self.store.database

    def configure(self, storage: str) -> None:
        self.config.write_text(CONFIG.format(storage=storage))

    def write(self, *runs: list[bytes]) -> None:
        (self.folder / "log").write_bytes(b"".join(line + b"\n" for run in runs for line in run))

    def record(self, lines: list[bytes], *, began: int, server: str = "host :1") -> None:
        """As the registrar of the worker that wrote them."""
        link = read_link(link_text(lines[-1]) or "")
        assert link is not None
        moment = int(START.timestamp() * 1000) + began
        row = ChainRow(link.chain, server, moment, link.number, moment + 65_000, 1)
        ChainRegister(self.store.keys).put(self.database, row)

    def verify(self, *arguments: object) -> Result:
        return CliRunner().invoke(main, ["audit", "verify", "log", *map(str, arguments)])

    def json(self, *arguments: object) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.verify("--config", self.config, "--json", *arguments).stdout)
        return result


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.chdir(tmp_path)
    return Site(tmp_path)


def test_all_is_there(site: Site) -> None:
    """Servers are listed, with when they were last seen."""
    result = site.verify("--config", site.config)
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()[-2:]] == [
        ["SERVER", "CHAINS", "SINCE", "LAST", "SEAL", "STATE"],
        ["host", ":1", "2", "2027-01-31T12:00:00.000Z", "2027-01-31T12:01:06.000Z", "ended"],
    ]
    assert site.verify().exit_code == 0  # ./tokenserver.yaml is read for the keys
    [server] = site.json()["servers"]
    assert (server["server"], server["chains"], server["is_ended"]) == ("host :1", 2, True)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_run_that_is_removed(site: Site, gone: int) -> None:
    """The place of the finding is the storage."""
    site.write(site.runs[1 - gone])
    [finding] = site.json()["findings"]
    assert (finding["kind"], finding["file"], finding["line"]) == ("removed", "storage", 0)
    result = site.verify("--config", site.config)
    assert (result.exit_code, "storage  REMOVED" in result.stdout) == (1, True)


def test_the_command_of_the_page(site: Site) -> None:
    """As docs/answer-an-auditor.md has it, for the files of this folder."""
    page = (Path(__file__).parents[3] / "docs" / "answer-an-auditor.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^tokenserver (audit verify .* --config .*)$", page, re.MULTILINE)
    words = ["log" if word.startswith("/var/log/") else word for word in shlex.split(command)]
    assert CliRunner().invoke(main, words).exit_code == 0
    site.write(site.runs[1])
    assert CliRunner().invoke(main, words).exit_code == 1


def test_without_the_storage(site: Site) -> None:
    """If a CA is named alone, or on request."""
    site.write(site.runs[0])
    assert site.verify("--ca", "keys/token-ca.pem").exit_code == 0
    assert site.verify("--config", site.config, "--no-storage").exit_code == 0
    assert site.verify("--ca", "keys/token-ca.pem", "--storage").exit_code == 1
    site.configure("")
    assert site.verify("--config", site.config).exit_code == 0
    result = site.verify("--config", site.config, "--storage")
    assert (result.exit_code, "storage: is not set" in result.stderr) == (2, True)


@pytest.mark.parametrize("fault", ["no file", "empty", "no key", "old tables", "damaged"])
def test_a_storage_that_cannot_be_read(site: Site, fault: str) -> None:
    """A note says what would not be missed; on request it is an error."""
    site.write(site.runs[0])
    file = site.folder / "state" / "tokenserver.db"
    reason = "no server has used it yet"
    if fault == "no key":
        (site.folder / "keys" / "state.key").unlink()
        reason = "state.key: does not exist; fix: tokenserver keys init"
    elif fault == "old tables":
        with site.database.engine.begin() as connection:
            connection.execute(text("UPDATE meta SET schema = 3"))
        reason = "fix: tokenserver storage migrate"
    else:
        site.database.close()
        for path in file.parent.iterdir():
            path.unlink()
        if fault != "no file":
            file.write_bytes(b"" if fault == "empty" else b"x" * 5000)
            file.chmod(0o600)
        reason = "not a database" if fault == "damaged" else reason
    found = site.json()
    assert found["findings"] == []
    [note] = found["notes"]
    assert "a whole run of a server would not be missed, nor the end of one: " in note
    assert reason in note
    result = site.verify("--config", site.config, "--storage")
    assert (result.exit_code, reason in result.stderr) == (2, True)


def test_rows_of_somebody_else(site: Site) -> None:
    """They hide no gap without a finding, and invent none (docs/design/threats.md#threat-238)."""
    with site.database.engine.begin() as connection:
        connection.execute(
            update(audit_chains).where(audit_chains.c.began == START.timestamp() * 1000).values(number=1)
        )
    [finding] = site.json()["findings"]
    assert (finding["kind"], finding["file"]) == ("forged record", "storage")
    assert "1 rows about chains were written by somebody else" in finding["message"]
    assert "find out who can write to the database" in site.verify("--config", site.config).stdout


def test_rows_of_a_state_key_that_is_gone(site: Site) -> None:
    """They are noted: the key may have been removed on purpose."""
    with site.database.engine.begin() as connection:
        connection.execute(update(audit_chains).values(pepper=9))
    found = site.json()
    assert (found["findings"], found["servers"]) == ([], [])
    assert found["notes"][0].startswith("2 rows of the storage about chains have a seal of a state key that is not in")


def test_a_span_of_time(site: Site) -> None:
    """What the storage knows of a chain counts if it is of this time."""
    site.write(site.runs[0])
    assert len(site.json("--since", "2027-01-31T12:00:00Z")["findings"]) == 1
    assert len(site.json("--since", "2027-01-31T12:02:00Z")["findings"]) == 0
    later = site.json("--until", "2027-01-31T12:00:00.500Z")
    assert later["findings"] == []
    assert any("went on after that time" in note for note in later["notes"])
