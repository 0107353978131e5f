"""Anonymous files: unnamed, in memory where the system allows it, for mapping and locking by several processes."""

from __future__ import annotations

import contextlib
import os
import tempfile


def anonymous_file(name: str) -> int:
    """The descriptor of a new empty file; `name` is only for display by the system.

    It is in no folder, so no folder can be full or read-only, and nothing has to be cleaned up.

    Raises:
        OSError: it can be created neither in memory nor in the folder for temporary files.
    """
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def allocate(file: int, size: int) -> None:
    """Fill an empty file with `size` zero bytes, so that a lack of memory shows here and not as a killed worker later.

    Raises:
        OSError: there is not enough memory.
    """
    with open(file, "wb", closefd=False) as stream:
        stream.write(bytes(size))
