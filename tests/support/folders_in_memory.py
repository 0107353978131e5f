"""Where the folders of tests can be in memory: a disk makes thousands of small files and commits wait."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder below it that is this user's alone
ENOUGH = 1 << 30
"""Bytes that must be free: far more than a run of `make quick` has there, since it removes what passed tests leave."""


def memory_root(memory: Path = MEMORY, enough: int = ENOUGH) -> Path | None:
    """The folder in memory, or None where there is none, it cannot be written to, or it is too small."""
    if not memory.is_dir() or not os.access(memory, os.W_OK | os.X_OK):
        return None
    return memory if shutil.disk_usage(memory).free >= enough else None
