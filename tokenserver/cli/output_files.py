"""Output files of commands: keys, certificates and sections, written outside of the key folder."""

from __future__ import annotations

from pathlib import Path

from tokenserver.documents.files import NotReplaced, create_file, write_file
from tokenserver.errors import Fault, LoadError
from tokenserver.keys.store import PRIVATE_MODE, PUBLIC_MODE
from tokenserver.printable import shell_word


def write_secret(path: Path, content: bytes) -> None:
    """Write a private key into a new file that only its owner can read.

    Raises:
        LoadError: the path exists, or cannot be written.
    """
    try:
        create_file(path.absolute(), content, mode=PRIVATE_MODE)
    except FileExistsError as error:
        message = "exists; a key never overwrites a file, and is never written through a link"
        raise LoadError([Fault(str(path), 0, "", message)]) from error
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error


def write_public(path: Path, content: bytes) -> None:
    """Write or replace a file that everybody may read.

    Raises:
        LoadError: the file cannot be written.
    """
    try:
        write_file(path, content, mode=PUBLIC_MODE)
    except NotReplaced as error:
        raise LoadError([Fault(str(path), 0, "", error.problem)]) from error
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error


def write_into(folder: Path, name: str, content: str | bytes, *, below: str = "") -> None:
    """Write or replace a public file in a folder, which is created if it is missing.

    `below` is a subfolder, which is created too, and rejected if it is a symbolic link.

    Raises:
        LoadError: a folder cannot be created, or the file cannot be written.
    """
    target = folder / below if below else folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if below and target.is_symlink():
            aside = f"mv {shell_word(target)} {shell_word(target.with_name(f'{target.name}.link'))}"
            message = f"is a symbolic link, and files are not written through links; fix: {aside}"
            raise LoadError([Fault(str(target), 0, "", message)])
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise LoadError([Fault(str(target), 0, "", f"cannot be created: {error.strerror}")]) from error
    write_public(target / name, content.encode("ascii") if isinstance(content, str) else content)
