"""Finds the groups of a user by searches, where the user's own entry does not tell them."""

from __future__ import annotations

from collections.abc import Iterable

from tokenserver.authn.directory.ber import Entry
from tokenserver.authn.directory.deadline import ConnectionFailed, Deadline
from tokenserver.authn.directory.model import MAX_GROUPS, MAX_NESTING, Directory, Groups, GroupsBy
from tokenserver.authn.directory.names import escape_filter
from tokenserver.authn.directory.people import Refused, raw_subject, short_names
from tokenserver.authn.directory.results import describe_search
from tokenserver.authn.ldap import SIZE_LIMIT_EXCEEDED, SUCCESS, Connection, Found

IN_CHAIN = "1.2.840.113556.1.4.1941"

_AT_ONCE = 50
"""Groups whose own groups are asked for in one search."""


def ask(connection: Connection, entry: Entry, directory: Directory, deadline: Deadline) -> int | None:
    """Send the search for the user's groups, if one is needed. Its answer is for `finish`, or must be taken up."""
    groups = directory.groups
    if groups is None or groups.by is GroupsBy.MEMBEROF:
        return None
    return connection.ask(
        groups.base, first_filter(entry, directory, groups), [groups.name], deadline, limit=MAX_GROUPS + 1
    )


def first_filter(entry: Entry, directory: Directory, groups: Groups) -> str:
    """What the groups of the user are found by. The DN and the name in it are escaped: they may hold anything.

    Raises:
        Refused: the entry has no usable subject.
    """
    if groups.by is GroupsBy.POSIX:
        members = f"(memberUid={escape_filter(raw_subject(entry, directory))})"
        numbers = [
            f"(gidNumber={number})" for number in entry.texts("gidNumber") if number.isascii() and number.isdigit()
        ]
        return f"(&(objectClass=posixGroup)(|{members}{''.join(numbers)}))"
    if groups.by is GroupsBy.NESTED and groups.by_rule:
        return f"(member:{IN_CHAIN}:={_dn(entry.dn)})"
    return holding([entry.dn])


def holding(dns: Iterable[str]) -> str:
    """A filter for the groups that hold one of these DNs, groupOfNames and groupOfUniqueNames alike."""
    return f"(|{''.join(f'(member={dn})(uniqueMember={dn})' for dn in map(_dn, dns))})"


def finish(
    connection: Connection, asked: int, directory: Directory, groups: Groups, deadline: Deadline
) -> frozenset[str]:
    """The short names of the user's groups, beginning with the answer to what `ask` has sent.

    Raises:
        Refused: there are more than `MAX_GROUPS`.
        ConnectionFailed: the directory cannot tell. Never fewer groups than there are: a deny rule may be for one.
    """
    level = _whole(connection.found(asked, deadline))
    found = {entry.dn: entry for entry in level}
    is_walk = groups.by is GroupsBy.NESTED and not groups.by_rule
    for _ in range(MAX_NESTING if is_walk else 0):
        if not level:
            break
        fresh: dict[str, Entry] = {}
        for start in range(0, len(level), _AT_ONCE):
            search_filter = holding(entry.dn for entry in level[start : start + _AT_ONCE])
            above = connection.search(groups.base, search_filter, [groups.name], deadline, limit=MAX_GROUPS + 1)
            fresh |= {entry.dn: entry for entry in _whole(above) if entry.dn not in found}
        found |= fresh
        if len(found) > MAX_GROUPS:
            raise Refused(f"the user is in more than {MAX_GROUPS} groups")
        level = list(fresh.values())
    else:
        if is_walk and level:
            raise Refused(f"the groups are nested more than {MAX_NESTING} deep")
    return short_names(((dn, entry.texts(groups.name)) for dn, entry in found.items()), directory, groups)


def _whole(found: Found) -> list[Entry]:
    if found.result.code == SIZE_LIMIT_EXCEEDED or len(found.entries) > MAX_GROUPS:
        raise Refused(f"the user is in more than {MAX_GROUPS} groups")
    if found.result.code != SUCCESS:
        raise ConnectionFailed("answer", f"the search for groups failed: {describe_search(found.result)}")
    return list(found.entries)


def _dn(dn: str) -> str:
    """A DN as a value in a filter; a control character in it, which a DN may hold, is escaped like all else."""
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:02x}" for byte in dn.encode())
