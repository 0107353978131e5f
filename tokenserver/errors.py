"""The error tree, and faults in files. It knows no HTTP: `web/problems.py` maps errors to statuses.

Three families: `LoadError` (a file or a setting is wrong, found at load), `RequestError` (the client can fix it) and
`ServiceError` (the client cannot). A message never holds a secret.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from tokenserver.printable import cut, one_line

MAX_REPORTED = 20
"""How many faults of one load are printed or logged; the rest is only counted."""

MAX_KEPT = 1000
"""How many faults a load keeps."""

MAX_PER_FILE = 200
"""How many faults of one file are listed; the rest is only counted."""

_MAX_PATH = 200
_MAX_MESSAGE = 1000


class TokenserverError(Exception):
    """The root of every error that this package raises on purpose.

    `outcome` is the word for an exchange that ended with it, in audit events and metrics: one of `outcomes.OUTCOMES`.
    """

    outcome: ClassVar[str] = "error"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in a file: the place, the problem and, where it is known, the fix.

    `file` is the path as the operator wrote it, `line` counts from 1 (0: the file as a whole), and `path` is the place
    inside the document (`registries[0].compat`), or empty. Path and message are truncated to fit into a line of a log.
    `count` is the number of faults that it stands for.
    """

    file: str
    line: int
    path: str
    message: str
    count: int = field(default=1, compare=False)

    def __post_init__(self) -> None:
        if len(self.path) > _MAX_PATH or len(self.message) > _MAX_MESSAGE:
            object.__setattr__(self, "path", cut(self.path, _MAX_PATH))
            object.__setattr__(self, "message", cut(self.message, _MAX_MESSAGE))

    def __str__(self) -> str:
        """One line, with control characters of the file or its name escaped."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return one_line(f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}")


class LinkedText(str):
    """Text of a file that was read through a symbolic link; `target` is the path of the file.

    The owner of the link may not be able to read that file, so faults do not show its content.
    """

    __slots__ = ("target",)

    target: str

    def __new__(cls, text: str, target: str) -> LinkedText:
        """The text of the file `target`."""
        foreign = super().__new__(cls, text)
        foreign.target = target
        return foreign


def redacted(fault: Fault, target: str) -> Fault:
    """The fault without any content of the file, which was read through a link to `target`."""
    message = f"is wrong; the file is a link to {target}, so what it holds is not shown; fix: put the file itself here"
    return Fault(fault.file, fault.line, "", message, fault.count)


def more_faults(file: str, count: int) -> Fault:
    """A fault that stands for `count` faults of a file that are not listed."""
    return Fault(file, 0, "", f"has {count:,} more fault{'s' if count != 1 else ''}", count)


def is_full(faults: Sequence[Fault]) -> bool:
    """Whether `note` only counts further faults of this file."""
    return len(faults) > MAX_PER_FILE


def note(faults: list[Fault], fault: Fault) -> None:
    """Add a fault to those of the same file; beyond `MAX_PER_FILE` the last one stands for all further ones."""
    if is_full(faults):
        faults[-1] = more_faults(fault.file, faults[-1].count + fault.count)
    elif len(faults) == MAX_PER_FILE:
        faults.append(more_faults(fault.file, fault.count))
    else:
        faults.append(fault)


class LoadError(TokenserverError):
    """Files or settings were rejected. `faults` holds all faults, not just the first, up to a thousand of them.

    The text lists the first twenty, one per line, and how many more there are.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(kept(faults))
        reported, more = reported_faults(self.faults)
        super().__init__("\n".join([*map(str, reported), *([spell_more(more)] if more else [])]))

    @property
    def count(self) -> int:
        """How many faults were found, including those that are not kept."""
        return sum(fault.count for fault in self.faults)


def kept(faults: Iterable[Fault]) -> list[Fault]:
    """The first `MAX_KEPT` distinct faults in the order of their places, and one that stands for all others."""
    found = sorted(set(faults))
    if len(found) <= MAX_KEPT + 1:
        return found
    first = heapq.nsmallest(MAX_KEPT, (fault for fault in found if fault.count == 1))
    rest = sum(fault.count for fault in found) - len(first)
    return [*first, more_faults("all files", rest)]


def reported_faults(faults: Sequence[Fault]) -> tuple[Sequence[Fault], int]:
    """The faults to print or log, at most `MAX_REPORTED`, and how many more there are."""
    reported = [fault for fault in faults if fault.count == 1][:MAX_REPORTED]
    return reported, sum(fault.count for fault in faults) - len(reported)


def spell_more(count: int) -> str:
    """The line after the last reported fault."""
    return f"and {count:,} more"


class RequestError(TokenserverError):
    """A request that the client can fix; its text is safe to send back."""

    outcome = "invalid_request"


class InvalidRequest(RequestError):
    """A parameter is missing, unknown, repeated or in the wrong place."""


class TooManyScopes(InvalidRequest):
    """More distinct resources, or more scope text, than one request may have (`limits`)."""


class UnsupportedGrantType(RequestError):
    """A grant type that this server does not offer (RFC 6749, section 5.2)."""


class InvalidCredentials(RequestError):
    """Credentials were sent and are wrong.

    `reason` is only for the audit event. The client gets the same text for every reason, so that it cannot find out
    which users exist; `public` replaces that text where it depends on nothing that the client did not send.
    """

    outcome = "invalid_credentials"

    def __init__(self, reason: str, public: str = "wrong user name or password") -> None:
        self.reason = reason
        super().__init__(public)


class AccountEnded(InvalidCredentials):
    """The account was disabled, or has expired. What was derived from it does not come back with it."""


class OutdatedLogin(InvalidCredentials):
    """This login, or all of the person, were `ended` after it was verified, so nothing is stored or changed for it.

    A verification that begins once `revision` of the storage is known is later than the end.
    """

    def __init__(self, revision: int, ended: str = "all logins of this account were") -> None:
        self.revision = revision
        public = f"{ended} ended a moment ago; fix: log in again"
        super().__init__("the logins of the user were ended after this one was verified", public)


class LoginTooOld(InvalidCredentials):
    """The last login of the owner at an OpenID provider does not count any more; it is at `login_page` that they do it
    again, after which the same credentials work.
    """

    def __init__(self, reason: str, login_page: str) -> None:
        self.login_page = login_page
        super().__init__(reason, f"the last login is too long ago; fix: log in again: {login_page}")


class UnusableAccessKey(InvalidCredentials):
    """A right access key that may not be used: expired, from elsewhere, or with the user name of somebody else.

    The client has proved that it has the key, so `public` may say what is wrong with it.
    """


class UnknownRefreshToken(InvalidCredentials):
    """A refresh token that this server does not know, such as one that clients keep from an earlier token server."""

    fix = "log out of the registry and in again: docker logout HOST, then docker login HOST"
    """What its owner can do; HOST is the registry."""

    def __init__(self) -> None:
        public = f"this server does not know the stored identity token; fix: {self.fix}"
        super().__init__("unknown refresh token", public)


class AuthenticationRequired(RequestError):
    """No credentials were sent, and anonymous access is off."""

    outcome = "authentication_required"

    def __init__(self) -> None:
        super().__init__("authentication required")


class PlainHttp(RequestError):
    """A request came over the network without TLS although https is required; nothing in it was looked at.

    `reported`: which trusted proxy reports which scheme; empty if none does. `reason` is for the audit event; it says
    what the operator can do, and may have a `hint` that the client does not get.
    """

    def __init__(self, reported: str = "", *, hint: str = "") -> None:
        found = reported or hint
        self.reason = (
            f"plain http from another machine{f' ({found})' if found else ''};"
            " use TLS, name the proxy in trusted_proxies, or require_https: false"
        )
        super().__init__(f"plain http is refused here, use https{f'; {reported}' if reported else ''}")


class Throttled(RequestError):
    """Too many attempts; `retry_after` is in seconds, and `fix` what the client can do instead of waiting."""

    outcome = "throttled"

    def __init__(self, retry_after: int, fix: str = "") -> None:
        self.retry_after = retry_after
        super().__init__(f"too many attempts, try again later{f', or {fix}' if fix else ''}")


class ServiceError(TokenserverError):
    """The server cannot answer now. The text is for the log; clients get a generic one."""

    outcome = "unavailable"


class BackendUnavailable(ServiceError):
    """A user source cannot tell whether the credentials are right. `retry_after` is in seconds.

    `summary` says why and how to fix it, without any name of a host or user, for `/readyz`.
    `is_even`: all the work of a failed login has been done, so the response time reveals nothing.
    """

    is_even = False

    def __init__(self, backend: str, reason: str, retry_after: int = 5, *, summary: str = "does not answer") -> None:
        self.backend = backend
        self.reason = reason
        self.summary = summary
        self.retry_after = retry_after
        super().__init__(f"{backend}: {reason}")


class Overloaded(BackendUnavailable):
    """No capacity for another login; it says nothing about the backend. Rejected immediately, so that others get on."""


class Incomplete(BackendUnavailable):
    """The source works, but does not know everything about this user, and a deny rule might match what is missing.

    It says nothing about other users, so no other login waits because of it.
    """


class SigningFailed(ServiceError):
    """A token could not be signed, or its signature does not verify. No token is sent."""


class TokenMismatch(ServiceError):
    """The signed claims differ from the decision, which is a bug. No token is sent."""


class AuditUnavailable(ServiceError):
    """The audit event of an exchange could not be written. No token is sent."""
