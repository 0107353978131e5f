"""LDAP on the wire (RFC 4511): one connection to one server, with every wait under one deadline.

ldap3 only encodes the requests (`wire.requests`). Sockets, TLS and the answers are handled here, because ldap3 follows
referrals with the user's password, bounds each read but not their sum, and trusts the lengths in an answer.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from tokenserver.authn.ldap import ber
from tokenserver.authn.ldap.accounts.password_policy import BindResult, parse_policy_response
from tokenserver.authn.ldap.ber import Malformed, Message, Result, SearchEntry, TooMany
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.network import handshake_failure, malformed_failure, request_failure
from tokenserver.authn.ldap.failures.result_codes import result_text
from tokenserver.authn.ldap.wire import requests
from tokenserver.credentials import Secret
from tokenserver.runtime.tracing.spans import traced

SUCCESS, SIZE_LIMIT_EXCEEDED, NO_SUCH_OBJECT = 0, 4, 32

_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Found:
    """The entries that a search found. `result` says whether they are complete; `cookie` requests the next page."""

    entries: tuple[SearchEntry, ...]
    result: Result
    cookie: bytes = b""


class Connection:
    """An open connection. It is used by one thread at a time, and closed after any `ConnectionFailed`.

    `tls` is the TLS version in use, or None; `certificate` is the server's, in the form returned by `ssl`.
    `is_waiting` is true while an answer is due, and stays true if the answer never arrives. `has_rule`: whether the
    directory has the matching rule `IN_CHAIN`, once that is known.
    """

    def __init__(self, address: Address, connected: socket.socket) -> None:
        self.address = address
        self.tls: str | None = None
        self.certificate: dict[str, Any] = {}
        self.is_waiting = False
        self._socket = connected
        self._data = bytearray()
        self._number = self._limit = 0
        self._request, self._is_new = "", True  # new: nothing has arrived since it was opened or secured
        self.has_rule: bool | None = None

    @traced("ldap tls")
    def secure(self, context: ssl.SSLContext, deadline: Deadline) -> None:
        """Switch to TLS, with the server's certificate and host name verified by `context`."""
        try:
            self._socket.settimeout(deadline.left())
            secured = context.wrap_socket(self._socket, server_hostname=self.address.expected_name)
        except (OSError, ValueError) as error:
            raise ConnectionFailed(handshake_failure(error, self.address.expected_name)) from error
        self._socket, self._is_new = secured, True
        self.tls = secured.version()
        self.certificate = dict(secured.getpeercert() or {})

    def start_tls(self, context: ssl.SSLContext, deadline: Deadline) -> None:
        """StartTLS (RFC 4511, section 4.14). Data received before TLS is not trusted afterwards."""
        number = self._send("extendedReq", requests.start_tls, deadline)
        _, result = self._answer(number, ber.EXTENDED_RESPONSE, deadline)
        if result.code != SUCCESS:
            raise ConnectionFailed(FailureCause.START_TLS_REFUSED, detail=result_text(result))
        if self._data:
            raise ConnectionFailed(FailureCause.START_TLS_INJECTION, host=self.address.host)
        self.secure(context, deadline)

    @traced("ldap bind")
    def bind(self, dn: str, password: Secret, deadline: Deadline) -> BindResult:
        """A simple bind (RFC 4511, section 4.2), as a user or as the service account.

        An empty DN or password is never sent: that would be an anonymous or unauthenticated bind (RFC 4513, section
        5.1), which a server may answer with success.

        Raises:
            ValueError: an empty or blank DN or password, or a NUL in one.
            ConnectionFailed: no answer. It must not be retried, since it may have counted as a failed login.
            Unanswerable: the request cannot be encoded.
        """
        text = password.reveal()
        if not dn.strip() or not text or "\0" in dn + text:
            raise ValueError("an empty DN or password would be an anonymous bind")
        # Bytes are sent unchanged; text would go through SASLprep, and could become a different password.
        secret = text.encode("utf-8", "surrogatepass")
        return self._bound(
            self._send("bindRequest", lambda number: requests.simple_bind(number, dn, secret), deadline), deadline
        )

    @traced("ldap bind")
    def bind_external(self, deadline: Deadline) -> BindResult:
        """A bind as the subject of the client certificate (SASL EXTERNAL, RFC 4422, appendix A).

        Raises:
            ConnectionFailed: no answer.
        """
        return self._bound(self._send("bindRequest", requests.external_bind, deadline), deadline)

    def who_am_i(self, deadline: Deadline) -> str | None:
        """The identity of this connection (RFC 4532), such as `dn:cn=reader,dc=example`; empty: it is anonymous.

        None if the server does not say.

        Raises:
            ConnectionFailed: no answer.
        """
        number = self._send("question for the identity", requests.who_am_i, deadline)
        message, result = self._answer(number, ber.EXTENDED_RESPONSE, deadline)
        return message.value.decode("utf-8", "replace") if result.code == SUCCESS else None

    def search(
        self,
        base: str,
        search_filter: str,
        attributes: Sequence[str],
        deadline: Deadline,
        *,
        limit: int,
        is_read: bool = False,
    ) -> Found:
        """The matching entries in the subtree of `base`; with `is_read`, the entry `base` itself.

        At most `limit` entries; if there are more, the result's code is `SIZE_LIMIT_EXCEEDED`. Referrals and
        continuation references are not followed, and aliases are not resolved.

        Raises:
            ConnectionFailed: no answer.
            Unanswerable: the filter cannot be encoded, or the answer is larger than a login may read.
        """
        return self.found(self.ask(base, search_filter, attributes, deadline, limit=limit, is_read=is_read), deadline)

    def page(
        self, base: str, search_filter: str, attributes: Sequence[str], deadline: Deadline, *, size: int, cookie: bytes
    ) -> Found:
        """One page of the matching entries in the subtree of `base` (RFC 2696); the first with an empty cookie."""
        return self.found(self.ask_page(base, search_filter, attributes, deadline, size=size, cookie=cookie), deadline)

    def ask_page(
        self,
        base: str,
        search_filter: str,
        attributes: Sequence[str],
        deadline: Deadline,
        *,
        size: int,
        cookie: bytes = b"",
        limit: int = 0,
    ) -> int:
        """Send a search for one page and return its number, for `found`. At most `limit` entries are kept; 0: all.

        A server without paging returns everything in one answer (the control is not critical for the first page).
        """
        return self._ask(base, search_filter, attributes, deadline, limit=limit, page=(size, cookie))

    def ask(
        self,
        base: str,
        search_filter: str,
        attributes: Sequence[str],
        deadline: Deadline,
        *,
        limit: int,
        is_read: bool = False,
    ) -> int:
        """Send a search and return its number, for `found`. Nothing else may be sent until `found` returns."""
        return self._ask(base, search_filter, attributes, deadline, limit=limit, is_read=is_read)

    @traced("ldap search")
    def found(self, number: int, deadline: Deadline) -> Found:
        """The answer to the search with that number. Entries beyond its limit are dropped."""
        entries: list[SearchEntry] = []
        while True:
            message = self._receive(number, deadline)
            if message.tag == ber.ENTRY and isinstance(message.body, SearchEntry):
                if not self._limit or len(entries) < self._limit:
                    entries.append(message.body)
            elif message.tag == ber.DONE and isinstance(message.body, Result):
                self.is_waiting = False
                return Found(tuple(entries), message.body, message.cookie)
            elif message.tag not in (ber.REFERENCE, ber.INTERMEDIATE):
                raise ConnectionFailed(FailureCause.WRONG_ANSWER, detail="it is not a search result")

    def is_quiet(self) -> bool:
        """Whether the connection can be reused: it seems open, and no unsolicited data has arrived."""
        if self.is_waiting or self._data:
            return False
        try:
            self._socket.settimeout(0)
            self._data += self._socket.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except (OSError, ValueError):
            return False
        return False  # closed, or a notice of disconnection has arrived

    def close(self) -> None:
        """Unbind and close; never blocks and never fails."""
        with contextlib.suppress(OSError, Unanswerable):
            self._socket.settimeout(0)
            self._socket.send(requests.unbind(self._number + 1))
        with contextlib.suppress(OSError):
            self._socket.close()

    def _ask(self, base: str, search_filter: str, attributes: Sequence[str], deadline: Deadline, **more: Any) -> int:
        def build(number: int) -> bytes:
            seconds = ceil(deadline.left())  # whole seconds, rounded up: the server must not give up first
            return requests.search(number, base, search_filter, attributes, seconds=seconds, **more)

        number = self._send("searchRequest", build, deadline)
        self._limit = more["limit"]
        return number

    def _send(self, kind: str, build: Callable[[int], bytes], deadline: Deadline) -> int:
        self._number += 1
        self._request = kind
        try:
            data = build(self._number)
            self.is_waiting = True
            self._socket.settimeout(deadline.left())
            self._socket.sendall(data)
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        return self._number

    def _bound(self, number: int, deadline: Deadline) -> BindResult:
        message, result = self._answer(number, ber.BIND_RESPONSE, deadline)
        try:
            policy = parse_policy_response(message.policy)
        except Malformed as error:
            self.is_waiting = True  # it must not be used again
            raise ConnectionFailed(FailureCause.NOT_LDAP, detail=str(error)) from error
        return BindResult(result.code, result.diagnostic, result.referrals, policy)

    def _answer(self, number: int, tag: int, deadline: Deadline) -> tuple[Message, Result]:
        message = self._receive(number, deadline)
        if message.tag != tag or not isinstance(message.body, Result):
            raise ConnectionFailed(FailureCause.WRONG_ANSWER)
        self.is_waiting = False
        return message, message.body

    def _receive(self, number: int, deadline: Deadline) -> Message:
        """The next message, which must answer the request with that number. It counts towards the read limit."""
        try:
            while (size := ber.message_size(self._data)) is None:
                self._read_more(deadline)
            deadline.read(size)
            while len(self._data) < size:
                self._read_more(deadline)
            message = ber.parse_message(bytes(self._data[:size]))
        except TooMany as error:
            raise Unanswerable(FailureCause.ENTRY_TOO_LARGE, detail=str(error)) from error
        except Malformed as error:
            raise ConnectionFailed(malformed_failure(error, self._data)) from error
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        del self._data[:size]
        if message.number != number:
            if message.number == 0 and isinstance(message.body, Result):
                raise ConnectionFailed(FailureCause.SESSION_ENDED, detail=result_text(message.body))
            raise ConnectionFailed(FailureCause.WRONG_ANSWER, detail="the answer is to another request")
        return message

    def _read_more(self, deadline: Deadline) -> None:
        self._socket.settimeout(deadline.left())
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise self._failed(EOFError())
        self._data += piece
        self._is_new = False

    def _failed(self, error: Exception) -> ConnectionFailed:
        return ConnectionFailed(request_failure(error, self._request, self.tls, is_new=self._is_new))
