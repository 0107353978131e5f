"""Why a login at an OpenID provider leads to nobody here. Pure."""

from __future__ import annotations

from tokenserver.errors import InvalidCredentials

BEGIN_AGAIN = "begin the login again"
ASK = "ask the administrator of this server, who finds the reason in the audit log"


class RefusedLogin(InvalidCredentials):
    """A login that ends without a session. `reason` is for the audit event, `public` for the person who tried it."""

    def __init__(self, reason: str, public: str) -> None:
        super().__init__(reason, public)


class NotOurLogin(RefusedLogin):
    """The browser did not begin this login, or has ended it: an old page, a second use, or somebody else's link."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, f"this login was not begun in this browser, or has ended; fix: {BEGIN_AGAIN}")


class RefusedByProvider(RefusedLogin):
    """The provider answered with an error instead of a person. `error` is its code (RFC 6749, section 4.1.2.1)."""

    def __init__(self, error: str) -> None:
        self.error = error
        super().__init__(
            f"the provider answers {error}",
            f"the provider ended the login with the error {error}; fix: {BEGIN_AGAIN}, or {ASK}",
        )


def unusable_answer(reason: str) -> RefusedLogin:
    """The refusal of an answer of the provider that the person can do nothing about."""
    return RefusedLogin(reason, f"the answer of the provider is not accepted; fix: {ASK}")
