"""Lists all users that a directory's filter finds, for the search for names that two directories share."""

from __future__ import annotations

from contextlib import suppress

from tokenserver.authn.ldap.connection import SIZE_LIMIT_EXCEEDED, SUCCESS, Connection, Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.directory import Directory
from tokenserver.authn.ldap.entry import Refused, normalize_name, raw_subject
from tokenserver.authn.ldap.failures.result_codes import LIMITS, search_failure

PAGE, MAX_PAGES = 500, 1000
"""Entries per page, and pages: half a million users are listed completely, a larger number partly."""


def all_subjects(directory: Directory, connection: Connection, deadline: Deadline) -> tuple[frozenset[str], bool]:
    """The subjects of all entries that `user_filter` finds for any name, and whether the list is complete.

    Raises:
        ConnectionFailed: the directory cannot answer.
    """
    search_filter = directory.user_filter.replace("{user}", "*")
    names: set[str] = set()
    is_all = True
    for base in directory.bases:
        found, is_complete = _subjects_below(base, search_filter, directory, connection, deadline)
        names |= found
        is_all = is_all and is_complete
        deadline = Deadline(directory.deadline)
    return frozenset(names), is_all


def _subjects_below(
    base: str, search_filter: str, directory: Directory, connection: Connection, deadline: Deadline
) -> tuple[set[str], bool]:
    names: set[str] = set()
    cookie = b""
    for _ in range(MAX_PAGES):
        found = connection.page(base, search_filter, [directory.subject], deadline, size=PAGE, cookie=cookie)
        for entry in found.entries:
            with suppress(Refused):
                names.add(normalize_name(raw_subject(entry, directory), directory))
        if found.result.code in LIMITS:
            return names, False
        cookie = checked(found).cookie
        if not cookie:
            return names, True
        deadline = Deadline(directory.deadline)  # for each page: there may be many
    return names, False


def checked(found: Found, **facts: str) -> Found:
    """The answer to a search, if it is complete or cut off at a size limit; `facts` are about the search.

    Raises:
        ConnectionFailed: the search failed.
    """
    if found.result.code not in (SUCCESS, SIZE_LIMIT_EXCEEDED):
        raise ConnectionFailed(search_failure(found.result, **facts))
    return found
