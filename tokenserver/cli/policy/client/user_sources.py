"""The configured user sources, queried without any password: who a user is, and which users and groups exist."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import click

from tokenserver.authn.hooks.source import HookSource
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.reported import reject_shared
from tokenserver.authn.sql.backend import SqlUsers
from tokenserver.authn.usernames import fold
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, InvalidCredentials, LoadError
from tokenserver.identity import Identity
from tokenserver.policy.lint.unknown_names import UnknownNames, named_groups, named_users
from tokenserver.policy.model import PolicySet
from tokenserver.server.sources.password_sources import user_source

Source = Htpasswd | LdapDirectory | SqlUsers | HookSource

MAX_NAMES = 10
"""How many names one message lists."""

_CORRECT = "fix: correct or remove the name"


class UserSources:
    """The user sources of a configuration, in their order.

    Methods raise `BackendUnavailable` if a directory does not answer: an outage must not make users look deleted.
    """

    def __init__(self, settings: Settings) -> None:
        """Load them.

        Raises:
            LoadError: every fault of their files.
        """
        faults: list[Fault] = []
        sources: list[Source] = []
        for entry in settings.user_sources:
            try:
                sources.append(user_source(entry))
            except LoadError as error:
                faults.extend(error.faults)
        if faults:
            raise LoadError(faults)
        self.sources = tuple(sources)
        self._maps_names = settings.namespaces is not None
        # Whom these know is in the storage alone, and only after a first login.
        self.databases = [source.name for source in sources if isinstance(source, SqlUsers)]
        self._unlisted = [*self.databases, *(one.name for one in settings.oidc_sources)]
        self._providers = [one.name for one in settings.oidc_sources if one.accounts is None]
        self._hooks = [one for one in sources if isinstance(one, HookSource)]
        self._silent_hooks = [one.name for one in self._hooks if not one.is_searchable]
        self._answers: dict[tuple[str, str], str | None] = {}

    @property
    def directories(self) -> tuple[LdapDirectory, ...]:
        """The sources that are directories."""
        return tuple(source for source in self.sources if isinstance(source, LdapDirectory))

    def look_up(self, name: str) -> Identity:
        """The identity that a login under this name would get, from the first source that has the user.

        Raises:
            LoadError: no source has the user, or the user could not log in.
        """
        name = unicodedata.normalize("NFC", name)
        silent = [source.name for source in self.directories if not source.directory.is_searchable]
        silent += self._silent_hooks
        for number, source in enumerate(self.sources):
            if source.name in silent:
                continue
            try:
                found = _identity(source, name)
                if found is not None and self._maps_names:
                    reject_shared(found, self.sources[:number])
            except InvalidCredentials as error:
                problem = f"{source.name} knows {name!r}, but the user cannot log in: {error.reason}"
                raise LoadError([Fault("--as", 0, "", problem)]) from error
            if found is not None:
                return found
        asked = ", ".join(source.name for source in self.sources if source.name not in silent) or "none"
        message = f"no user source knows {name!r} (asked: {asked})" + self._other_spelling(name)
        for names, why in ((silent, "without a password"), (self._providers, "about people")):
            if names:
                message += f"; {', '.join(names)} cannot be asked {why}; fix: use --user and --group"
        raise LoadError([Fault("--as", 0, "", message)])

    def _other_spelling(self, name: str) -> str:
        """The users of htpasswd files whose names differ in case or width alone, as a hint."""
        files = [source for source in self.sources if isinstance(source, Htpasswd)]
        alike = [f"{file.name} has {one!r}" for file in files for one in sorted(file.users) if fold(one) == fold(name)]
        return f"; {', '.join(alike)}: names are compared letter by letter" if alike else ""

    def unknown_names(self, policies: PolicySet) -> UnknownNames:
        """What is wrong with the users and groups that these policies name. Each name is looked up once."""
        groups, shared_groups = self._group_problems(policies)
        users, shared = self._user_problems(policies)
        return UnknownNames(users, groups, shared, shared_groups)

    def overlaps(self) -> Iterator[tuple[str, int, str]]:
        """Findings for users of htpasswd files who are elsewhere as well: the file, the line and the text."""
        remote = [source for source in self.sources if not isinstance(source, Htpasswd)]
        for file in self.sources:
            if not isinstance(file, Htpasswd):
                continue
            for name in _with_progress(file.users, f"users of {file.name}"):
                having = [one for one in remote if self._problem(one, name) is not None]
                if having:
                    first = next(one for one in self.sources if one is file or one in having)
                    also = ", ".join(one.name for one in having)
                    text = f"the user {name!r} is in {also} as well; {_rename(first.name)}"
                    yield file.file, file.lines[name], text

    def duplicate_users(self) -> Iterator[tuple[str, str]]:
        """Findings for users who are in two directories: for each pair, the name of the second one, and the text."""
        asked = [one for one in self.directories if one.directory.is_searchable]
        if len(asked) < 2:
            return
        listed = {directory.name: directory.subjects() for directory in asked}
        for first, second in combinations(listed, 2):
            names = sorted(listed[first][0] & listed[second][0])
            if names:
                yield second, _spell_duplicates(names, first, second)
            cut = [name for name in (first, second) if not listed[name][1]]
            if cut:
                yield second, f"not all users of {' and '.join(cut)} could be listed, so more users may be in both"

    def unnameable_groups(self) -> Iterator[tuple[str, str]]:
        """Findings for groups without a usable name: the name of the directory, and the text."""
        for directory in self.directories:
            if not directory.directory.is_searchable:
                continue
            omitted, is_all = directory.unnameable_groups()
            for one in omitted:
                yield directory.name, f"left out of the groups of users: {one}"
            if not is_all:
                yield directory.name, "not all groups could be examined, so more of them may have no usable name"

    def _group_problems(self, policies: PolicySet) -> tuple[dict[str, str], dict[str, str]]:
        """Groups that no directory has, and groups that several have: what is wrong, by name."""
        missing: dict[str, str] = {}
        shared: dict[str, str] = {}
        for name in _with_progress(named_groups(policies), "groups"):
            problems = {directory.name: directory.group_problem(name) for directory in self.directories}
            having = [source for source, problem in problems.items() if problem is None]
            if not having and (self._unlisted or self._hooks):
                continue  # it may be one of theirs
            if not having:
                found = "; ".join(f"{problem} ({source})" for source, problem in problems.items())
                missing[name] = f"{found}; {_CORRECT}"
            elif len(having) > 1:
                fix = f"fix: distinguish them by groups: {{prefix: {having[1]}/}} in {having[1]}"
                shared[name] = f"is in {' and '.join(having)}; {fix}"
        return missing, shared

    def _user_problems(self, policies: PolicySet) -> tuple[dict[str, str], dict[str, str]]:
        """Users who are in no source or cannot log in, and users who are in several: what is wrong, by name."""
        unknown: dict[str, str] = {}
        shared: dict[str, str] = {}
        for name in _with_progress(named_users(policies), "users"):
            asked_sources = [source for source in self.sources if source.name not in self._silent_hooks]
            answers = [(source, self._problem(source, name)) for source in asked_sources]
            having = [(source, problem) for source, problem in answers if problem is not None]
            if not having and (self._providers or self._silent_hooks):
                continue  # as above
            if not having:
                asked = ", ".join(source.name for source in asked_sources)
                unknown[name] = f"is in no user source (asked: {asked}); {_CORRECT}"
            elif having[0][1]:
                unknown[name] = f"{having[0][1]} ({having[0][0].name}); {_CORRECT}"
            if len(having) > 1:
                names = " and ".join(source.name for source, _ in having)
                shared[name] = f"is in {names}; {_rename(having[0][0].name)}"
        return unknown, shared

    def _problem(self, source: Source, name: str) -> str | None:
        """None: the source does not have the user. Else what is wrong with the user, empty if nothing. Cached."""
        key = source.name, name
        if key not in self._answers:
            self._answers[key] = self._look_for_problem(source, name)
        return self._answers[key]

    def _look_for_problem(self, source: Source, name: str) -> str | None:
        try:
            found = _identity(source, name)
        except InvalidCredentials as error:
            return f"cannot log in: {error.reason}"
        if found is None:
            return None
        return "" if found.subject == name else f"is spelled {found.subject!r} here"


def _spell_duplicates(names: Sequence[str], first: str, second: str) -> str:
    listed = ", ".join(repr(name) for name in names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
    who = f"the user {listed} is" if len(names) == 1 else f"{len(names)} users are"
    more = "" if len(names) == 1 else f" ({listed})"
    which = "one of the two" if len(names) == 1 else "one user of each pair"
    return f"{who} in {first} and in {second}{more}; {_rename(first, which)}"


def _rename(first: str, which: str = "one of the two") -> str:
    return f"logins use the first, {first}; fix: rename {which}"


def _identity(source: Source, name: str) -> Identity | None:
    if isinstance(source, Htpasswd):
        problem = source.account_problem(name)
        if problem is not None:
            raise InvalidCredentials(problem)
        return source.identity(name) if name in source.users else None
    return source.look_up(name)


def _with_progress(names: Iterable[str], what: str) -> Iterator[str]:
    """The names in order, with a progress bar on a terminal."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(sorted(names), label=f"looking up {what}", file=sys.stderr, hidden=hidden) as shown:
        yield from shown
