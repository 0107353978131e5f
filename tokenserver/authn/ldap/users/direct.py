"""Logins without a search beforehand: the user binds by a DN or as `user@domain`, and then reads their own entry.

With `user@domain` the directory chooses the account, so the entry found afterwards must be proven to be that account's.
"""

from __future__ import annotations

from tokenserver.authn.domains import without_domains
from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Connection, Found
from tokenserver.authn.ldap.deadline import Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Directory
from tokenserver.authn.ldap.dn import fill
from tokenserver.authn.ldap.entry import Refused, wanted_attributes
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.users.search import ANY_ENTRY, find_user, user_filter

NOT_IN_ACCOUNT_NAMES = frozenset('"/\\[]:;|=,+*?<>@')
"""Characters that no account name has ([MS-SAMR] 3.1.1.6), and `@`: with one, a name could be another kind of name."""

_TOKEN = "tokenGroups"  # noqa: S105 - an attribute
"""In the root DSE: the SIDs of the account that is bound, and of its groups ([MS-ADTS] 3.1.1.3.2)."""


def bind_name(directory: Directory, user: str) -> str:
    """The name that this user binds as: a DN, or `user@domain`.

    Raises:
        ValueError: the typed name cannot be part of it.
    """
    user = without_domains(user, directory.domains)
    if directory.bind_as is None:
        return fill(directory.user_dn_template or "", user, dn=True)
    fill("{user}", user)  # refuses control characters
    unusable = sorted(NOT_IN_ACCOUNT_NAMES.intersection(user))
    if unusable:
        more = "; domains that are not part of it are listed in strip_domain" if {"@", "\\"} & set(unusable) else ""
        raise ValueError(f"contains {' '.join(unusable)}, which no account name has{more}")
    return directory.bind_as.replace("{user}", user)


def own_entry(connection: Connection, directory: Directory, bound: str, user: str, deadline: Deadline) -> Found:
    """What the user, now bound as `bound`, finds of their own entry: one, or none if they may not read it.

    Raises:
        Refused: the entry is not that of the account that is bound.
        ConnectionFailed, Unanswerable: the directory cannot tell.
    """
    if directory.bind_as is None:
        return connection.search(bound, ANY_ENTRY, wanted_attributes(directory), deadline, limit=2, is_read=True)
    found = find_user(connection, directory, user_filter(directory, user), deadline)
    if len(found.entries) == 1:
        _check_is_bound(connection, found.entries[0], deadline)
    return found


def _check_is_bound(connection: Connection, entry: SearchEntry, deadline: Deadline) -> None:
    """Check that `entry` is of the account that is bound.

    Anyone who may set an account's userPrincipalName could make a name lead to it, and so log in as the user of that
    name with another account's password.
    """
    root = connection.search("", ANY_ENTRY, [_TOKEN], deadline, limit=1, is_read=True)
    sids = {value for one in root.entries for value in one.attributes.get(_TOKEN.lower(), ())}
    if not sids:
        raise Unanswerable(FailureCause.BOUND_UNKNOWN)
    if sids.isdisjoint(entry.attributes.get("objectsid", ())):
        raise Refused(FailureCause.OTHER_ACCOUNT, names=entry.dn)
