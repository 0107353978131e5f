"""The one error tree. It knows no HTTP: `web/problems.py` holds the table that answers with a status.

Three families: `LoadError` (a file or a setting is wrong, found at load), `RequestError` (the client can mend
it), and `ServiceError` (the client cannot). A message never holds a secret.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tokenserver.printable import cut, one_line

MAX_TOLD = 20
"""How many faults are printed or logged for one load; of the rest there is the count."""

MAX_KEPT = 1000
"""How many faults a load keeps."""

MAX_OF_A_FILE = 200
"""How many faults of one file are spelled out; what follows is counted."""

_MAX_PATH = 200
_MAX_MESSAGE = 1000


class TokenserverError(Exception):
    """The root of every error that this package raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in one file, with its place and, where it is known, what would be right.

    `file` is the path as the operator wrote it, `line` counts from 1 (0: the file as a whole), `path` is the
    place inside the document (`registries[0].compat`), empty where there is none. Path and message are cut to a length
    that a line of a log may have. `count` is how many faults it stands for.
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
        """One line without control characters, whatever the file and its name hold."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return one_line(f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}")


class Foreign(str):
    """The text of a file that a symbolic link leads to.

    The owner of the link may not be able to read that file, so no fault repeats what it holds. `target` is its path.
    """

    __slots__ = ("target",)

    target: str

    def __new__(cls, text: str, target: str) -> Foreign:
        """The text of the file `target`."""
        foreign = super().__new__(cls, text)
        foreign.target = target
        return foreign


def veiled(fault: Fault, target: str) -> Fault:
    """The fault without a word of what the file holds, which is `target`, behind a link."""
    message = f"is wrong; the file is a link to {target}, so what it holds is not shown; fix: put the file itself here"
    return Fault(fault.file, fault.line, "", message, fault.count)


def more_faults(file: str, count: int) -> Fault:
    """Stands for `count` faults of a file that are not spelled out."""
    return Fault(file, 0, "", f"has {count:,} more fault{'s' if count != 1 else ''}", count)


def is_full(faults: Sequence[Fault]) -> bool:
    """Whether further faults of this file are only counted."""
    return len(faults) > MAX_OF_A_FILE


def note(faults: list[Fault], fault: Fault) -> None:
    """Add a fault to those of the same file; beyond `MAX_OF_A_FILE` the last one stands for all that follow."""
    if is_full(faults):
        faults[-1] = more_faults(fault.file, faults[-1].count + fault.count)
    elif len(faults) == MAX_OF_A_FILE:
        faults.append(more_faults(fault.file, fault.count))
    else:
        faults.append(fault)


class LoadError(TokenserverError):
    """Files or settings were refused. `faults` holds what was found, never only the first: up to a thousand of them.

    The text has the first twenty, one a line, and how many more there are.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(kept(faults))
        told, more = told_faults(self.faults)
        super().__init__("\n".join([*map(str, told), *([spell_more(more)] if more else [])]))

    @property
    def count(self) -> int:
        """How many faults were found, those included that are not kept."""
        return sum(fault.count for fault in self.faults)


def kept(faults: Iterable[Fault]) -> list[Fault]:
    """The first `MAX_KEPT` of the faults by their places, each once; one more stands for all others."""
    found = sorted(set(faults))
    if len(found) <= MAX_KEPT + 1:
        return found
    first = heapq.nsmallest(MAX_KEPT, (fault for fault in found if fault.count == 1))
    rest = sum(fault.count for fault in found) - len(first)
    return [*first, more_faults("all files", rest)]


def told_faults(faults: Sequence[Fault]) -> tuple[Sequence[Fault], int]:
    """The faults to print or to log, at most `MAX_TOLD`, and how many more there are."""
    told = [fault for fault in faults if fault.count == 1][:MAX_TOLD]
    return told, sum(fault.count for fault in faults) - len(told)


def spell_more(count: int) -> str:
    """The line after the last fault that is told."""
    return f"and {count:,} more"


class RequestError(TokenserverError):
    """A request that the client can mend; its text is safe to send back."""


class InvalidRequest(RequestError):
    """A parameter is missing, unknown, repeated or where it must not be."""


class TooManyScopes(InvalidRequest):
    """More scopes, or more scope text, than one request may bring."""


class UnsupportedGrantType(RequestError):
    """A grant type that this server does not offer (RFC 6749, section 5.2)."""


class InvalidCredentials(RequestError):
    """Credentials were brought and are not right.

    `reason` is for the audit event alone. The client gets one text for every reason, so that nobody learns
    which users exist.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("wrong user name or password")


class AuthenticationRequired(RequestError):
    """No credentials were brought, and anonymous access is off."""

    def __init__(self) -> None:
        super().__init__("authentication required")


class PlainHttp(RequestError):
    """A request came over a network without TLS, where that is not wanted; nothing in it was looked at.

    `reason` is for the audit event: what the operator can do about it.
    """

    reason = "plain http from another machine; use TLS, name the proxy in trusted_proxies, or require_https: false"

    def __init__(self) -> None:
        super().__init__("plain http is refused here, use https")


class Throttled(RequestError):
    """Too many attempts; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__("too many attempts, try again later")


class ServiceError(TokenserverError):
    """The server cannot answer now. The text is for the log; clients get a generic one."""


class BackendUnavailable(ServiceError):
    """A user source cannot tell whether the credentials are right. `retry_after` is in seconds.

    `is_even`: all has been done that any failed login does, so that the time of the answer tells nothing.
    """

    is_even = False

    def __init__(self, backend: str, reason: str, retry_after: int = 5) -> None:
        self.backend = backend
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(f"{backend}: {reason}")


class Overloaded(BackendUnavailable):
    """There is no room for one more login now; it says nothing about the backend. Shed at once, so that others work."""


class Incomplete(BackendUnavailable):
    """The source works, but cannot tell all about this user: what is missing might have been denied something.

    It says nothing about other users, so that nobody else has to wait for it.
    """


class SigningFailed(ServiceError):
    """A token could not be signed, or its signature does not verify. No token leaves."""


class TokenMismatch(ServiceError):
    """What was signed is not what was decided: a bug. No token leaves."""


class AuditUnavailable(ServiceError):
    """The audit event of an exchange could not be written; no token leaves."""
