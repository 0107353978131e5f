"""The error of a storage that cannot answer, apart from all that knows databases, so that anyone may catch it."""

from __future__ import annotations

from tokenserver.errors import BackendUnavailable

STORAGE = "storage"
"""The name of the storage in errors, audit events and metrics. No user source of the configuration has it."""


class StorageUnavailable(BackendUnavailable):
    """The storage cannot answer now: nothing was read, and nothing was changed."""

    def __init__(self, reason: str, retry_after: int = 5) -> None:
        super().__init__(STORAGE, reason, retry_after)
