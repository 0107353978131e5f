"""What errors of a database of users mean, and what to do about them."""

from __future__ import annotations

from tokenserver.errors import BackendUnavailable
from tokenserver.printable import cut, one_line

_MAX_TEXT = 300

_ADVICE = {
    "no such table": "correct the table in query, or url",
    "undefinedtable": "correct the table in query, or the search path of the role",
    "doesn't exist": "correct the table in query, or the database in url",
    "no such column": "correct the column in query",
    "undefinedcolumn": "correct the column in query",
    "unknown column": "correct the column in query",
    "insufficientprivilege": "grant SELECT on the table to the role of url",
    "select command denied": "grant SELECT on the table to the user of url",
    "readonlysqltransaction": "make the query one that only reads",
    "read only transaction": "make the query one that only reads",
    "readonly database": "make the query one that only reads; a file in WAL mode needs a folder that can be written",
    "unable to open database file": "is the file there, may the server read it, and in WAL mode write to its folder?",
    "database is locked": "another program holds its lock for seconds; use WAL mode there",
    "not a database": "correct url",
    "password authentication failed": "put the password of the role into the file of url_password_file",
    "access denied for user": "put the password of the user into the file of url_password_file",
    "certificate verify failed": "name the CA of the server: ca_file",
    "ssl is required": "let the server speak TLS, or set insecure_plaintext: true",
    "does not support ssl": "let the server speak TLS, or set insecure_plaintext: true",
    "statement_timeout": "index the column that the query compares",
    "statement timeout": "index the column that the query compares",
    "max_statement_time": "index the column that the query compares",
    "interrupted": "index the column that the query compares",
}
"""Part of an error's text or class, in lower case -> the fix."""


_UNSPEAKABLE = frozenset({"22P05", "22021", "1267"})
"""Codes for a text that the character set of the database or of a column cannot hold: PostgreSQL's and MariaDB's."""


def unavailable(name: str, error: Exception) -> BackendUnavailable:
    """The error for callers: class and first line of the driver's error, and the fix where one is known.

    Parameters of statements are not in it, nor are details in further lines, which may repeat values.
    """
    cause = getattr(error, "orig", None) or error
    line = cut(one_line(str(cause).strip().partition("\n")[0]), _MAX_TEXT)
    text = f"{type(cause).__name__}: {line}"
    fix = next((fix for part, fix in _ADVICE.items() if part in text.lower()), None)
    summary = "does not answer" if fix is None else f"its database reports an error; fix: {fix}"
    return BackendUnavailable(name, text if fix is None else f"{text}; fix: {fix}", summary=summary)


def is_unspeakable(error: Exception) -> bool:
    """Whether the error says that a name has characters which the character set of the database does not have."""
    return isinstance(error, UnicodeEncodeError) or not _UNSPEAKABLE.isdisjoint(_codes(error))


def value_problem(error: Exception) -> str | None:
    """What an error says that depends on the name or on the values of a row, without them; None for any other error.

    Such an error is no outage. If it were one, typing a name would be enough to open the circuit breaker for everybody.
    """
    cause = getattr(error, "orig", None) or error
    if all(kind.__name__ != "DataError" for kind in type(cause).__mro__):
        return None
    return f"the query fails for this name ({type(cause).__name__}, {_codes(error)[0]}); fix: try it with this name"


def _codes(error: Exception) -> list[str]:
    """The codes of the database for an error: MariaDB's number, or SQLite's name, or the SQLSTATE."""
    cause = getattr(error, "orig", None) or error
    number = next((value for value in cause.args if isinstance(value, int)), None)
    found = (number, getattr(cause, "sqlite_errorname", None), getattr(cause, "sqlstate", None))
    return [str(code)[:32] for code in found if code] or ["no code"]


def unusable(name: str, problem: str) -> BackendUnavailable:
    """The error for a database that answers, and whose columns are not those of a user."""
    return BackendUnavailable(name, problem, summary=problem)
