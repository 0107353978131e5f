"""The users of a hook, as an `Authenticator`: what the answers of any kind of hook mean for a login."""

from __future__ import annotations

import secrets
import weakref

from tokenserver.authn.hooks.exchange import Hook, HookAnswer, HookMisbehaved, HookQuestion, HookResult
from tokenserver.authn.hooks.identities import HookTerms, hook_identity
from tokenserver.authn.usernames import MAX_USERNAME
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials
from tokenserver.identity import Identity


class HookSource:
    """One hook. Whatever it holds is released when nobody uses it any more, or by `retire`."""

    def __init__(self, terms: HookTerms, hook: Hook) -> None:
        self.name = terms.name
        self.is_searchable = hook.can_find
        self.terms = terms
        self._hook = hook
        self._release = weakref.finalize(self, hook.retire)

    def authenticate(self, credentials: Password) -> Identity | None:
        """See `Authenticator.authenticate`. The subject is what the hook says, not the typed spelling."""
        user, password = credentials.username, credentials.password
        # The chain has checked this; but a hook may take an empty password, or break at a name with a line break.
        _require_text(user)
        if not password.reveal() or not _is_unicode(password.reveal()) or "\0" in password.reveal():
            raise InvalidCredentials("the password is empty, or is no text")
        return self._identity(self._ask(HookQuestion(user, password, credentials.client)), "the password is wrong")

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`."""
        if not self.is_searchable:
            raise BackendUnavailable(self.name, "its users cannot be looked up without their passwords")
        _require_text(subject)
        found = self._identity(self._ask(HookQuestion(subject, None)), "the user could not log in now")
        return None if found is None or found.subject != subject else found

    def look_up(self, user: str) -> Identity | None:
        """As `find`, for a name as typed.

        Raises:
            InvalidCredentials: the user exists but cannot log in; the reason says why.
            BackendUnavailable: the hook cannot tell.
        """
        if not self.is_searchable:
            raise BackendUnavailable(self.name, "its users cannot be looked up without their passwords")
        _require_text(user)
        return self._identity(self._ask(HookQuestion(user, None)), "the user could not log in now")

    def owner_of(self, namespace: str) -> str | None:
        """See `NamespaceOwner.owner_of`; a hook maps no names, so the namespace of a user is the name."""
        try:
            found = self.find(namespace)
        except InvalidCredentials:  # the user exists, or the namespace can be nobody's name
            return namespace
        return None if found is None else found.subject

    def decoy(self, credentials: Password, *, is_looked_up: bool = True) -> None:  # noqa: ARG002 - see below
        """Take as long as a login, unless the hook was asked about the name already.

        The typed name and password are never sent: they may be those of a user of another source.

        Raises:
            BackendUnavailable: as with a wrong password.
        """
        if not is_looked_up:
            self.probe()

    def probe(self) -> None:
        """Check that the hook answers, by a login of a user who cannot exist.

        Raises:
            BackendUnavailable: it does not.
        """
        self._hook.ask(HookQuestion(secrets.token_hex(16), Secret(secrets.token_hex(16))))

    def retire(self) -> None:
        """Release what the hook holds, when another one takes its place or the server ends."""
        self._release()

    def _ask(self, question: HookQuestion) -> HookAnswer:
        """The answer. A name at which the hook fails is that name's problem, if it can still answer about another one:
        nobody opens the circuit breaker for everybody by typing it.
        """
        try:
            return self._hook.ask(question)
        except HookMisbehaved as error:
            try:
                self.probe()
            except BackendUnavailable:
                raise error from None
            raise Incomplete(self.name, f"{error.reason}; it answers about other names") from None

    def _identity(self, answer: HookAnswer, refusal: str) -> Identity | None:
        if answer.result is HookResult.WRONG:
            raise InvalidCredentials(f"the hook says that {refusal}")
        if answer.result is HookResult.UNSUPPORTED:
            # This says nothing about logins, so the circuit breaker must not open.
            raise Incomplete(self.name, "does not support questions about users without their passwords (find)")
        return None if answer.user is None else hook_identity(answer.user, self.terms)


def _require_text(user: str) -> None:
    if not user.strip() or not user.isprintable() or len(user) > MAX_USERNAME:
        raise InvalidCredentials("the user name is empty, too long, or has characters that do not print")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
