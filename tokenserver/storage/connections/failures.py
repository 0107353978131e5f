"""What errors of the database mean, and what to do about them."""

from __future__ import annotations

from tokenserver.storage.unavailable import STORAGE, StorageUnavailable

__all__ = ["STORAGE", "StorageUnavailable", "unavailable"]

_ADVICE = {
    "disk is full": "free space on its disk",
    "disk i/o error": "look at the system's log for errors of the disk; is it full, or out of quota?",
    "readonly database": "make the file, its folder and its mount writable for the user of the server",
    "unable to open database file": "does the file exist? tokenserver storage init makes it; can its folder be read?",
    "malformed": "tokenserver storage check, then restore a backup: tokenserver storage restore FILE",
    "not a database": "tokenserver storage check, then restore a backup: tokenserver storage restore FILE",
    "database is locked": "another process has been changing it for seconds; try again",
    "no such table": "tokenserver storage init",
    "no such column": "tokenserver storage migrate",
    "undefinedtable": "tokenserver storage init",
    "undefinedcolumn": "tokenserver storage migrate",
    "password authentication failed": "put the password of the role into the file that password_file names",
    "certificate verify failed": "name the CA of the server: add ?sslrootcert=FILE to the URL",
    'root certificate file "': "name the CA of the server: add ?sslrootcert=FILE to the URL",
}
"""Part of an error's text or class, in lower case -> the fix."""


def unavailable(error: Exception) -> StorageUnavailable:
    """The error for callers: class and first line of the driver's error, and the fix where one is known.

    Parameters of statements, which may be secret, are in neither.
    """
    cause = getattr(error, "orig", None) or error
    line = str(cause).strip().partition("\n")[0]
    text = f"{type(cause).__name__}: {line}"
    fix = next((fix for part, fix in _ADVICE.items() if part in text.lower()), None)
    return StorageUnavailable(text if fix is None else f"{text}; fix: {fix}")
