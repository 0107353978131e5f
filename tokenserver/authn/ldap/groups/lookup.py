"""Checks the group names in policies against a directory, and lists the groups that no policy can name.

The names are resolved by the same code as at a login, so the two cannot differ.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import MAX_GROUPS, Directory, GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.dn import escape_value
from tokenserver.authn.ldap.failures.result_codes import LIMITS, NO_PAGES
from tokenserver.authn.ldap.group_names import OmittedGroup, is_allowed, names_of, values_of
from tokenserver.authn.ldap.listing import MAX_PAGES, PAGE, checked

MAX_REPORTED = 100
"""Groups without a usable name that are listed individually."""


def any_group(groups: GroupSettings) -> str:
    """A filter for all entries that can be a user's group, and for no users, which have names as well."""
    posix = "(objectClass=posixGroup)"
    if groups.by is GroupsBy.POSIX:
        return posix
    more = posix if groups.primary is Primary.NUMBER else ""
    classes = "(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)"
    return f"(|{classes}(member=*)(uniqueMember=*){more})"


def group_problem(
    directory: Directory, groups: GroupSettings, name: str, connection: Connection, deadline: Deadline
) -> str | None:
    """Why no user can be in a group of this name, which begins with the prefix; None if one may be.

    Raises:
        ConnectionFailed, Unanswerable: the directory does not answer.
    """
    short = name.removeprefix(groups.prefix)
    search_filter = f"(&({groups.name}={escape_value(short.encode())}){any_group(groups)})"
    found = [
        entry
        for base in groups.bases
        for entry in checked(connection.search(base, search_filter, [groups.name], deadline, limit=MAX_GROUPS)).entries
    ]
    resolved = names_of(
        ((entry.dn, values_of(entry, groups.name)) for entry in found), directory, replace(groups, allow=None)
    )
    if name in resolved.names:
        return None if is_allowed(short, groups) else "is excluded by groups.allow"
    others = [other for other in sorted(resolved.names) if _folded(other) == _folded(name)]
    if others:
        ignored = "case" if others[0].casefold() == name.casefold() else "blanks and width"
        return f"must be spelled {others[0]!r}: the directory ignores {ignored} in names"
    if resolved.omitted:
        return f"cannot be used in policies: {resolved.omitted[0].reason}"
    return "is not in the directory"


def unnameable_groups(
    directory: Directory, groups: GroupSettings, connection: Connection, deadline: Deadline
) -> tuple[tuple[OmittedGroup, ...], bool]:
    """Groups that a login would omit, at most `MAX_REPORTED`, and whether the list is complete.

    Raises:
        ConnectionFailed, Unanswerable: the directory does not answer.
    """
    omitted: list[OmittedGroup] = []
    is_all = True
    for base in groups.bases:
        found, is_complete = _unnameable_below(base, directory, groups, connection, deadline)
        omitted += found
        is_all = is_all and is_complete and len(omitted) <= MAX_REPORTED
        deadline = Deadline(directory.deadline)
    return tuple(omitted[:MAX_REPORTED]), is_all


def _unnameable_below(
    base: str, directory: Directory, groups: GroupSettings, connection: Connection, deadline: Deadline
) -> tuple[tuple[OmittedGroup, ...], bool]:
    omitted: list[OmittedGroup] = []
    cookie = b""
    for _ in range(MAX_PAGES):
        found = connection.page(base, any_group(groups), [groups.name], deadline, size=PAGE, cookie=cookie)
        if found.result.code in NO_PAGES and not cookie:
            found = connection.search(base, any_group(groups), [groups.name], deadline, limit=PAGE)
        for entry in found.entries:
            omitted += names_of([(entry.dn, values_of(entry, groups.name))], directory, groups).omitted
        if found.result.code in LIMITS or len(omitted) > MAX_REPORTED:
            return tuple(omitted[:MAX_REPORTED]), False
        cookie = checked(found).cookie
        if not cookie:
            return tuple(omitted), True
        deadline = Deadline(directory.deadline)  # for each page: there may be many
    return tuple(omitted), False


def _folded(name: str) -> str:
    """The form of a name that a directory may compare (RFC 4518)."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
