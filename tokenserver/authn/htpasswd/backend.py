"""The users of an htpasswd file, as an `Authenticator`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tokenserver.authn.htpasswd.account import ACTIVE, LOCK
from tokenserver.authn.htpasswd.file import HtpasswdEntry, line_fault, parse_users, users_command
from tokenserver.authn.htpasswd.verify import ANYWHERE, Decoy, Room, checked, checked_in_vain
from tokenserver.authn.namespaces import FileNamespaces
from tokenserver.authn.passwords import describe, warning_about
from tokenserver.authn.protection.shared_checks import Once
from tokenserver.credentials import Password
from tokenserver.documents.files import Stamp, read_text, stamp_of, text_of
from tokenserver.errors import AccountEnded, Fault, InvalidCredentials
from tokenserver.identity import Identity, Kind, NamespaceRule


class Htpasswd:
    """The users of one file, as an `Authenticator`.

    `users` are their names and `lines` their line numbers, `file` is the path as the operator wrote it, `warnings` are
    lines with weak or slow hashes. `decoy` does the work of a wrong password for an unknown user. `room` bounds
    concurrent hashing; `once` shares results with the other workers. `now` gives seconds since 1970. Users whom
    `namespace_rule` gives one and the same namespace are all rejected. `digest` is the SHA-256 of the file.
    `is_current` is whether these are still its users; without it, they are.
    """

    def __init__(
        self,
        name: str,
        file: str,
        entries: Sequence[HtpasswdEntry],
        room: Room = ANYWHERE,
        once: Once | None = None,
        *,
        now: Callable[[], float] = time.time,
        namespace_rule: NamespaceRule | None = None,
        digest: str = "",
        is_current: Callable[[Htpasswd], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self.file = file
        self.digest = digest
        self.users = frozenset(entry.name for entry in entries)
        self.lines = {entry.name: entry.line for entry in entries}
        self.namespaces = FileNamespaces(self.users, namespace_rule)
        self.warnings = (*_warnings(entries, file), *_shared(entries, file, self.namespaces))
        self.decoy = Decoy.like(name, [entry.hashed.reveal() for entry in entries], room, once)
        self._hashes = {entry.name: entry.hashed for entry in entries}
        self._accounts = {entry.name: entry.account for entry in entries if entry.account != ACTIVE}
        self._room = room
        self._once = once
        self._now = now
        self._is_current = is_current

    def authenticate(self, credentials: Password) -> Identity | None:
        """See `Authenticator.authenticate`. A name is compared exactly, letter by letter.

        An account that is disabled or has expired costs what a wrong password costs; only `reason` tells them apart.
        """
        hashed = self._hashes.get(credentials.username)
        if hashed is None:
            return None
        account = self._accounts.get(credentials.username)
        problem = None if account is None else account.problem(self._now())
        if problem is not None:
            is_right = checked_in_vain(self.name, credentials, hashed.reveal(), self._room, self._once)
            raise InvalidCredentials(problem if is_right else f"wrong password, and {problem}")
        if not checked(self.name, credentials, hashed.reveal(), self._room, self._once):
            raise InvalidCredentials("wrong password")
        shared = self.namespaces.problem(credentials.username)
        if shared is not None:
            raise InvalidCredentials(shared)
        return self.identity(credentials.username)

    def identity(self, username: str) -> Identity:
        """The identity of a user of this file, whose password is right.

        Its proof is a digest of the line's hash, whose salt keeps it from being guessed.
        """
        proof = hashlib.sha256(self._hashes[username].reveal().encode("ascii")).digest()
        namespace = self.namespaces.of(username)
        return Identity(username, Kind.PASSWORD, self.name, namespace=namespace, proof=proof)

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`."""
        hashed = self._hashes.get(subject)
        if hashed is None:
            return None
        account = self._accounts.get(subject)
        problem = None if account is None else account.problem(self._now())
        if problem is not None:
            raise AccountEnded(problem)
        shared = self.namespaces.problem(subject)
        if shared is not None:
            raise InvalidCredentials(shared)
        return self.identity(subject)

    def owner_of(self, namespace: str) -> str | None:
        """See `NamespaceOwner.owner_of`."""
        return self.namespaces.owner_of(namespace)

    def is_current(self) -> bool:
        """See `FromFile.is_current`."""
        return self._is_current(self)

    def kind_of(self, username: str) -> str | None:
        """The kind and the cost of the user's hash; None for an unknown user."""
        hashed = self._hashes.get(username)
        return None if hashed is None else describe(hashed.reveal())

    def account_problem(self, username: str) -> str | None:
        """Why the user could not log in now with the right password; None for an active or unknown user."""
        account = self._accounts.get(username)
        problem = None if account is None else account.problem(self._now())
        return problem or self.namespaces.problem(username)

    def stamp(self, username: str) -> bytes:
        """The user's hash; empty for an unknown user. It is as secret as the line it comes from.

        It changes at the moment at which the account expires or its namespace is shared, which ends remembered logins.
        """
        hashed = self._hashes.get(username)
        if hashed is None:
            return b""
        stamp = hashed.reveal().encode("ascii")
        return stamp if self.account_problem(username) is None else LOCK.encode("ascii") + stamp


class HtpasswdFile:
    """A file that is reloaded; while its text is unchanged, `load` returns the same `Htpasswd`."""

    def __init__(
        self,
        path: Path,
        name: str,
        room: Room = ANYWHERE,
        once: Once | None = None,
        *,
        namespace_rule: NamespaceRule | None = None,
    ) -> None:
        self._path = path
        self._make = partial(
            Htpasswd,
            name,
            str(path),
            room=room,
            once=once,
            namespace_rule=namespace_rule,
            is_current=self._is_current,
        )
        self._known: tuple[str, Htpasswd] | None = None
        self._stamp: Stamp | None = None

    def load(self, content: bytes | None = None) -> Htpasswd:
        """Its current users, or those in `content`, which has been read from it already.

        Raises:
            LoadError: as `load_htpasswd`; the last good users are kept for the next call.
        """
        # Taken before the file is read, so that a change in between is noticed.
        stamp = stamp_of(str(self._path)) if content is None else None
        text = read_text(self._path) if content is None else text_of(content, self._path)
        if self._known is None or self._known[0] != text:
            digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
            self._known = (text, self._make(parse_users(text, str(self._path)), digest=digest))
        self._stamp = stamp
        return self._known[1]

    def _is_current(self, users: Htpasswd) -> bool:
        is_newest = self._known is not None and self._known[1] is users
        return is_newest and self._stamp == stamp_of(str(self._path))


def load_htpasswd(path: Path, name: str, namespace_rule: NamespaceRule | None = None) -> Htpasswd:
    """Load the users of the file at `path`; `name` is the source in audit events. A file may have no users.

    Raises:
        LoadError: every fault of the file, each with its line and the command that fixes it. One fault rejects the
            whole file, so that it shows at the start and not at a login.
    """
    return HtpasswdFile(path, name, namespace_rule=namespace_rule).load()


def _warnings(entries: Iterable[HtpasswdEntry], file: str) -> Iterator[Fault]:
    for entry in entries:
        warning = warning_about(entry.hashed.reveal())
        if warning is not None:
            yield line_fault(file, entry.line, warning, users_command("set", entry.name, file), entry.name)
        if entry.account != ACTIVE and not entry.is_locked:
            problem = f"the account is limited ({entry.account}), but not for other programs that read this file"
            until = None if entry.account.is_disabled else entry.account.until
            command = users_command("disable", entry.name, file)
            if until is not None:
                command = users_command("enable", entry.name, file, "--until", until.text)
            yield line_fault(file, entry.line, problem, command, entry.name)


def _shared(entries: Iterable[HtpasswdEntry], file: str, namespaces: FileNamespaces) -> Iterator[Fault]:
    for entry in entries:
        problem = namespaces.problem(entry.name)
        if problem is not None:
            yield Fault(file, entry.line, entry.name, f"cannot log in: {problem}; fix: rename one of them")
