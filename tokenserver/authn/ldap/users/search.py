"""The search for a user's entry below all bases of a directory, and the check that a base exists."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable

from tokenserver.authn.domains import without_domains
from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import NO_SUCH_OBJECT, SIZE_LIMIT_EXCEEDED, Connection, Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Directory
from tokenserver.authn.ldap.dn import fill
from tokenserver.authn.ldap.entry import Refused, wanted_attributes
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure
from tokenserver.authn.ldap.failures.result_codes import search_failure
from tokenserver.authn.ldap.groups.search import key_of
from tokenserver.authn.ldap.listing import checked

ANY_ENTRY = "(objectClass=*)"

_STARS = re.compile(r"\*+")

logger = logging.getLogger("tokenserver.ldap")


def user_filter(directory: Directory, user: str) -> str:
    """The filter that finds the user with this typed name, without the domains that are not part of it.

    Raises:
        ValueError: the name contains a control character or a lone surrogate.
    """
    return fill(directory.user_filter, without_domains(user, directory.domains))


def subject_filter(directory: Directory, subject: str) -> str:
    """The filter that finds the user with this subject, if `user_filter` finds it by any name.

    Raises:
        ValueError: the subject contains a control character or a lone surrogate.
    """
    anyone = _STARS.sub("*", directory.user_filter.replace("{user}", "*"))
    return fill(f"(&({directory.subject}={{user}})", subject) + f"{anyone})"


def single_entry(directory: Directory, found: Found) -> SearchEntry | None:
    """The only entry that was found, if one was.

    Raises:
        Refused: several were.
        Unanswerable: the directory cut the answer off.
    """
    if len(found.entries) > 1:
        ambiguous = DirectoryFailure(FailureCause.AMBIGUOUS, {"names": " and ".join(e.dn for e in found.entries)})
        logger.error("%s: %s", directory.name, ambiguous)
        raise Refused(ambiguous)
    if found.result.code == SIZE_LIMIT_EXCEEDED:  # the directory's own limit: another entry may match
        raise Unanswerable(search_failure(found.result))
    return found.entries[0] if found.entries else None


def find_user(connection: Connection, directory: Directory, search_filter: str, deadline: Deadline) -> Found:
    """The entries that match below any base: none, one, or more if the name is ambiguous.

    All bases are searched, whatever the first ones return: an unknown name costs as much as a known one, and a name
    that is found below two bases is ambiguous. An entry found below two bases that overlap counts once.

    Raises:
        ConnectionFailed, Unanswerable: one of the searches failed, so that the result is unknown.
    """
    wanted = wanted_attributes(directory)
    entries: list[SearchEntry] = []
    result = None
    for base in directory.bases:
        # Two, to detect an ambiguous name.
        found = connection.search(base, search_filter, wanted, deadline, limit=2)
        checked(found, base=base, account=directory.searcher)
        known = {key_of(entry.dn) for entry in entries}
        entries += [entry for entry in found.entries if key_of(entry.dn) not in known]
        if result is None or found.result.code == SIZE_LIMIT_EXCEEDED:
            result = found.result
    assert result is not None  # noqa: S101 - the settings have at least one base
    return Found(tuple(entries), result)


def look_at_base(
    connection: Connection, directory: Directory, base: str, deadline: Deadline, *, key: str = "base"
) -> Found:
    """Read the entry of a base, to see whether it exists. The empty base has none, so it is searched as at a login.

    `key` is the setting that has the base.

    Raises:
        ConnectionFailed, Unanswerable: it does not exist, may not be read, or cannot be searched.
    """
    if base:
        found = connection.search(base, ANY_ENTRY, ["1.1"], deadline, limit=1, is_read=True)
    else:
        found = connection.search("", user_filter(directory, secrets.token_hex(16)), ["1.1"], deadline, limit=1)
        if found.result.code == NO_SUCH_OBJECT:
            raise ConnectionFailed(FailureCause.NO_EMPTY_BASE, key=key)
    return checked(found, base=base, key=key, account=directory.searcher)


def spell_bases(bases: Iterable[str]) -> str:
    """The bases for a message, after the word `below`."""
    return " and below ".join(base or "the whole directory (empty base)" for base in bases)
