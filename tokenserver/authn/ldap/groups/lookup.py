"""What the names of groups in policies mean to a directory, and which of its groups no policy can name.

Told by the same code by which a login brings groups, so that the two cannot differ.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from tokenserver.authn.ldap.brought import LeftOut, is_allowed, names_of, values_of
from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import MAX_GROUPS, Directory, GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.dn import escape_value
from tokenserver.authn.ldap.listing import MAX_PAGES, PAGE, checked
from tokenserver.authn.ldap.result_codes import LIMITS, NO_PAGES

MAX_REPORTED = 100
"""Groups without a usable name that are told one by one."""


def any_group(groups: GroupSettings) -> str:
    """What finds every entry that a user can be in as a group, and no person: people have names as well."""
    posix = "(objectClass=posixGroup)"
    if groups.by is GroupsBy.POSIX:
        return posix
    more = posix if groups.primary is Primary.NUMBER else ""
    classes = "(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)"
    return f"(|{classes}(member=*)(uniqueMember=*){more})"


def group_problem(
    directory: Directory, groups: GroupSettings, name: str, connection: Connection, deadline: Deadline
) -> str | None:
    """Why nobody ever brings a group of this name, which begins with the prefix; None where somebody may.

    Raises:
        ConnectionFailed, Unanswerable: the directory cannot tell.
    """
    short = name.removeprefix(groups.prefix)
    search_filter = f"(&({groups.name}={escape_value(short.encode())}){any_group(groups)})"
    found = checked(connection.search(groups.base, search_filter, [groups.name], deadline, limit=MAX_GROUPS)).entries
    told = names_of(
        ((entry.dn, values_of(entry, groups.name)) for entry in found), directory, replace(groups, allow=None)
    )
    if name in told.names:
        return None if is_allowed(short, groups) else "is left out by groups.allow"
    others = [other for other in sorted(told.names) if _loosely(other) == _loosely(name)]
    if others:
        what = "case" if others[0].casefold() == name.casefold() else "regard to blanks and width"
        return f"is brought as {others[0]!r}: the directory compares names without {what}"
    if told.left_out:
        return f"cannot be brought: {told.left_out[0].reason}"
    return "is not in the directory"


def unspeakable_groups(
    directory: Directory, groups: GroupSettings, connection: Connection, deadline: Deadline
) -> tuple[tuple[LeftOut, ...], bool]:
    """What would be left out of the groups of anybody, `MAX_REPORTED` at most, and whether that is all there is.

    Raises:
        ConnectionFailed, Unanswerable: the directory cannot tell.
    """
    left_out: list[LeftOut] = []
    cookie = b""
    for _ in range(MAX_PAGES):
        found = connection.page(groups.base, any_group(groups), [groups.name], deadline, size=PAGE, cookie=cookie)
        if found.result.code in NO_PAGES and not cookie:
            found = connection.search(groups.base, any_group(groups), [groups.name], deadline, limit=PAGE)
        for entry in found.entries:
            left_out += names_of([(entry.dn, values_of(entry, groups.name))], directory, groups).left_out
        if found.result.code in LIMITS or len(left_out) > MAX_REPORTED:
            return tuple(left_out[:MAX_REPORTED]), False
        cookie = checked(found).cookie
        if not cookie:
            return tuple(left_out), True
        deadline = Deadline(directory.deadline)  # for each page: there may be many
    return tuple(left_out), False


def _loosely(name: str) -> str:
    """What a directory may take for the same name (RFC 4518)."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
