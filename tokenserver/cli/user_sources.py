"""What commands ask the configured user sources without anybody's password: who somebody is, who and what is there."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import click

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, InvalidCredentials, LoadError
from tokenserver.identity import Identity, Kind
from tokenserver.policy.lint.unknown_names import Outside, named_groups, named_users
from tokenserver.policy.model import PolicySet
from tokenserver.server.compose import user_source

Source = Htpasswd | LdapDirectory

SHOWN = 10
"""Names that are told one by one."""


class UserSources:
    """The sources of a configuration, in their order.

    Methods raise `BackendUnavailable` where a directory cannot tell: nobody may be taken for gone because it is down.
    """

    def __init__(self, settings: Settings) -> None:
        """Load them.

        Raises:
            LoadError: every fault of their files.
        """
        faults: list[Fault] = []
        sources: list[Source] = []
        for entry in settings.authentication:
            try:
                sources.append(user_source(entry))
            except LoadError as error:
                faults.extend(error.faults)
        if faults:
            raise LoadError(faults)
        self.sources = tuple(sources)
        self._answers: dict[tuple[str, str], str | None] = {}

    @property
    def directories(self) -> tuple[LdapDirectory, ...]:
        """Those that are directories."""
        return tuple(source for source in self.sources if isinstance(source, LdapDirectory))

    def look_up(self, name: str) -> Identity:
        """The identity that a login under this name would give, from the first source that knows it.

        Raises:
            LoadError: no source knows the name, or its user could not log in.
        """
        name = unicodedata.normalize("NFC", name)
        silent = [source.name for source in self.directories if source.directory.bind is None]
        for source in self.sources:
            if source.name in silent:
                continue
            try:
                found = _known(source, name)
            except InvalidCredentials as error:
                problem = f"{source.name} knows {name!r}, who cannot log in: {error.reason}"
                raise LoadError([Fault("--as", 0, "", problem)]) from error
            if found is not None:
                return found
        asked = ", ".join(source.name for source in self.sources if source.name not in silent) or "none"
        message = f"no user source knows {name!r} (asked: {asked})"
        if silent:
            without = "cannot be asked without a password: say it with --user and --group"
            message += f"; {', '.join(silent)} {without}"
        raise LoadError([Fault("--as", 0, "", message)])

    def outside(self, policies: PolicySet) -> Outside:
        """What is wrong with the names in these policies, each of which is asked about once."""
        groups: dict[str, str] = {}
        shared_groups: dict[str, str] = {}
        for name in _shown(named_groups(policies), "groups"):
            problems = {directory.name: directory.group_problem(name) for directory in self.directories}
            bringing = [source for source, problem in problems.items() if problem is None]
            if not bringing:
                groups[name] = "; ".join(f"{problem} ({source})" for source, problem in problems.items())
            elif len(bringing) > 1:
                advice = f"groups: {{prefix: {bringing[1]}/}} in {bringing[1]} tells them apart"
                shared_groups[name] = f"is brought by {' and '.join(bringing)}; {advice}"
        users: dict[str, str] = {}
        shared: dict[str, str] = {}
        for name in _shown(named_users(policies), "users"):
            answers = [(source, self._user(source, name)) for source in self.sources]
            known = [(source, problem) for source, problem in answers if problem is not None]
            if not known:
                users[name] = f"is in no user source (asked: {', '.join(source.name for source in self.sources)})"
            elif known[0][1]:
                users[name] = f"{known[0][1]} ({known[0][0].name})"
            if len(known) > 1:
                names = ", ".join(source.name for source, _ in known)
                shared[name] = f"is in {names}; a login is that of the first, {known[0][0].name}"
        return Outside(users, groups, shared, shared_groups)

    def overlaps(self) -> Iterator[tuple[str, int, str]]:
        """Users of htpasswd files whom a directory has as well: the file, the line, and what that means."""
        for file in self.sources:
            if not isinstance(file, Htpasswd):
                continue
            for name in _shown(file.users, f"users of {file.name}"):
                having = [one for one in self.directories if self._user(one, name) is not None]
                if having:
                    first = next(one for one in self.sources if one is file or one in having)
                    also = ", ".join(one.name for one in having)
                    text = f"the user {name!r} is in {also} as well; a login is that of the first, {first.name}"
                    yield file.file, file.lines[name], text

    def namesakes(self) -> Iterator[tuple[str, str]]:
        """Users whom two directories have: the name of the second one, and what that means, for each two of them."""
        listed: dict[str, tuple[frozenset[str], bool]] = {}
        asked = [one for one in self.directories if one.directory.bind is not None]
        if len(asked) < 2:
            return
        for directory in asked:
            listed[directory.name] = directory.subjects()
        for first, second in combinations(listed, 2):
            names = sorted(listed[first][0] & listed[second][0])
            if names:
                yield second, _told_of(names, first, second)
            cut = [name for name in (first, second) if not listed[name][1]]
            if cut:
                yield second, f"not all users of {' and '.join(cut)} could be listed; there may be (more) in both"

    def unspeakable(self) -> Iterator[tuple[str, str]]:
        """Groups of which no name can be brought: the name of the directory, and which they are."""
        for directory in self.directories:
            if directory.directory.bind is None:
                continue
            left_out, is_all = directory.unspeakable_groups()
            for one in left_out:
                yield directory.name, f"left out of the groups of users: {one}"
            if not is_all:
                yield directory.name, "not all groups could be looked at; there may be more of which no name is brought"

    def _user(self, source: Source, name: str) -> str | None:
        """None: not known there. Else what is wrong with the user; empty: nothing. Each is asked about once."""
        key = source.name, name
        if key not in self._answers:
            self._answers[key] = self._asked(source, name)
        return self._answers[key]

    def _asked(self, source: Source, name: str) -> str | None:
        try:
            found = _known(source, name)
        except InvalidCredentials as error:
            return f"cannot log in: {error.reason}"
        if found is None:
            return None
        return "" if found.subject == name else f"is called {found.subject!r} here"


def _told_of(names: Sequence[str], first: str, second: str) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    who = f"the user {shown} is" if len(names) == 1 else f"{len(names)} users are"
    more = "" if len(names) == 1 else f" ({shown})"
    return f"{who} in {first} and in {second}{more}; a login is that of the first, {first}"


def _known(source: Source, name: str) -> Identity | None:
    if isinstance(source, Htpasswd):
        return Identity(name, Kind.PASSWORD, source.name) if name in source.users else None
    return source.look_up(name)


def _shown(names: Iterable[str], what: str) -> Iterator[str]:
    """The names in order; on a terminal with a bar that grows while they are asked about."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(sorted(names), label=f"asking about {what}", file=sys.stderr, hidden=hidden) as shown:
        yield from shown
