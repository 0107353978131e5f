"""Anonymous files: unnamed, in memory where the system allows it, for mapping and locking by several processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref


def anonymous_file(name: str, owner: object) -> int:
    """The descriptor of a new empty file, closed with its `owner`, see there; `name` is only for display by the system.

    It is in no folder, so no folder can be full or read-only, and nothing has to be cleaned up.

    Raises:
        OSError: it can be created neither in memory nor in the folder for temporary files.
    """
    return closed_with(owner, _new_file(name))


def closed_with(owner: object, file: int) -> int:
    """The descriptor, which is closed when `owner` is garbage collected, and with it the record locks of this process.

    At the end of the process the system does that: other threads may use it until then.
    """
    weakref.finalize(owner, os.close, file).atexit = False
    return file


def _new_file(name: str) -> int:
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
