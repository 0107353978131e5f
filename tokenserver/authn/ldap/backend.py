"""The users of an LDAP directory, as an `Authenticator`.

With a service account: one search finds the entry, one bind tries the password on another connection, and a search for
groups is sent concurrently with the bind. A warm login usually waits for two answers; for a third where the names of
memberOf groups are looked up, or where a primary group is in other groups.
Without one: the same with anonymous searches; or a bind as the user first, and then a read of the entry with the user's
own rights.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from tokenserver.authn.ldap.accounts.notices import PasswordNotices
from tokenserver.authn.ldap.accounts.password_policy import NO_RESPONSE, PolicyResponse
from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connect import Resolve
from tokenserver.authn.ldap.connection import Connection, Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Directory, GroupsBy
from tokenserver.authn.ldap.entry import Refused, raw_subject, refusal, valid_identity
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.documented import documented_errors
from tokenserver.authn.ldap.failures.result_codes import bind_failure, is_about_account
from tokenserver.authn.ldap.group_names import OmissionLog, OmittedGroup
from tokenserver.authn.ldap.groups import resolution
from tokenserver.authn.ldap.groups.lookup import group_problem, unnameable_groups
from tokenserver.authn.ldap.listing import all_subjects
from tokenserver.authn.ldap.pool import DirectoryServer, Servers
from tokenserver.authn.ldap.users.direct import bind_name, own_entry
from tokenserver.authn.ldap.users.domain_hints import DomainHintLog
from tokenserver.authn.ldap.users.namespaces import owner_of, require_sole_owner
from tokenserver.authn.ldap.users.search import find_user, look_at_base, single_entry, subject_filter, user_filter
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Identity
from tokenserver.runtime.dns import Resolver

_Answer = TypeVar("_Answer")

report = OmissionLog()
password_notices = PasswordNotices()
"""One per process, because a reload recreates the directories; each group and each remark is logged once."""

report_domain = DomainHintLog()


class LdapDirectory:
    """One directory. `context` verifies the certificates of its servers; None only for plain text."""

    def __init__(self, directory: Directory, context: ssl.SSLContext | None, *, resolve: Resolve | None = None) -> None:
        self.directory = directory
        self.name = directory.name
        self.servers = Servers(directory, context, resolve or Resolver())

    def authenticate(self, credentials: Password) -> Identity | None:
        """See `Authenticator.authenticate`. The subject is the directory's own value, not the typed spelling.

        Without a service account an unknown user looks like a wrong password, so it never returns None.
        """
        user, password = credentials.username, credentials.password
        text = password.reveal()
        # The chain has checked this; but an empty password would be an unauthenticated bind, which succeeds.
        if not user.strip() or not text or "\0" in user + text:
            raise InvalidCredentials("the user name or the password is empty, or contains a NUL character")
        deadline = Deadline(self.directory.deadline)
        is_searchable = self.directory.is_searchable
        try:
            name = user_filter(self.directory, user) if is_searchable else bind_name(self.directory, user)
        except ValueError as error:
            raise InvalidCredentials(f"the user name {error}") from error
        with documented_errors(self.name):
            if not is_searchable:
                return self._bind_then_read(name, user, password, deadline)
            identity = self._search_then_bind(name, password, deadline)
        if identity is None:
            report_domain(self.directory, user)
        return identity

    def decoy(self, credentials: Password, *, is_looked_up: bool = True) -> None:  # noqa: ARG002 - see below
        """Take as long as a wrong password: bind as an entry that cannot exist, with a random password, while its
        groups are searched for. Unless the name `is_looked_up` already, search for a random name first.

        The typed password is never sent: it may be right for another user source. Nor is a real entry used: the
        directory would count the failure against that user.

        Raises:
            BackendUnavailable: as with a wrong password.
        """
        deadline = Deadline(self.directory.deadline)
        entry = self._decoy_entry()

        def question(connection: Connection, deadline: Deadline) -> int | None:
            if not is_looked_up:
                search_filter = user_filter(self.directory, secrets.token_hex(16))
                self._user_question(search_filter)(connection, deadline)
            try:
                return resolution.ask(connection, entry, self.directory, deadline)
            except Refused:  # the groups are searched by an attribute that this entry lacks
                return None

        groups = self.directory.groups
        is_searching = groups is not None and groups.by is not GroupsBy.MEMBEROF
        with documented_errors(self.name):
            if not self.directory.is_searchable or (is_looked_up and not is_searching):
                self._bind_decoy(entry, deadline)
                return
            with self.servers.asked(question, deadline) as (server, searcher, asked):
                self._bind_decoy(entry, deadline, server)
                if asked is not None:
                    with suppress(ConnectionFailed, Unanswerable):  # as after a wrong password
                        searcher.found(asked, deadline)

    def _decoy_entry(self) -> SearchEntry:
        name = secrets.token_hex(16)
        dn = f"cn={name},{self.directory.bases[0]}".rstrip(",")
        return SearchEntry(dn, {self.directory.subject.lower(): (name.encode(),)})

    def _bind_decoy(self, entry: SearchEntry, deadline: Deadline, preferred: DirectoryServer | None = None) -> None:
        name = entry.dn if self.directory.bind_as is None else bind_name(self.directory, secrets.token_hex(8))
        with self.servers.for_bind(deadline, preferred) as (server, connection), suppress(Refused):
            self._bind_user(server, connection, name, Secret(secrets.token_hex(16)), deadline)

    def probe(self) -> None:
        """Check that the directory answers, without a user's password.

        Raises:
            BackendUnavailable: it does not.
        """
        if not self.directory.is_searchable:
            self.decoy(Password("", Secret("")))
            return

        def question(connection: Connection, deadline: Deadline) -> None:
            for base in self.directory.bases:
                look_at_base(connection, self.directory, base, deadline)

        with documented_errors(self.name), self.servers.asked(question, Deadline(self.directory.deadline)):
            pass

    def look_up(self, user: str) -> Identity | None:
        """The identity of the user with this name, without a password; None if there is no such user.

        Raises:
            InvalidCredentials: the user exists but cannot log in; the reason says why.
            BackendUnavailable: the directory cannot tell, or there is no service account to ask it.
        """
        return self._looked_up(user_filter, user)

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`. Only users whom `user_filter` finds by some name are found."""
        known = self._looked_up(subject_filter, subject)
        return None if known is None or known.subject != subject else known

    def _looked_up(self, filter_for: Callable[[Directory, str], str], name: str) -> Identity | None:
        if not self.directory.is_searchable:
            raise BackendUnavailable(self.name, "without bind_dn no user can be looked up")
        deadline = Deadline(self.directory.deadline)
        try:
            question = self._user_question(filter_for(self.directory, name))
        except ValueError as error:
            raise InvalidCredentials(f"the user name {error}") from error
        with documented_errors(self.name), self.servers.asked(question, deadline) as (_, connection, found):
            entry = single_entry(self.directory, found)
            if entry is None:
                return None
            asked = resolution.ask(connection, entry, self.directory, deadline)
            return self._identity(entry, connection, asked, deadline)

    def subjects(self) -> tuple[frozenset[str], bool]:
        """The subjects of all users that `user_filter` finds, and whether the list is complete.

        Raises:
            BackendUnavailable: the directory cannot tell, or there is no service account to ask it.
        """
        return self._asked(partial(all_subjects, self.directory))

    def owner_of(self, namespace: str) -> str | None:
        """See `NamespaceOwner.owner_of`; the owner is a DN."""
        return self._asked(partial(owner_of, self.directory, namespace))

    def unnameable_groups(self) -> tuple[tuple[OmittedGroup, ...], bool]:
        """All groups without a usable name, and whether all groups were examined.

        Raises:
            BackendUnavailable: the directory cannot tell, or there is no service account to ask it.
        """
        groups = self.directory.groups
        return ((), True) if groups is None else self._asked(partial(unnameable_groups, self.directory, groups))

    def group_problem(self, name: str) -> str | None:
        """Why no user can have a group of this name; None if one may.

        Raises:
            BackendUnavailable: the directory cannot tell, or there is no service account to ask it.
        """
        groups = self.directory.groups
        if groups is None:
            return "cannot belong to any user: groups are not configured"
        if not name.startswith(groups.prefix):
            return f"does not begin with {groups.prefix!r}, as all groups of this directory do"
        return self._asked(partial(group_problem, self.directory, groups, name))

    def _asked(self, question: Callable[[Connection, Deadline], _Answer]) -> _Answer:
        if not self.directory.is_searchable:
            raise BackendUnavailable(self.name, "without bind_dn nothing can be looked up")
        with (
            documented_errors(self.name),
            self.servers.asked(question, Deadline(self.directory.deadline)) as (_, _, answer),
        ):
            return answer

    def _search_then_bind(self, search_filter: str, password: Secret, deadline: Deadline) -> Identity | None:
        with self.servers.asked(self._user_question(search_filter), deadline) as (server, searcher, found):
            try:
                entry = single_entry(self.directory, found)
                if entry is None:
                    return None
                raw_subject(entry, self.directory)  # an entry without a DN must not be bound as
            except Refused:
                self._bind_decoy(self._decoy_entry(), deadline, server)  # takes as long as a wrong password
                raise
            asked = resolution.ask(searcher, entry, self.directory, deadline)
            with self.servers.for_bind(deadline, server) as (binder_server, binder):
                try:
                    policy = self._bind_user(binder_server, binder, entry.dn, password, deadline)
                except Refused as error:
                    if asked is not None:
                        # Drain the answer so that the connection can be reused; if that fails, it is closed.
                        with suppress(ConnectionFailed, Unanswerable):
                            searcher.found(asked, deadline)
                    raise Refused(refusal(entry, error.failure, datetime.now(UTC))) from error
            return self._identity(entry, searcher, asked, deadline, policy)

    def _bind_then_read(self, name: str, user: str, password: Secret, deadline: Deadline) -> Identity:
        with self.servers.for_bind(deadline) as (server, connection):
            policy = self._bind_user(server, connection, name, password, deadline)
            entry = single_entry(self.directory, own_entry(connection, self.directory, name, user, deadline))
            if entry is None:
                raise Refused(FailureCause.OWN_ENTRY_HIDDEN)
            raw_subject(entry, self.directory)
            asked = resolution.ask(connection, entry, self.directory, deadline)
            return self._identity(entry, connection, asked, deadline, policy)

    def _user_question(self, search_filter: str) -> Callable[[Connection, Deadline], Found]:
        return lambda connection, deadline: find_user(connection, self.directory, search_filter, deadline)

    def _bind_user(
        self, server: DirectoryServer, connection: Connection, dn: str, password: Secret, deadline: Deadline
    ) -> PolicyResponse:
        """Try the password. A failure is never retried: it may have counted as a failed login.

        Raises:
            Refused: the directory rejects the DN or the password.
            ConnectionFailed: it does not answer.
            BackendUnavailable: it reports a fault of its own.
        """
        try:
            result = connection.bind(dn, password, deadline)
        except ConnectionFailed as error:
            self.servers.failed(server, error)
            raise
        if result.is_accepted:
            return result.policy
        failure = bind_failure(result)
        if not is_about_account(failure):
            reason = f"{server.address.url}: {failure}"
            raise BackendUnavailable(self.name, reason, summary=failure.summary)
        raise Refused(failure)

    def _identity(
        self,
        entry: SearchEntry,
        connection: Connection,
        asked: int | None,
        deadline: Deadline,
        policy: PolicyResponse = NO_RESPONSE,
    ) -> Identity:
        groups = resolution.resolve(connection, asked, entry, self.directory, deadline)
        report(self.name, groups.omitted)
        now = datetime.now(UTC)
        identity = valid_identity(entry, self.directory, groups.names, groups.lost, policy=policy, now=now)
        require_sole_owner(self.directory, entry, identity, connection, deadline)
        password_notices.user(self.name, entry.dn, policy, now)
        return identity
