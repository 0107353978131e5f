"""Storages with their tables: migrated once in a run for each address of a server, and copied for every other test."""

from __future__ import annotations

from pathlib import Path

from tokenserver.config.settings import Settings
from tokenserver.server.stored.opening import prepare_storage
from tokenserver.storage.connections.files import make_file

_migrated: dict[str, bytes] = {}


def copied_storage(settings: Settings) -> Path:
    """The file of SQLite that `prepare_storage` makes for these settings, whose migrations take longer than a test."""
    assert settings.storage is not None
    assert settings.storage.file is not None
    file, address = settings.storage.file, settings.server.url
    if address in _migrated:
        assert make_file(file), "it must be new"
        file.write_bytes(_migrated[address])
    else:
        prepare_storage(settings)
        _migrated[address] = file.read_bytes()
    return file
