"""Queries of the configuration for users: what one has to look like, and how it is given to SQLAlchemy. Pure.

The checks find mistakes of operators. What keeps a query from writing is the read-only transaction that it runs in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_QUERY = 8192

_PARAMETER = re.compile(r"(?<![:\w]):(\w+)(?![:\w])")
"""As `text()` of SQLAlchemy finds parameters; `::text` of PostgreSQL is none."""

_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\$(\w*)\$.*?\$\1\$""", re.DOTALL)
_WORD = re.compile(r"[^\W\d]\w*")
_WRITING = frozenset(
    {
        *("insert", "update", "delete", "merge", "into", "create", "drop", "alter", "truncate", "grant", "revoke"),
        *("call", "copy", "attach", "detach", "pragma", "vacuum"),
    }
)


def query_problem(query: str) -> str | None:
    """Why this text cannot be the query for a user; None if it can."""
    if len(query) > MAX_QUERY:
        return f"is longer than {MAX_QUERY} characters"
    if "\\" in query:
        return "has a backslash, which databases read differently; fix: write the query without it"
    if "\0" in query:
        return "has a NUL character"
    pieces = list(_pieces(query))
    code = "".join(" " if is_quoted else piece for piece, is_quoted in pieces)
    if any(mark in code for mark in ("'", '"', "`")):
        return "has a quote that is not closed"
    if any(mark in code for mark in ("--", "/*")):
        return "has a comment; fix: make it a comment of the YAML file"
    if ";" in code:
        return "has a ';'; fix: leave one statement, without a ';' at its end"
    words = [word.lower() for word in _WORD.findall(code)]
    if not words or words[0] not in ("select", "with"):
        return "must be a SELECT"
    writing = next((word for word in words if word in _WRITING), None)
    if writing is not None:
        return f"must only read, and has {writing.upper()}; fix: quote it, if it is the name of a column"
    return _parameter_problem(pieces, code)


def names_column(query: str, column: str) -> bool:
    """Whether the text of a query names this column."""
    return re.search(rf"\b{column}\b", query, re.IGNORECASE) is not None


def escaped(query: str) -> str:
    """The query for `text()` of SQLAlchemy, which would look for parameters in quotes as well."""
    return "".join(_PARAMETER.sub(r"\\:\1", piece) if is_quoted else piece for piece, is_quoted in _pieces(query))


def _parameter_problem(pieces: list[tuple[str, bool]], code: str) -> str | None:
    if any(found[1] == "user" for piece, is_quoted in pieces if is_quoted for found in _PARAMETER.finditer(piece)):
        return "has :user in quotes, where it is plain text; fix: remove the quotes, as in WHERE name = :user"
    used = {found[1] for found in _PARAMETER.finditer(code)}
    others = sorted(used - {"user"})
    if others:
        return f"has the parameter :{others[0]}; the only one is :user"
    if ":user::" in code:
        return "has a cast of :user that is not recognized; fix: CAST(:user AS …)"
    if not used:
        return "must compare with :user, the name that was typed, as in WHERE name = :user"
    return None


def _pieces(query: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is in quotes."""
    end = 0
    for found in _QUOTED.finditer(query):
        yield query[end : found.start()], False
        yield found[0], True
        end = found.end()
    yield query[end:], False
