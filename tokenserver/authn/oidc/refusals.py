"""Why a login at an OpenID provider leads to nobody here, in words for the person who tried it. Pure."""

from __future__ import annotations

from tokenserver.errors import InvalidCredentials

NOT_BEGUN = "This login was not begun in this browser, or it has ended. Begin it again."
PROVIDER_ERROR = "The provider ended the login with the error {error}. Begin it again, or ask an administrator."
NOT_ACCEPTED = (
    "The answer of the provider was not accepted. Ask an administrator, who finds the reason in the audit log."
)
WRONG_DOMAIN = "Only accounts of {domain} can log in here. Log in with one of those."
UNVERIFIED = (
    "The provider has not verified your e-mail address, which would be your name here. Verify it there, then log in"
    " again."
)
NO_NAME = "The provider gives no name that can be used here in the claim {claim}. Ask an administrator."
TOO_MANY_GROUPS = "You are in more groups than the provider can list. Ask an administrator."
NO_ACCOUNT = "The provider knows you as {subject}, and there is no such account here. Ask an administrator."
ACCOUNT_REFUSED = "Your account cannot log in here now. Ask an administrator."
NAME_TAKEN = "The name {subject} is that of another account here. Ask an administrator."
NAME_WAS_TAKEN = "The name {subject} was somebody else's before. Ask an administrator."
RENAMED = "The provider gives you another name than before. Ask an administrator."


class RefusedLogin(InvalidCredentials):
    """A login that ends without a session. `reason` is for the audit event alone.

    `text` is one of the texts above, for a page, and `values` are what is filled in.
    """

    def __init__(self, reason: str, text: str, **values: str) -> None:
        self.text = text
        self.values = values
        super().__init__(reason, text.format(**values))


class NotOurLogin(RefusedLogin):
    """The browser did not begin this login, or has ended it: an old page, a second use, or somebody else's link."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, NOT_BEGUN)


class RefusedByProvider(RefusedLogin):
    """The provider answered with an error instead of a person. `error` is its code (RFC 6749, section 4.1.2.1)."""

    def __init__(self, error: str) -> None:
        self.error = error
        super().__init__(f"the provider answers {error}", PROVIDER_ERROR, error=error)


def unusable_answer(reason: str) -> RefusedLogin:
    """The refusal of an answer of the provider that the person can do nothing about."""
    return RefusedLogin(reason, NOT_ACCEPTED)
