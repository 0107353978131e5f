"""The audit trail: an observer that writes one JSON line per request, before its token leaves.

The line is built from named fields and never from a raw request, so that it can hold no secret. It is ASCII with every
control character escaped, so that nothing a client sends can forge a line or move a cursor.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple, Protocol

from tokenserver.credentials import Password
from tokenserver.errors import AuditUnavailable, InvalidCredentials, PlainHttp, TokenserverError
from tokenserver.exchange.audit_chain.links import MAX_MEMBER
from tokenserver.exchange.audit_chain.sink import MAX_PLAIN, ChainedSink
from tokenserver.exchange.audit_events import MAX_EVENT, cut, members, shown, split
from tokenserver.exchange.audit_outage import Outage, reason_of_errno
from tokenserver.exchange.audit_rulings import rejected_facts, ruling_members
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.exchange.outcomes import outcome_of, outcome_of_ruling
from tokenserver.exchange.rulings import MAX_RULINGS, Ruling
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.exchange.stored.logins import NewLogin
from tokenserver.runtime.bounded_cache import BoundedCache

CACHED_CHARACTERS = 8 * 1024
"""A ruling's part of an event counts as one entry of their cache for so many characters."""

_quoted = json.encoder.encode_basestring_ascii


class Sink(Protocol):
    """The destination of audit lines."""

    def write(self, line: bytes) -> None:
        """Write one whole line, newline included, or raise `OSError`."""
        ...


class AuditTrail:
    """An observer that builds audit events and writes them to a sink.

    `now` gives seconds since the epoch, `policy` the digest of the live policies, for events without a decision. An
    event that is too large for one line is split into several; see `audit_events`.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        now: Callable[[], float],
        policy: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._shared = sink if isinstance(sink, DescriptorSink) else None
        self._chained = sink if isinstance(sink, ChainedSink) else None
        """The sink, if it adds a link to each line."""
        self._link_start = "" if self._chained is None else self._chained.start
        self._max = MAX_EVENT if self._chained is None else MAX_EVENT - MAX_MEMBER
        self._outage = Outage(now=now, monotonic=monotonic)
        self._now = now
        self._policy = policy
        self._encoded: BoundedCache[Ruling, _EncodedRuling] = BoundedCache(MAX_RULINGS)
        self._second = (-1, "")  # the last one that was formatted

    def record(self, event: dict[str, Any]) -> None:
        """Write one event, preceded by the current time.

        Raises:
            AuditUnavailable: the sink did not take it.
        """
        self._write(members(event))

    def observe(
        self, request: TokenRequest | UnparsedRequest, outcome: TokenResult | Exception, seconds: float
    ) -> None:
        """Write the event of one request.

        Raises:
            AuditUnavailable: the sink did not take it.
        """
        if not isinstance(outcome, TokenResult):
            self.record(_failure(request, outcome, self._policy(), seconds))
            return
        # The same ruling reads the same in every event, so its part is encoded once.
        ruling = outcome.ruling
        encoded = self._encoded.get(ruling) if ruling.is_kept else None
        if encoded is None:
            encoded = _EncodedRuling(ruling_members(ruling), outcome_of_ruling(ruling))
            if ruling.is_kept and len(encoded.members) <= MAX_EVENT:
                self._encoded.put(ruling, encoded, 1 + len(encoded.members) // CACHED_CHARACTERS)
        # Written by hand, because these few are in every event: both ids are the server's own.
        client = "null" if request.client is None else _encoded_address(request.client)
        start = f'"event":"exchange","request_id":"{request.request_id}","method":{_quoted(request.method)}'
        program = ""
        if request.client_id is not None or request.user_agent is not None:
            program = _encoded_program(_cut(request.client_id), _cut(request.user_agent))
        token = outcome.token
        if outcome.login is not None:
            program = f"{_encoded_login(outcome.login)},{program}"
        end = '"outcome":"explained"' if token is None else f'"jti":"{token.jti}","outcome":"{encoded.outcome}"'
        self._write(f'{start},"client":{client},{program}{encoded.members},{end},"ms":{seconds * 1000:.3f}')

    @property
    def problem(self) -> str | None:
        """Why no events are written, as far as this process knows; None while they are."""
        error = self._outage.error or (0 if self._shared is None else self._shared.error)
        return f"standard output takes no events: {reason_of_errno(error)}" if error else None

    def check(self) -> None:
        """Detect the end of an outage, and the start of one that no request has met yet; call it once a second.

        During an outage it tries to write the event about the gap; when that succeeds, the outage is over.
        """
        try:
            if self._shared is not None:
                self._shared.check()
            gap = self._outage.gap()
            if gap is None and self._shared is not None and self._shared.error:
                self._outage.failed(self._shared.error, events=0)  # another process met it, and may be gone
                gap = self._outage.gap()
            if gap is not None:
                self._write_all([self._text(members(gap))])
                self._outage.reported(gap)
        except OSError as error:
            self._outage.failed(error.errno or errno.EIO, events=0)

    def _write(self, members_of_event: str) -> None:
        chained = self._chained
        number = 0 if chained is None else chained.plain
        text = self._text(members_of_event, number)
        if number and len(text) > MAX_PLAIN:
            number, text = 0, self._text(members_of_event)
        try:
            if chained is not None and number:
                chained.write_plain(text, number)
            elif len(text) <= self._max:
                self._sink.write(text.encode("ascii"))
            else:
                self._write_split(text)
        except OSError as error:
            self._outage.failed(error.errno or errno.EIO)
            raise AuditUnavailable(f"the audit event could not be written: {error.strerror}") from error
        if self._outage.is_on:
            self._outage.succeeded()

    def _write_split(self, text: str) -> None:
        event = json.loads(text)
        moment = event.pop("time")
        parts = split(event, size=self._max)
        self._write_all([f'{{"time":"{moment}",{members(part)}}}\n' for part in parts])

    def _write_all(self, texts: Sequence[str]) -> None:
        lines = [text.encode("ascii") for text in texts]
        if self._shared is not None:
            self._shared.write_all(lines)
        else:
            for one in lines:
                self._sink.write(one)

    def _text(self, members_of_event: str, number: int = 0) -> str:
        """The line of an event that happens now; without a number, it has no link."""
        now = self._now()
        second = int(now)
        formatted = self._second
        if formatted[0] != second:
            formatted = self._second = (second, datetime.fromtimestamp(second, UTC).isoformat()[:-6])
        time, millisecond = formatted[1], int((now - second) * 1000)
        if number:
            return f'{{"time":"{time}.{millisecond:03d}Z",{members_of_event}{self._link_start}{number}"}}\n'
        return f'{{"time":"{time}.{millisecond:03d}Z",{members_of_event}}}\n'


def _encoded_login(login: NewLogin) -> str:
    """The ids of a refresh token or session that the client is given, and of those that ended for it."""
    displaced = {"displaced": list(login.displaced)} if login.displaced else {}
    return members({"issued": login.id, **displaced})


@lru_cache(maxsize=4096)
def _encoded_address(address: IPv4Address | IPv6Address) -> str:
    return _quoted(str(address))


@lru_cache(maxsize=1024)
def _encoded_program(client_id: str | None, user_agent: str | None) -> str:
    """What a client calls itself, as members that end with a comma; the same few programs ask again and again."""
    named = _program(client_id, user_agent)
    return f"{members(named)}," if named else ""


def _program(client_id: str | None, user_agent: str | None) -> dict[str, Any]:
    named = {"client_id": shown(client_id), "user_agent": shown(user_agent)}
    return {name: value for name, value in named.items() if value is not None}


class _EncodedRuling(NamedTuple):
    """A ruling's part of an event, and its outcome."""

    members: str
    outcome: str


def _failure(request: TokenRequest | UnparsedRequest, error: Exception, policy: str, seconds: float) -> dict[str, Any]:
    """The event of a request that ended without a decision."""
    event: dict[str, Any] = {
        "event": "exchange",
        "request_id": request.request_id,
        "method": cut(shown(request.method)),
        "client": None if request.client is None else str(request.client),
        **_program(_cut(request.client_id), _cut(request.user_agent)),
    }
    if isinstance(request, TokenRequest):
        username = request.credentials.username if isinstance(request.credentials, Password) else None
        event |= {"asked": [str(scope) for scope in request.scopes.scopes], **rejected_facts(request.scopes.rejected)}
    else:
        username = request.username
        event |= {"asked": [cut(shown(scope)) for scope in request.asked]}
        event |= {"asked_omitted": request.asked_omitted} if request.asked_omitted else {}
    return {
        **event,
        "registry": _cut(shown(request.service)),
        "username": _cut(shown(username)),
        "policy": policy,
        "outcome": outcome_of(error),
        "reason": cut(reason_of(error)),
        "ms": round(seconds * 1000, 3),
    }


def reason_of(error: BaseException) -> str:
    """The reason of an error, for logs and audit events; of an unexpected one its type alone: the text is unsafe."""
    if isinstance(error, (InvalidCredentials, PlainHttp)):
        return error.reason
    return str(error) if isinstance(error, TokenserverError) else type(error).__name__


def _cut(text: str | None) -> str | None:
    return None if text is None else cut(text)
