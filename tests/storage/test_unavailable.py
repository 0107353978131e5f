"""The error of a storage that does not answer: a 503 like that of any other source."""

from __future__ import annotations

import subprocess
import sys

from tokenserver.errors import BackendUnavailable
from tokenserver.storage.unavailable import STORAGE, StorageUnavailable


def test_it_is_that_of_a_source() -> None:
    """So that clients get a 503 with `Retry-After`, and no word about the storage is needed elsewhere."""
    error = StorageUnavailable("disk is full")
    assert isinstance(error, BackendUnavailable)
    assert (error.backend, error.reason, error.retry_after, str(error)) == (
        STORAGE,
        "disk is full",
        5,
        "storage: disk is full",
    )


def test_it_knows_no_database() -> None:
    """Who only catches it does not wait for the import of SQLAlchemy; nor does anyone who holds a credential."""
    code = "import sys, tokenserver.storage.unavailable, tokenserver.storage.index; print('sqlalchemy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "False\n"
