"""Group resolution: finds a user's groups by search or by `memberOf`, with nested and primary groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import Deadline, Unanswerable
from tokenserver.authn.ldap.directory import IN_CHAIN, MAX_GROUPS, MAX_NESTING, Directory, GroupsBy, GroupSettings
from tokenserver.authn.ldap.dn import escape_value
from tokenserver.authn.ldap.entry import Refused, raw_subject
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.group_names import NamedGroup, OmittedGroup, ResolvedGroups, names_of, values_of
from tokenserver.authn.ldap.groups import primary
from tokenserver.authn.ldap.groups.member_of import groups_in_entry
from tokenserver.authn.ldap.groups.search import GroupSearch, keyed

_CAPABILITIES = "1.2.840.113556.1.4."
"""How the capabilities of Active Directory, AD LDS and Samba begin ([MS-ADTS] 3.1.1.3.4.3)."""

_BATCH = 50
"""Groups whose parent groups are requested in one search."""


def ask(connection: Connection, entry: SearchEntry, directory: Directory, deadline: Deadline) -> int | None:
    """Send the first search for the user's groups, if it can be sent before the password is verified.

    The number returned must be passed to `resolve`, or its answer must be drained.

    Raises:
        Refused: the entry has no usable subject.
        ConnectionFailed, Unanswerable: it could not be sent.
    """
    groups = directory.groups
    if groups is None or groups.by is GroupsBy.MEMBEROF:
        return None
    return GroupSearch(connection, entry, directory, groups, deadline).ask(first_filter(entry, directory, groups))


def resolve(
    connection: Connection, asked: int | None, entry: SearchEntry, directory: Directory, deadline: Deadline
) -> ResolvedGroups:
    """The groups of the user with this entry, beginning with the answer to the search that `ask` sent.

    Raises:
        Refused: there are more than `MAX_GROUPS`, or they are nested too deep.
        ConnectionFailed: the directory does not answer. A partial list is never returned: deny rules need all groups.
        Unanswerable: the directory returns only some of them, and a retry would not return more.
    """
    groups = directory.groups
    if groups is None:
        return ResolvedGroups()
    found, omitted = find(connection, asked, entry, directory, deadline)
    resolved = names_of(found, directory, groups)
    return replace(resolved, omitted=(*omitted, *resolved.omitted))


def find(
    connection: Connection,
    asked: int | None,
    entry: SearchEntry,
    directory: Directory,
    deadline: Deadline,
) -> tuple[tuple[NamedGroup, ...], tuple[OmittedGroup, ...]]:
    """The groups of the user, each as its DN and its names, whether they count or not, and those not resolved.

    Raises:
        Refused, ConnectionFailed, Unanswerable: as `resolve`.
    """
    assert directory.groups is not None  # noqa: S101 - checked by the caller
    search = GroupSearch(connection, entry, directory, directory.groups, deadline)
    found = groups_in_entry(search) if asked is None else _found(search, asked)
    return tuple(found.values()), tuple(search.omitted)


def check_rule(connection: Connection, deadline: Deadline) -> None:
    """Check that the directory has the matching rule `IN_CHAIN`: one that has not finds nothing, and reports no error.

    Raises:
        Unanswerable: it has not.
        ConnectionFailed: it does not answer.
    """
    if connection.has_rule is None:
        root = connection.search("", "(objectClass=*)", ["supportedCapabilities"], deadline, limit=1, is_read=True)
        capabilities = [text for entry in root.entries for text in entry.texts("supportedCapabilities")]
        connection.has_rule = any(text.startswith(_CAPABILITIES) for text in capabilities)
    if not connection.has_rule:
        raise Unanswerable(FailureCause.NO_MATCHING_RULE)


def first_filter(entry: SearchEntry, directory: Directory, groups: GroupSettings) -> str:
    """A filter for the user's groups. Every value from the entry is escaped, because it may contain anything.

    Raises:
        Refused: the entry has no usable subject.
    """
    if groups.by is GroupsBy.POSIX:
        # RFC 2307, section 2.2: memberUid is the uid of the user, which is not necessarily the subject here.
        users = entry.attributes.get("uid", ()) or (raw_subject(entry, directory).encode(),)
        members = "".join(f"(memberUid={escape_value(user)})" for user in users)
        numbers = "".join(f"(gidNumber={number})" for number in primary.gid_numbers(entry))
        return f"(&(objectClass=posixGroup)(|{members}{numbers}))"
    found = in_chain(entry.dn) if groups.by is GroupsBy.NESTED and groups.by_rule else with_members([entry.dn])
    try:
        more = primary.filter_for(entry, groups.primary)
    except primary.Unreadable:
        more = None
    return found if more is None else f"(|{found}{more})"


def with_members(dns: Iterable[str]) -> str:
    """A filter for the groups with one of these DNs as a member, groupOfNames and groupOfUniqueNames alike."""
    return f"(|{''.join(f'(member={dn})(uniqueMember={dn})' for dn in map(_dn, dns))})"


def in_chain(dn: str) -> str:
    """A filter for the groups that this DN is in, directly or through other groups ([MS-ADTS] 3.1.1.3.4.4.3)."""
    return f"(member:{IN_CHAIN}:={_dn(dn)})"


def _found(search: GroupSearch, asked: int) -> dict[Hashable, NamedGroup]:
    """The groups that list the user, and the primary group, each with its DN and its names."""
    groups = search.groups
    first = search.entries(first_filter(search.entry, search.directory, groups), asked=asked)
    found = {key: entry for key, entry in map(keyed, first) if not search.is_private(entry)}
    if not first and groups.by is GroupsBy.NESTED and groups.by_rule:
        check_rule(search.connection, search.deadline)
    own = None if groups.by is GroupsBy.POSIX else search.primary(first)
    if groups.by is GroupsBy.NESTED and not groups.by_rule:
        _add_parents(search, found)
    elif groups.by is GroupsBy.NESTED and own is not None:
        found |= map(keyed, search.entries(in_chain(own.dn)))
    if len(found) > MAX_GROUPS:
        raise Refused(FailureCause.TOO_MANY_GROUPS)
    return {key: (entry.dn, values_of(entry, groups.name)) for key, entry in found.items()}


def _add_parents(search: GroupSearch, found: dict[Hashable, SearchEntry]) -> None:
    """Add the groups that contain these groups, recursively."""
    level = [*found.values()]
    for _ in range(MAX_NESTING):
        if not level:
            return
        added: dict[Hashable, SearchEntry] = {}
        for start in range(0, len(level), _BATCH):
            parents = search.entries(with_members(entry.dn for entry in level[start : start + _BATCH]))
            added |= {key: entry for key, entry in map(keyed, parents) if key not in found}
        found |= added
        if len(found) > MAX_GROUPS:
            raise Refused(FailureCause.TOO_MANY_GROUPS)
        level = list(added.values())
    if level:
        raise Refused(FailureCause.TOO_DEEP)


def _dn(dn: str) -> str:
    """A DN as a value in a filter; control characters, which a DN may contain, are escaped as well."""
    return escape_value(dn.encode())
