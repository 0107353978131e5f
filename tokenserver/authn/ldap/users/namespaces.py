"""The namespaces of directory users, what `${user}` in policies stands for, and the search for users who share one."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import SIZE_LIMIT_EXCEEDED, Connection
from tokenserver.authn.ldap.deadline import Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Directory
from tokenserver.authn.ldap.dn import fill
from tokenserver.authn.ldap.entry import Refused, namespace_attribute, namespaces_in, raw_subject
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.result_codes import search_failure
from tokenserver.authn.ldap.groups.search import key_of
from tokenserver.authn.ldap.users.search import find_user
from tokenserver.identity import Identity, NamespaceRule


def owner_of(directory: Directory, namespace: str, connection: Connection, deadline: Deadline) -> str | None:
    """The DN of an entry with this namespace; None if there is none.

    Raises:
        ConnectionFailed, Unanswerable: the directory cannot tell.
    """
    return next((entry.dn for entry in _owners(directory, namespace, namespace, connection, deadline)), None)


def require_sole_owner(
    directory: Directory, entry: SearchEntry, identity: Identity, connection: Connection, deadline: Deadline
) -> None:
    """Check that no other entry has the namespace of this user. Every entry below the bases counts, also one that is no
    user, or disabled; nothing is asked if names are not mapped, or the user has no namespace.

    Raises:
        Refused: another entry has it, or the search does not even find the user's own entry.
        ConnectionFailed, Unanswerable: the directory cannot tell.
    """
    if directory.namespace_rule is None or not identity.namespace:
        return
    value = identity.namespace
    if directory.namespace_rule is NamespaceRule.LOWER:
        # In another case: only a search that ignores case finds the user, and everybody else with the same letters.
        value = raw_subject(entry, directory).swapcase()
    found = list(_owners(directory, identity.namespace, value, connection, deadline))
    others = [one.dn for one in found if key_of(one.dn) != key_of(entry.dn)]
    facts = {"namespace": identity.namespace, "attribute": namespace_attribute(directory)}
    if others:
        raise Refused(FailureCause.NAMESPACE_SHARED, names=" and ".join(others), **facts)
    if not found:
        raise Refused(FailureCause.NAMESPACE_UNSEARCHABLE, **facts)


def _owners(
    directory: Directory, namespace: str, value: str, connection: Connection, deadline: Deadline
) -> Iterator[SearchEntry]:
    """The entries with this namespace, found by a value of the attribute that the namespace is made of."""
    search_filter = fill(f"({namespace_attribute(directory)}={{user}})", value)
    found = find_user(connection, directory, search_filter, deadline)
    yield from (entry for entry in found.entries if namespace in namespaces_in(entry, directory))
    if found.result.code == SIZE_LIMIT_EXCEEDED:  # another one may have it
        raise Unanswerable(search_failure(found.result))
