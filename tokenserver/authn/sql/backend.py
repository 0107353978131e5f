"""The users of a database, as an `Authenticator`: one query finds the row, and the password is hashed here."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Protocol

from tokenserver.authn.htpasswd.verify import ANYWHERE, Decoy, Room, checked, checked_in_vain
from tokenserver.authn.passwords import decoy_like, describe, problem_with
from tokenserver.authn.protection.shared_checks import Once
from tokenserver.authn.sql.row import Row, UnusableRow, UserRow, read_row
from tokenserver.authn.usernames import canonical, name_problem, typed_name_problem
from tokenserver.credentials import Password
from tokenserver.errors import AccountEnded, InvalidCredentials
from tokenserver.identity import Identity, Kind
from tokenserver.runtime.bounded_cache import BoundedCache

logger = logging.getLogger("tokenserver.authn")

MAX_KINDS = 4
"""Kinds and costs of hashes that an unknown user is made to cost; of more, the ones seen last."""

_SEEN = 4096


class UserRows(Protocol):
    """The rows of a database. Every method raises `BackendUnavailable` if it does not answer.

    `UnusableRow` is raised for a name at which the query fails, while it works for others.
    """

    def by_name(self, name: str) -> Sequence[Row]:
        """The rows for a name that was typed, at most two of them."""
        ...

    def by_subject(self, subject: str) -> Sequence[Row]:
        """The rows for a user as the database spells it, at most two of them."""
        ...

    def probe(self) -> None:
        """Check that the queries work, without a user."""
        ...


class SqlUsers:
    """The users of one database. `room` bounds concurrent hashing; `once` shares results with the other workers.

    `plain_labels` are labels of docker_auth whose values are groups by themselves. Rows without a column `subject` do
    not say how the database spells the name, so only names in lower case, as `canonical` spells them, are looked for.
    """

    def __init__(
        self,
        name: str,
        rows: UserRows,
        *,
        plain_labels: Collection[str] = (),
        room: Room = ANYWHERE,
        once: Once | None = None,
    ) -> None:
        self.name = name
        self._rows = rows
        self._plain_labels = frozenset(plain_labels)
        self._room = room
        self._once = once
        self._lock = threading.Lock()
        self._forms: dict[str, str] = {}
        self._kinds: BoundedCache[str, str | None] = BoundedCache(_SEEN)
        self._reported: BoundedCache[str, str] = BoundedCache(_SEEN)

    def authenticate(self, credentials: Password) -> Identity | None:
        """See `Authenticator.authenticate`. A user without a password, or with a hash that is refused, is refused."""
        problem = typed_name_problem(credentials.username)  # the chain has checked it; a NUL ends text in some drivers
        if problem is not None:
            raise InvalidCredentials(problem)
        row = self._row(credentials.username, self._rows.by_name)
        if row is None:
            return None
        hashed = row.hashed.reveal()
        problem = _hash_problem(hashed)
        if problem is not None:
            raise InvalidCredentials(self._report(row.subject, problem) if hashed else problem)
        self._learn(credentials.username, hashed)
        if row.problem is not None:
            is_right = checked_in_vain(self.name, credentials, hashed, self._room, self._once)
            raise InvalidCredentials(row.problem if is_right else f"wrong password, and {row.problem}")
        if not checked(self.name, credentials, hashed, self._room, self._once):
            raise InvalidCredentials("wrong password")
        return self._identity(row)

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`."""
        if name_problem(subject) is not None:
            return None
        row = self._row(subject, self._rows.by_subject)
        return None if row is None or row.subject != subject else self._active(row)

    def look_up(self, name: str) -> Identity | None:
        """The identity of the user with this name, without a password; None if there is no such user.

        Raises:
            InvalidCredentials: the user exists but cannot log in; the reason says why.
            BackendUnavailable: the database cannot tell.
        """
        if typed_name_problem(name) is not None:
            return None
        row = self._row(name, self._rows.by_name)
        return None if row is None else self._active(row)

    def owner_of(self, namespace: str) -> str | None:
        """See `NamespaceOwner.owner_of`; names are not mapped, so the owner has this very name."""
        if name_problem(namespace) is not None:
            return None
        row = self._row(namespace, self._rows.by_subject)
        return None if row is None or row.subject != namespace else row.subject

    def probe(self) -> None:
        """Check that the database answers, without a user's password.

        Raises:
            BackendUnavailable: it does not, or its tables are not those of the query.
        """
        self._rows.probe()

    def decoy(self, credentials: Password, *, is_looked_up: bool = True) -> None:  # noqa: ARG002 - a random name
        """Look for a name that cannot exist, unless a name `is_looked_up` already. For the hashes see `hashes`.

        Raises:
            BackendUnavailable: as with a wrong password.
        """
        if not is_looked_up:
            with suppress(UnusableRow):
                self._rows.by_name(secrets.token_hex(16))

    @property
    def hashes(self) -> Decoy:
        """Does the hashing of a wrong password for an unknown user: one hash of each kind that was seen lately."""
        forms = list(self._forms.values()) or [decoy_like(None)]
        return Decoy.like(self.name, forms, self._room, self._once)

    def kind_of(self, username: str) -> str | None:
        """The kind and the cost of the hash that the last login with this name was compared with; None if with none."""
        return self._kinds.get(username)

    def _row(self, name: str, query: Callable[[str], Sequence[Row]]) -> UserRow | None:
        """The user of the only row for this name; None if there is no row.

        Raises:
            InvalidCredentials: there are several rows, or the row is unusable.
            BackendUnavailable: the database cannot tell.
        """
        if self._kinds.get(name) is not None:
            self._kinds.put(name, None)
        try:
            rows = query(name)
        except UnusableRow as error:
            raise InvalidCredentials(self._report(name, str(error))) from None
        if not rows:
            return None
        if len(rows) > 1:
            reason = "the query returns several rows for one name; fix: make the name unique, or the query narrower"
            raise InvalidCredentials(self._report(name, reason))
        if "subject" not in rows[0] and name != canonical(name):
            return None
        try:
            row = read_row(rows[0], name, self._plain_labels)
        except UnusableRow as error:
            raise InvalidCredentials(self._report(name, str(error))) from None
        # MariaDB also takes every accent for none, so an attacker would have as many names for one user, and the
        # throttle would count each. An alias, such as an address, is ASCII.
        return row if name.isascii() or canonical(name) == canonical(row.subject) else None

    def _active(self, row: UserRow) -> Identity:
        if row.problem is not None:
            raise AccountEnded(row.problem)
        problem = _hash_problem(row.hashed.reveal())
        if problem is not None:
            raise InvalidCredentials(problem)
        return self._identity(row)

    def _identity(self, row: UserRow) -> Identity:
        """Its proof is a digest of the hash, whose salt keeps it from being guessed."""
        proof = hashlib.sha256(row.hashed.reveal().encode("ascii")).digest()
        return Identity(row.subject, Kind.PASSWORD, self.name, row.groups, proof=proof)

    def _learn(self, username: str, hashed: str) -> None:
        kind = describe(hashed)
        self._kinds.put(username, kind)
        if kind in self._forms:
            return
        with self._lock:
            kept = list(self._forms.items())[-(MAX_KINDS - 1) :]
            self._forms = dict([*kept, (kind, decoy_like(hashed))])

    def _report(self, name: str, reason: str) -> str:
        """Log what the operator has to fix, once for all spellings of a name; the reason."""
        key = canonical(name)
        if self._reported.get(key) != reason:
            self._reported.put(key, reason)
            logger.error("%s: the user %s cannot log in: %s", self.name, ascii(name), reason)
        return reason


def _hash_problem(hashed: str) -> str | None:
    if not hashed:
        return "no password is set"
    problem = problem_with(hashed)
    return None if problem is None else f"the password hash is refused: {problem}"
