"""How commands write keys and certificates outside of the folder of keys."""

from __future__ import annotations

from pathlib import Path

from tokenserver.errors import Fault, LoadError
from tokenserver.files import write_file
from tokenserver.keys.store import PRIVATE_MODE, PUBLIC_MODE


def write_secret(path: Path, content: bytes) -> None:
    """Write a private key into a new file that only its owner can read.

    Raises:
        LoadError: something stands there already, or nothing can be written there.
    """
    if path.exists():
        raise LoadError([Fault(str(path), 0, "", "exists; a key is never written over a file")])
    _write(path, content, PRIVATE_MODE)


def write_public(path: Path, content: bytes) -> None:
    """Write or replace what everybody may read.

    Raises:
        LoadError: nothing can be written there.
    """
    _write(path, content, PUBLIC_MODE)


def write_into(folder: Path, name: str, content: str) -> None:
    """Write or replace a public file in a folder, which is made if it is not there.

    Raises:
        LoadError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"cannot be made: {error.strerror}")]) from error
    write_public(folder / name, content.encode("ascii"))


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        write_file(path.absolute(), content, mode=mode)
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error
