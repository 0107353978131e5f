"""The groups of a user in a diagnosis: what was found and how, what does not count and why, and other ways."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.diagnosis.steps import IGNORED, OMITTED, DiagnosisStep, ListedName, failed_step, step_named
from tokenserver.authn.ldap.directory import Directory, GroupsBy, GroupSettings
from tokenserver.authn.ldap.entry import wanted_attributes
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryError, DirectoryFailure
from tokenserver.authn.ldap.group_names import NamedGroup, ResolvedGroups, names_of
from tokenserver.authn.ldap.groups import resolution
from tokenserver.authn.ldap.groups.search import key_of
from tokenserver.authn.ldap.users.search import ANY_ENTRY, spell_bases
from tokenserver.identity import spell_group


def group_steps(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, deadline: Deadline
) -> Generator[DiagnosisStep, None, ResolvedGroups]:
    """The groups of the user with this entry, and everything that was found and does not count.

    Raises:
        StepFailed: a login would be rejected because of the groups.
    """
    directory, groups = source.directory, source.directory.groups
    if groups is None:
        yield DiagnosisStep("groups", "not searched (groups are not configured)")
        return ResolvedGroups()
    with step_named("groups"):
        asked = resolution.ask(connection, entry, directory, deadline)
        found, omitted = resolution.find(connection, asked, entry, directory, deadline)
        resolved = names_of(found, directory, groups)
    names = _listed(found, directory, groups)
    yield DiagnosisStep("groups", f"{len(resolved.names) or 'none'} found by {_way(entry, groups)}", names=names)
    for one in (*omitted, *resolved.omitted):
        yield DiagnosisStep(OMITTED, str(one))
    ignored = [*_ignored(source, connection, entry, found)]
    yield from ignored
    if not (names or omitted or resolved.omitted or ignored):
        yield from _other_ways(source, connection, entry, groups)
    return replace(resolved, omitted=(*omitted, *resolved.omitted))


def _way(entry: SearchEntry, groups: GroupSettings) -> str:
    if groups.by is GroupsBy.MEMBEROF:
        return f"{len(entry.attributes.get('memberof', ()))} values of memberOf in the entry"
    method = "the directory's matching rule" if groups.by_rule and groups.by is GroupsBy.NESTED else groups.by.value
    return f"a search below {spell_bases(groups.bases)} ({method})"


def _listed(found: Iterable[NamedGroup], directory: Directory, groups: GroupSettings) -> tuple[ListedName, ...]:
    """Each name of each of these groups, sorted, with the DN of its group."""
    names = {
        ListedName(spell_group(name), group[0])
        for group in found
        for name in names_of([group], directory, groups).names
    }
    return tuple(sorted(names, key=lambda one: (one.name, one.dn)))


def _ignored(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, found: tuple[NamedGroup, ...]
) -> Iterator[DiagnosisStep]:
    """Groups that do not count by the configuration: because of `groups.allow`, `groups.base` and `groups.by`."""
    directory, groups = source.directory, source.directory.groups
    assert groups is not None  # noqa: S101 - checked by the caller
    everything = replace(groups, allow=None)
    counted = set(_listed(found, directory, groups))
    others = tuple(one for one in _listed(found, directory, everything) if one not in counted)
    if others:
        yield _ignored_step(others, f"not matched by groups.allow ({', '.join(groups.allow or ())})")
    known = {key_of(dn) for dn, _ in found if names_of([(dn, (b"x",))], directory, everything).names}
    if {*map(key_of, groups.bases)} != {*map(key_of, directory.bases)}:
        wider = replace(everything, bases=directory.bases)
        others = _unknown(source, connection, entry, wider, known)
        if others:
            yield _ignored_step(others, f"not below groups.base ({spell_bases(groups.bases)})")
    if groups.by in (GroupsBy.MEMBER, GroupsBy.MEMBEROF) and known:
        deeper = replace(everything, by=GroupsBy.NESTED)
        others = _unknown(source, connection, entry, deeper, known)
        if others:
            yield _ignored_step(others, "only through other groups, which by: nested would count")


def _ignored_step(names: tuple[ListedName, ...], why: str) -> DiagnosisStep:
    return DiagnosisStep(IGNORED, f"{len(names)} {why}", names=names)


def _unknown(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, groups: GroupSettings, known: set[object]
) -> tuple[ListedName, ...]:
    """The groups that these settings would find and that are not known yet; none if the directory cannot tell."""
    found = _found_by(source, connection, entry, groups)
    return _listed((one for one in found if key_of(one[0]) not in known), source.directory, groups)


def _found_by(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, groups: GroupSettings
) -> tuple[NamedGroup, ...]:
    directory = replace(source.directory, groups=groups)
    deadline = Deadline(directory.deadline)
    try:
        read = connection.search(entry.dn, ANY_ENTRY, wanted_attributes(directory), deadline, limit=1, is_read=True)
        entry = next(iter(read.entries), entry)
        asked = resolution.ask(connection, entry, directory, deadline)
        return resolution.find(connection, asked, entry, directory, deadline)[0]
    except DirectoryError:
        return ()


def _other_ways(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, groups: GroupSettings
) -> Iterator[DiagnosisStep]:
    """For a user without groups: the first other way that finds some."""
    for way in GroupsBy:
        if way is groups.by or (way is GroupsBy.NESTED and groups.by is GroupsBy.MEMBER):
            continue
        other = replace(groups, by=way, by_rule=False)
        found = _listed(_found_by(source, connection, entry, other), source.directory, other)
        if found:
            detail = f"none by {groups.by}; by {way} it would be: {', '.join(one.name for one in found)}"
            failure = DirectoryFailure(FailureCause.GROUPS_BY_ANOTHER_WAY, {"detail": detail, "way": way})
            yield replace(failed_step("groups", failure), names=found)
            return
