"""Finds the groups of a user: by searches, or by what the user's own entry tells, and from group to group."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.brought import TOO_MANY, Brought, names_of, values_of
from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import MAX_GROUPS, MAX_NESTING, Directory, GroupsBy, GroupSettings
from tokenserver.authn.ldap.dn import escape_value
from tokenserver.authn.ldap.entry import Refused, raw_subject
from tokenserver.authn.ldap.groups import primary
from tokenserver.authn.ldap.groups.member_of import groups_in_entry
from tokenserver.authn.ldap.groups.search import GroupSearch, keyed

IN_CHAIN = "1.2.840.113556.1.4.1941"

_AT_ONCE = 50
"""Groups whose own groups are asked for in one search."""


def ask(connection: Connection, entry: SearchEntry, directory: Directory, deadline: Deadline) -> int | None:
    """Send the first search for the user's groups, if it can be sent before the password is known to be right.

    Its answer is for `brought`, or must be taken up.

    Raises:
        Refused: the entry has no usable subject.
        ConnectionFailed, Unanswerable: it could not be sent.
    """
    groups = directory.groups
    if groups is None or groups.by is GroupsBy.MEMBEROF:
        return None
    return GroupSearch(connection, entry, directory, groups, deadline).ask(first_filter(entry, directory, groups))


def brought(
    connection: Connection, asked: int | None, entry: SearchEntry, directory: Directory, deadline: Deadline
) -> Brought:
    """What the user with this entry brings, beginning with the answer to what `ask` has sent.

    Raises:
        Refused: there are more than `MAX_GROUPS`, or they are nested too deep.
        ConnectionFailed: the directory cannot tell. Never fewer groups than there are: a deny rule may be for one.
        Unanswerable: it tells a part of them, and no other try would get more.
    """
    groups = directory.groups
    if groups is None:
        return Brought()
    search = GroupSearch(connection, entry, directory, groups, deadline)
    found = groups_in_entry(search) if asked is None else _found(search, asked)
    told = names_of(found.values(), directory, groups)
    return replace(told, left_out=(*search.left_out, *told.left_out))


def first_filter(entry: SearchEntry, directory: Directory, groups: GroupSettings) -> str:
    """What the groups of the user are found by. All that comes from the entry is escaped: it may hold anything.

    Raises:
        Refused: the entry has no usable subject.
    """
    if groups.by is GroupsBy.POSIX:
        # RFC 2307, section 2.2: memberUid holds the uid of the user, which need not be the subject here.
        users = entry.attributes.get("uid", ()) or (raw_subject(entry, directory).encode(),)
        members = "".join(f"(memberUid={escape_value(user)})" for user in users)
        numbers = "".join(f"(gidNumber={number})" for number in primary.gid_numbers(entry))
        return f"(&(objectClass=posixGroup)(|{members}{numbers}))"
    found = in_chain(entry.dn) if groups.by is GroupsBy.NESTED and groups.by_rule else holding([entry.dn])
    try:
        more = primary.filter_for(entry, groups.primary)
    except primary.Unreadable:
        more = None
    return found if more is None else f"(|{found}{more})"


def holding(dns: Iterable[str]) -> str:
    """A filter for the groups that hold one of these DNs, groupOfNames and groupOfUniqueNames alike."""
    return f"(|{''.join(f'(member={dn})(uniqueMember={dn})' for dn in map(_dn, dns))})"


def in_chain(dn: str) -> str:
    """A filter for the groups that hold this DN, directly or by another group ([MS-ADTS] 3.1.1.3.4.4.3)."""
    return f"(member:{IN_CHAIN}:={_dn(dn)})"


def _found(search: GroupSearch, asked: int) -> dict[Hashable, tuple[str, tuple[bytes, ...]]]:
    """The groups that list the user, and the primary group, each with its DN and its names."""
    groups = search.groups
    first = search.entries(first_filter(search.entry, search.directory, groups), asked=asked)
    found = {key: entry for key, entry in map(keyed, first) if not search.is_private(entry)}
    own = None if groups.by is GroupsBy.POSIX else search.primary(first)
    if groups.by is GroupsBy.NESTED and not groups.by_rule:
        _climb(search, found)
    elif groups.by is GroupsBy.NESTED and own is not None:
        found |= map(keyed, search.entries(in_chain(own.dn)))
    if len(found) > MAX_GROUPS:
        raise Refused(TOO_MANY)
    return {key: (entry.dn, values_of(entry, groups.name)) for key, entry in found.items()}


def _climb(search: GroupSearch, found: dict[Hashable, SearchEntry]) -> None:
    """Add the groups that these are in, and so on."""
    level = [*found.values()]
    for _ in range(MAX_NESTING):
        if not level:
            return
        fresh: dict[Hashable, SearchEntry] = {}
        for start in range(0, len(level), _AT_ONCE):
            above = search.entries(holding(entry.dn for entry in level[start : start + _AT_ONCE]))
            fresh |= {key: entry for key, entry in map(keyed, above) if key not in found}
        found |= fresh
        if len(found) > MAX_GROUPS:
            raise Refused(TOO_MANY)
        level = list(fresh.values())
    if level:
        raise Refused(f"the groups are nested more than {MAX_NESTING} deep")


def _dn(dn: str) -> str:
    """A DN as a value in a filter; a control character in it, which a DN may hold, is escaped like all else."""
    return escape_value(dn.encode())
