"""Opening the storage of a configuration: what is made, what is refused, and what a fault says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from configuration import MINIMAL, load
from sqlalchemy import text
from stored_credentials import PLAIN

from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.server.stored.opening import open_engine, open_store, prepare_storage, storage_faults
from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.selection import Selection
from tokenserver.storage.state_keys import init_state_keys
from tokenserver.storage.tables import SCHEMA


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for the configuration, with a state key."""
    (tmp_path / "keys").mkdir(mode=0o700)
    init_state_keys(tmp_path / "keys")
    return tmp_path


def settings(folder: Path, line: str = "storage: state/tokenserver.db") -> Settings:
    """The smallest configuration with a storage."""
    return load(folder, f"{MINIMAL}{line}\n")


def faults(error: pytest.ExceptionInfo[LoadError], folder: Path) -> list[str]:
    """The faults as text."""
    return [str(fault).replace(f"{folder}/", "") for fault in error.value.faults]


def test_a_new_storage_just_works(folder: Path) -> None:
    """The file and its tables are made at the first use, and what is stored is there at the next one."""
    store = open_store(settings(folder))
    key, _ = store.create(PLAIN, at_most=1)
    (found,) = open_store(settings(folder)).listed(Selection())
    assert found.credential.id == key.id
    assert (folder / "state").stat().st_mode & 0o777 == 0o700
    assert (folder / "state" / "tokenserver.db").stat().st_mode & 0o777 == 0o600


def test_preparing_says_what_it_did(folder: Path) -> None:
    """Once; also for an empty file that a process left that got no further."""
    file = folder / "state" / "tokenserver.db"
    assert prepare_storage(settings(folder)) == f"storage: made {file}"
    assert prepare_storage(settings(folder)) is None
    file.write_bytes(b"")
    assert prepare_storage(settings(folder)) == f"storage: made the tables of {file}"
    file.write_bytes(b"")
    assert open_store(settings(folder)).listed(Selection()) == []


def test_nothing_can_be_stored_without_a_storage(folder: Path) -> None:
    """The fault says what to add."""
    with pytest.raises(LoadError) as caught:
        open_store(load(folder, MINIMAL))
    assert faults(caught, folder) == [
        "storage: is not set, so nothing can be stored; fix: add storage: state/tokenserver.db"
    ]
    assert storage_faults(load(folder, MINIMAL)) == []


def test_a_missing_state_key_is_found_before_anything_is_made(folder: Path) -> None:
    """Credentials could be neither made nor verified."""
    (folder / "keys" / "state.key").unlink()
    with pytest.raises(LoadError) as caught:
        open_store(settings(folder))
    assert faults(caught, folder) == [
        "keys/state.key: does not exist; fix: tokenserver keys init, or copy it from where the storage was made"
    ]
    assert not (folder / "state").exists()


def test_all_faults_are_found_together(folder: Path) -> None:
    """The file and the state key."""
    one = settings(folder)
    prepare_storage(one)
    (folder / "state" / "tokenserver.db").chmod(0o644)
    (folder / "keys" / "state.key").chmod(0o644)
    found = [str(fault) for fault in storage_faults(one)]
    assert len(found) == 2
    assert all("can be read by others (mode 0644); fix: chmod 600" in fault for fault in found)


def test_a_newer_schema_refuses_the_start(folder: Path) -> None:
    """Old programs do not guess."""
    one = settings(folder)
    prepare_storage(one)
    with open_engine(one).begin() as connection:
        connection.execute(text("UPDATE meta SET schema = 9"))
    with pytest.raises(LoadError) as caught:
        prepare_storage(one)
    (fault,) = faults(caught, folder)
    assert fault == (
        f"storage: its schema has version 9, and this program knows versions up to {SCHEMA};"
        " fix: install the newer release of tokenserver again, or restore a backup from before the upgrade"
    )


def test_a_damaged_file_cannot_tell(folder: Path) -> None:
    """The server starts nevertheless, so this is no fault of the configuration."""
    one = settings(folder)
    prepare_storage(one)
    (folder / "state" / "tokenserver.db").write_bytes(b"x" * 5000)
    with pytest.raises(StorageUnavailable, match="not a database"):
        prepare_storage(one)


def test_the_password_comes_from_its_file(folder: Path) -> None:
    """Which only the server may read."""
    line = "storage: {url: postgresql://user@127.0.0.1:1/x, password_file: secret}"
    (folder / "secret").write_text("canary\n")
    (folder / "secret").chmod(0o600)
    engine = open_engine(settings(folder, line))
    assert engine.url.password == "canary"
    assert "canary" not in repr(engine)
    (folder / "secret").chmod(0o644)
    (fault,) = storage_faults(settings(folder, line))
    assert "can be read by others" in fault.message


def test_a_missing_driver_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the configuration, with what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "tokenserver.storage.connections.postgresql", raising=False)
    (fault,) = storage_faults(settings(folder, "storage: postgresql://127.0.0.1/x"))
    assert str(fault) == ("storage: needs the driver of PostgreSQL; fix: pip install 'tokenserver[postgresql]'")
