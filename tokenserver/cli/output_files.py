"""How commands write keys and certificates outside of the folder of keys."""

from __future__ import annotations

from pathlib import Path

from tokenserver.documents.files import NotReplaced, create_file, write_file
from tokenserver.errors import Fault, LoadError
from tokenserver.keys.store import PRIVATE_MODE, PUBLIC_MODE
from tokenserver.printable import shell_word


def write_secret(path: Path, content: bytes) -> None:
    """Write a private key into a new file that only its owner can read.

    Raises:
        LoadError: something stands there already, or nothing can be written there.
    """
    try:
        create_file(path.absolute(), content, mode=PRIVATE_MODE)
    except FileExistsError as error:
        message = "exists; a key is never written over a file, nor through a link"
        raise LoadError([Fault(str(path), 0, "", message)]) from error
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error


def write_public(path: Path, content: bytes) -> None:
    """Write or replace what everybody may read.

    Raises:
        LoadError: nothing can be written there.
    """
    try:
        write_file(path, content, mode=PUBLIC_MODE)
    except NotReplaced as error:
        raise LoadError([Fault(str(path), 0, "", error.problem)]) from error
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error


def write_into(folder: Path, name: str, content: str, *, below: str = "") -> None:
    """Write or replace a public file in a folder, which is made if it is not there.

    `below` is a folder in it of our own, which is made as well, and is refused where it is a link.

    Raises:
        LoadError: nothing can be written there.
    """
    target = folder / below if below else folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if below and target.is_symlink():
            message = f"is a symbolic link, and nothing is written through one; fix: rm {shell_word(target)}"
            raise LoadError([Fault(str(target), 0, "", message)])
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise LoadError([Fault(str(target), 0, "", f"cannot be made: {error.strerror}")]) from error
    write_public(target / name, content.encode("ascii"))
