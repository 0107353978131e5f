"""The users file that a registry's configuration names, found and read."""

from __future__ import annotations

from pathlib import Path

from tokenserver.authn.passwords import problem_with
from tokenserver.documents.files import DEFAULT_LIMIT, read_bounded
from tokenserver.errors import Fault, LoadError
from tokenserver.importers.users_file.users import RegistryUsers, take_users


def find_users_file(named: str, config: Path, place: str, key: str) -> Path:
    """The users file as the configuration names it, or of that name beside the configuration.

    `place` and `key` say where it is named.

    Raises:
        LoadError: there is none.
    """
    for path in (Path(named), config.parent / Path(named).name):
        if path.exists():
            return path
    message = f"{named} does not exist on this machine; fix: copy it here, and add --users FILE"
    raise LoadError([Fault(place, 0, key, message)])


def read_users(path: Path) -> RegistryUsers:
    """The users that are taken over.

    Raises:
        LoadError: the file cannot be read, or has lines with which the registry does not start.
    """
    return take_users(read_text(path, DEFAULT_LIMIT), str(path), problem_with)


def read_text(path: Path, limit: int) -> str:
    """The text of a file of at most `limit` bytes.

    Raises:
        LoadError: it cannot be read, is too large, or is no UTF-8.
    """
    try:
        return read_bounded(path, limit=limit).decode("utf-8")
    except UnicodeDecodeError:
        raise LoadError([Fault(str(path), 0, "", "is not UTF-8 text")]) from None
