"""The parts of the tree that every login needs: the bases, and whether users and groups are visible below them."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.authn.ldap.backend import ANY_ENTRY, LdapDirectory
from tokenserver.authn.ldap.ber import Result
from tokenserver.authn.ldap.connection import NO_SUCH_OBJECT, SIZE_LIMIT_EXCEEDED, SUCCESS, Connection
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.diagnosis.steps import DiagnosisStep, failed_step, step_named
from tokenserver.authn.ldap.directory import GroupsBy
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure
from tokenserver.authn.ldap.failures.result_codes import search_failure
from tokenserver.authn.ldap.groups.lookup import any_group
from tokenserver.authn.ldap.groups.resolution import check_rule
from tokenserver.authn.ldap.groups.search import key_of


def tree_steps(source: LdapDirectory, connection: Connection, *, with_users: bool) -> Iterator[DiagnosisStep]:
    """Read the base and the base of the groups, and look for a user and a group below them.

    Raises:
        StepFailed: no login can work.
    """
    directory, groups = source.directory, source.directory.groups
    _base(source, connection, directory.base, "base")
    yield DiagnosisStep("base", directory.base)
    if with_users:
        yield from _users(source, connection)
    if groups is None:
        return
    if key_of(groups.base) != key_of(directory.base):
        _base(source, connection, groups.base, "groups.base")
    if groups.by is GroupsBy.NESTED and groups.by_rule:
        with step_named("groups"):
            check_rule(connection, Deadline(directory.deadline))
    if groups.by is not GroupsBy.MEMBEROF and not _finds(
        source, connection, groups.base, any_group(groups), "groups.base"
    ):
        yield failed_step("groups", DirectoryFailure(FailureCause.GROUPS_HIDDEN, {"base": groups.base}))
    elif with_users:
        yield DiagnosisStep("groups", f"readable below {groups.base}")


def _base(source: LdapDirectory, connection: Connection, base: str, key: str) -> None:
    with step_named("groups" if key == "groups.base" else "base"):
        deadline = Deadline(source.directory.deadline)
        found = connection.search(base, ANY_ENTRY, ["1.1"], deadline, limit=1, is_read=True)
        if found.result.code != SUCCESS:
            raise ConnectionFailed(search_failure(found.result, base=base, key=key))
        if not found.entries:
            raise ConnectionFailed(search_failure(Result(NO_SUCH_OBJECT, ""), base=base, key=key))


def _users(source: LdapDirectory, connection: Connection) -> Iterator[DiagnosisStep]:
    search_filter = source.directory.user_filter.replace("{user}", "*")
    base = source.directory.base
    if not _finds(source, connection, base, search_filter, "base"):
        facts = {"base": base, "detail": search_filter}
        yield failed_step("users", DirectoryFailure(FailureCause.NO_USERS, facts))
    else:
        yield DiagnosisStep("users", f"readable below {base}")


def _finds(source: LdapDirectory, connection: Connection, base: str, search_filter: str, key: str) -> bool:
    with step_named("users" if key == "base" else "groups"):
        found = connection.search(base, search_filter, ["1.1"], Deadline(source.directory.deadline), limit=1)
        if found.result.code not in (SUCCESS, SIZE_LIMIT_EXCEEDED):
            raise ConnectionFailed(search_failure(found.result, base=base, key=key))
    return bool(found.entries)
