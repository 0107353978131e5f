"""The storage as the doctor sees it: each fault with its fix, and nothing is made or changed."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stored_credentials import PLAIN

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.doctor.examination.our_side import our_sides
from tokenserver.doctor.examination.storage import examine_stored
from tokenserver.doctor.findings import Finding
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.state_keys import init_state_keys

NOW = datetime.now(UTC)
CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries: [{service: registry.example.com}]
authentication: []
anonymous: true
policies: policies
keys: keys
"""
POLICY = 'version: 1\nallow:\n  - {id: a, to: [everyone], repositories: ["**"], role: reader}\n'


def installed(folder: Path, storage: str) -> Settings:
    """An installation with this storage."""
    (folder / "c.yaml").write_text(CONFIG + storage)
    (folder / "policies").mkdir(mode=0o755)
    (folder / "policies" / "p.yaml").write_text(POLICY)
    (folder / "state").mkdir(mode=0o700)
    init_keys(folder / "keys", issuer="auth.example.com", algorithm=Algorithm.ES256, now=NOW)
    init_state_keys(folder / "keys")
    return load_settings(folder / "c.yaml", {})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with a file that nobody has made yet."""
    return installed(tmp_path, "storage: state/tokenserver.db\n")


def examined(settings: Settings) -> list[Finding]:
    """The findings about its storage."""
    return examine_stored(settings, our_sides(settings, None, NOW).general.ours)


def file_of(settings: Settings) -> Path:
    """Its file, with one credential."""
    open_store(settings).create(replace(PLAIN, ends=int(time.time()) + 90 * 86_400), at_most=9)
    assert settings.storage is not None
    assert settings.storage.file is not None
    return settings.storage.file


def test_without_a_storage(tmp_path: Path) -> None:
    """There is nothing to say."""
    assert examined(installed(tmp_path, "")) == []


def test_a_file_that_is_not_made_yet(settings: Settings) -> None:
    """It is not made by looking at it."""
    assert [one.ok for one in examined(settings)] == [True]
    assert settings.storage is not None
    assert settings.storage.file is not None
    assert not settings.storage.file.exists()


def test_a_sound_storage(settings: Settings) -> None:
    """How many credentials there are."""
    file_of(settings)
    assert [(one.ok, one.message) for one in examined(settings)] == [
        (True, "1 stored credential, sealed by this server")
    ]


def test_a_key_that_ends_soon(settings: Settings) -> None:
    """A sentence with the command that replaces it, unless somebody has replaced it already; the storage is sound."""
    store, now = open_store(settings), int(time.time())
    key, made = store.create(replace(PLAIN, name="laptop", ends=now + 5 * 86_400), at_most=9)
    store.create(replace(PLAIN, form=AccessKeyForm.REFRESH, ends=now + 86_400), at_most=9)
    sound, note = examined(settings)
    assert (sound.ok, note.ok) == (True, None)
    day = f"{datetime.fromtimestamp(made.ends, UTC):%Y-%m-%d}"
    assert note.message == f"credentials end within 14 days: access key {key.id} of ann (laptop) on {day}"
    assert note.fix == "tokenserver access-keys rotate ID, or tokenserver robots secret rotate NAME"
    store.rotate(key.id, ends=now + 90 * 86_400, overlap=3600, by="ann")
    assert [one.ok for one in examined(settings)] == [True]


def test_a_row_that_was_changed(settings: Settings) -> None:
    """By something else than a server with the state key."""
    with closing(sqlite3.connect(file_of(settings), isolation_level=None)) as connection:
        connection.execute("UPDATE credentials SET owner = 'root'")
    (finding,) = examined(settings)
    assert (finding.check, finding.ok, finding.fix) == ("storage", False, "revoke them, and find out who did")
    assert "changed by something else than this server, and rejected" in finding.message


def test_a_file_that_others_can_read(settings: Settings) -> None:
    """As at the start."""
    file_of(settings).chmod(0o644)
    (finding,) = examined(settings)
    assert (finding.ok, finding.fix) == (False, f"chmod 600 {settings.storage.file}" if settings.storage else "")


def test_a_state_key_that_is_missing(settings: Settings) -> None:
    """As at the start."""
    file_of(settings)
    (settings.keys.folder / "state.key").unlink()
    (finding,) = examined(settings)
    assert (finding.ok, "state.key" in finding.message) == (False, True)


def test_a_newer_schema(settings: Settings) -> None:
    """Of a newer program."""
    with closing(sqlite3.connect(file_of(settings), isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET schema = 999")
    (finding,) = examined(settings)
    assert (finding.ok, "its schema has version 999" in finding.message) == (False, True)


def test_damage(settings: Settings) -> None:
    """Nothing else can be said then."""
    file = file_of(settings)
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"x" * 4096
    file.write_bytes(content)
    finding = examined(settings)[0]
    assert (finding.ok, "is damaged: " in finding.message) == (False, True)


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    """The command of the fix repeats it."""
    pytest.importorskip("psycopg")
    (finding,) = examined(installed(tmp_path, "storage: postgresql://x@127.0.0.1:1/x\n"))
    assert finding.ok is False
    assert finding.message.startswith("it does not answer, so stored credentials are rejected after a while: ")
    assert finding.fix is not None
    assert "`tokenserver check" in finding.fix


def test_a_source_that_does_not_tell_of_passwords(settings: Settings) -> None:
    """A sentence of its own, with what to do; the storage is sound."""
    live = replace(PLAIN, ends=int(time.time()) + 86_400, form=AccessKeyForm.REFRESH, source="corp", proof=b"")
    open_store(settings).create(live, at_most=9)
    sound, note = examined(settings)
    assert (sound.ok, note.ok) == (True, None)
    assert note.fix == "set password_changed of corp, and let bind_dn read that attribute"
    assert note.message.startswith("1 refresh token of corp: the source does not say when a password was changed")
