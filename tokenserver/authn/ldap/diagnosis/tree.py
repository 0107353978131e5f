"""The parts of the tree that every login needs: the bases, and whether users and groups are visible below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.diagnosis.steps import DiagnosisStep, failed_step, step_named
from tokenserver.authn.ldap.directory import GroupsBy
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure
from tokenserver.authn.ldap.groups.lookup import any_group
from tokenserver.authn.ldap.groups.resolution import check_rule
from tokenserver.authn.ldap.groups.search import key_of
from tokenserver.authn.ldap.listing import checked
from tokenserver.authn.ldap.users.search import look_at_base, spell_bases


def tree_steps(source: LdapDirectory, connection: Connection, *, with_users: bool) -> Iterator[DiagnosisStep]:
    """Read the base and the base of the groups, and look for a user and a group below them.

    Raises:
        StepFailed: no login can work.
    """
    directory, groups = source.directory, source.directory.groups
    for base in directory.bases:
        _base(source, connection, base, "base")
        yield DiagnosisStep("base", spell_bases([base]))
    if with_users:
        yield from _users(source, connection)
    if groups is None:
        return
    known = {key_of(base) for base in directory.bases}
    for base in groups.bases:
        if key_of(base) not in known:
            _base(source, connection, base, "groups.base")
    if groups.by is GroupsBy.NESTED and groups.by_rule:
        with step_named("groups"):
            check_rule(connection, Deadline(directory.deadline))
    below = spell_bases(groups.bases)
    if groups.by is not GroupsBy.MEMBEROF and not _finds(
        source, connection, groups.bases, any_group(groups), "groups.base"
    ):
        facts = {"base": below, "account": directory.searcher}
        yield failed_step("groups", DirectoryFailure(FailureCause.GROUPS_HIDDEN, facts))
    elif with_users:
        yield DiagnosisStep("groups", f"readable below {below}")


def _base(source: LdapDirectory, connection: Connection, base: str, key: str) -> None:
    with step_named("groups" if key == "groups.base" else "base"):
        deadline = Deadline(source.directory.deadline)
        found = look_at_base(connection, source.directory, base, deadline, key=key)
        if base and not found.entries:
            facts = {"base": base, "key": key, "account": source.directory.searcher}
            raise ConnectionFailed(FailureCause.NO_BASE, **facts)


def _users(source: LdapDirectory, connection: Connection) -> Iterator[DiagnosisStep]:
    search_filter = source.directory.user_filter.replace("{user}", "*")
    bases, account = source.directory.bases, source.directory.searcher
    if not _finds(source, connection, bases, search_filter, "base"):
        facts = {"base": spell_bases(bases), "detail": search_filter, "account": account}
        yield failed_step("users", DirectoryFailure(FailureCause.NO_USERS, facts))
    else:
        yield DiagnosisStep("users", f"readable below {spell_bases(bases)}")


def _finds(source: LdapDirectory, connection: Connection, bases: Iterable[str], search_filter: str, key: str) -> bool:
    """Whether anything matches below one of the bases."""
    for base in bases:
        with step_named("users" if key == "base" else "groups"):
            found = connection.search(base, search_filter, ["1.1"], Deadline(source.directory.deadline), limit=1)
            checked(found, base=base, key=key, account=source.directory.searcher)
        if found.entries:
            return True
    return False
