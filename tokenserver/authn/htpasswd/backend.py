"""The users of an htpasswd file, as an `Authenticator`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tokenserver.authn.htpasswd.account import ACTIVE, LOCK
from tokenserver.authn.htpasswd.file import HtpasswdEntry, line_fault, parse_users, users_command
from tokenserver.authn.htpasswd.verify import ANYWHERE, Decoy, Room, checked, checked_in_vain
from tokenserver.authn.passwords import describe, warning_about
from tokenserver.authn.protection.shared_checks import Once
from tokenserver.credentials import Password
from tokenserver.documents.files import read_text, text_of
from tokenserver.errors import Fault, InvalidCredentials
from tokenserver.identity import Identity, Kind


class Htpasswd:
    """The users of one file, as an `Authenticator`.

    `users` are their names and `lines` their line numbers, `file` is the path as the operator wrote it, `warnings` are
    lines with weak or slow hashes. `decoy` does the work of a wrong password for an unknown user. `room` bounds
    concurrent hashing; `once` shares results with the other workers. `now` gives seconds since 1970.
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
    ) -> None:
        self.name = name
        self.file = file
        self.users = frozenset(entry.name for entry in entries)
        self.lines = {entry.name: entry.line for entry in entries}
        self.warnings = tuple(_warnings(entries, file))
        self.decoy = Decoy.like(name, [entry.hashed.reveal() for entry in entries], room, once)
        self._hashes = {entry.name: entry.hashed for entry in entries}
        self._accounts = {entry.name: entry.account for entry in entries if entry.account != ACTIVE}
        self._room = room
        self._once = once
        self._now = now

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
        return Identity(credentials.username, Kind.PASSWORD, self.name)

    def kind_of(self, username: str) -> str | None:
        """The kind and the cost of the user's hash; None for an unknown user."""
        hashed = self._hashes.get(username)
        return None if hashed is None else describe(hashed.reveal())

    def account_problem(self, username: str) -> str | None:
        """Why the user could not log in now with the right password; None for an active or unknown user."""
        account = self._accounts.get(username)
        return None if account is None else account.problem(self._now())

    def stamp(self, username: str) -> bytes:
        """The user's hash; empty for an unknown user. It is as secret as the line it comes from.

        It changes at the moment at which the account expires, which ends every remembered login.
        """
        hashed = self._hashes.get(username)
        if hashed is None:
            return b""
        stamp = hashed.reveal().encode("ascii")
        account = self._accounts.get(username)
        return stamp if account is None or account.problem(self._now()) is None else LOCK.encode("ascii") + stamp


class HtpasswdFile:
    """A file that is reloaded; while its text is unchanged, `load` returns the same `Htpasswd`."""

    def __init__(self, path: Path, name: str, room: Room = ANYWHERE, once: Once | None = None) -> None:
        self._path = path
        self._make = partial(Htpasswd, name, str(path), room=room, once=once)
        self._known: tuple[str, Htpasswd] | None = None

    def load(self, content: bytes | None = None) -> Htpasswd:
        """Its current users, or those in `content`, which has been read from it already.

        Raises:
            LoadError: as `load_htpasswd`; the last good users are kept for the next call.
        """
        text = read_text(self._path) if content is None else text_of(content, self._path)
        if self._known is None or self._known[0] != text:
            self._known = (text, self._make(parse_users(text, str(self._path))))
        return self._known[1]


def load_htpasswd(path: Path, name: str) -> Htpasswd:
    """Load the users of the file at `path`; `name` is the source in audit events. A file may have no users.

    Raises:
        LoadError: every fault of the file, each with its line and the command that fixes it. One fault rejects the
            whole file, so that it shows at the start and not at a login.
    """
    return HtpasswdFile(path, name).load()


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
