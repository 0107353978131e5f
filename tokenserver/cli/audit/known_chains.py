"""The chains of audit events that the storage of a configuration knows, for `tokenserver audit verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tokenserver.audit.chain.recorded import RecordedChain
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.audit_events import spell_time
from tokenserver.server.stored.opening import NOT_CONFIGURED, is_empty, open_engine
from tokenserver.storage.state_keys import read_state_keys
from tokenserver.storage.unavailable import StorageUnavailable

if TYPE_CHECKING:
    from tokenserver.storage.trail.chains import KnownChains


class StoredChains(NamedTuple):
    """What a storage says: chains, how many of its rows somebody else has made, and what to know about the rest."""

    chains: list[RecordedChain]
    forged: int = 0
    notes: tuple[str, ...] = ()


def stored_chains(config: Path | None, *, is_required: bool) -> StoredChains | None:
    """The chains in the storage of a configuration; None if none is configured. Nothing is changed there.

    If it cannot be read, there are no chains and a note, unless it `is_required`.

    Raises:
        LoadError: the configuration cannot be read, or what is required is missing or does not answer.
    """
    settings = load_settings(config)
    if settings.storage is None:
        if is_required:
            raise LoadError([Fault("storage", 0, "", NOT_CONFIGURED)])
        return None
    try:
        known = _known(settings)
    except LoadError as error:
        if is_required:
            raise
        return StoredChains([], 0, (_not_compared(str(error.faults[0])),))
    except StorageUnavailable as error:
        if is_required:
            raise LoadError([Fault("storage", 0, "", error.reason)]) from error
        return StoredChains([], 0, (_not_compared(error.reason),))
    chains = [
        RecordedChain(
            row.server,
            row.chain,
            spell_time(row.began / 1000),
            row.number,
            spell_time(row.sealed / 1000),
            bool(row.closed),
        )
        for row in known.rows
    ]
    notes = () if not known.of_unknown_keys else (_unknown(known.of_unknown_keys),)
    return StoredChains(chains, known.forged, notes)


def _known(settings: Settings) -> KnownChains:
    from tokenserver.storage.database import Database  # noqa: PLC0415 - SQLAlchemy takes long to import
    from tokenserver.storage.trail.chains import ChainRegister  # noqa: PLC0415

    file = None if settings.storage is None else settings.storage.file
    if file is not None and is_empty(file):
        raise StorageUnavailable("no server has used it yet")
    register = ChainRegister(read_state_keys(settings.keys.folder))
    database = Database(open_engine(settings))
    try:
        return register.known(database)
    finally:
        database.close()


def _not_compared(reason: str) -> str:
    return (
        f"the storage could not be read, so a whole run of a server would not be missed, nor the end of one: {reason}"
    )


def _unknown(count: int) -> str:
    return (
        f"{count:,} rows of the storage about chains have a seal of a state key that is not in the key folder, and were"
        " not compared; fix: copy state.key from where they were written"
    )
