"""LDAP on the wire (RFC 4511): one connection to one server, with every wait under one deadline.

The only importer of ldap3, which builds the requests. Sockets, TLS and the answers are handled here, because ldap3
follows referrals with the user's password, bounds each read but not their sum, and trusts the lengths in an answer.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from ldap3 import BASE, DEREF_NEVER, SIMPLE, SUBTREE
from ldap3.operation.bind import bind_operation
from ldap3.operation.extended import extended_operation
from ldap3.operation.search import search_operation
from ldap3.operation.unbind import unbind_operation
from ldap3.protocol.convert import build_controls_list
from ldap3.protocol.rfc2696 import paged_search_control
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from ldap3.utils.asn1 import encode

from tokenserver.authn.ldap import ber
from tokenserver.authn.ldap.ber import Malformed, Message, Result, SearchEntry, TooMany
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.network import handshake_failure, malformed_failure, request_failure
from tokenserver.authn.ldap.failures.result_codes import result_text
from tokenserver.credentials import Secret

SUCCESS, SIZE_LIMIT_EXCEEDED, NO_SUCH_OBJECT = 0, 4, 32

_START_TLS = "1.3.6.1.4.1.1466.20037"
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

    def secure(self, context: ssl.SSLContext, deadline: Deadline) -> None:
        """Switch to TLS, with the server's certificate and host name verified by `context`."""
        try:
            self._socket.settimeout(deadline.left())
            secured = context.wrap_socket(self._socket, server_hostname=self.address.host)
        except (OSError, ValueError) as error:
            raise ConnectionFailed(handshake_failure(error, self.address.host)) from error
        self._socket, self._is_new = secured, True
        self.tls = secured.version()
        self.certificate = dict(secured.getpeercert() or {})

    def start_tls(self, context: ssl.SSLContext, deadline: Deadline) -> None:
        """StartTLS (RFC 4511, section 4.14). Data received before TLS is not trusted afterwards."""
        number = self._send("extendedReq", lambda: extended_operation(_START_TLS), deadline)
        result = self._result(number, ber.EXTENDED_RESPONSE, deadline)
        if result.code != SUCCESS:
            raise ConnectionFailed(FailureCause.START_TLS_REFUSED, detail=result_text(result))
        if self._data:
            raise ConnectionFailed(FailureCause.START_TLS_INJECTION, host=self.address.host)
        self.secure(context, deadline)

    def bind(self, dn: str, password: Secret, deadline: Deadline) -> Result:
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
        number = self._send("bindRequest", lambda: bind_operation(3, SIMPLE, name=dn, password=secret), deadline)
        return self._result(number, ber.BIND_RESPONSE, deadline)

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
        control = paged_search_control(criticality=bool(cookie) or not limit, size=size, cookie=cookie)
        number = self._send(
            "searchRequest",
            lambda: _search(base, search_filter, SUBTREE, attributes, deadline, limit=limit),
            deadline,
            [control],
        )
        self._limit = limit
        return number

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
        scope = BASE if is_read else SUBTREE
        number = self._send(
            "searchRequest", lambda: _search(base, search_filter, scope, attributes, deadline, limit=limit), deadline
        )
        self._limit = limit
        return number

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
            self._socket.send(self._encoded("unbindRequest", unbind_operation))
        with contextlib.suppress(OSError):
            self._socket.close()

    def _send(self, kind: str, build: Callable[[], Any], deadline: Deadline, controls: Sequence[Any] = ()) -> int:
        self._request = kind
        try:
            data = self._encoded(kind, build, controls)
            self.is_waiting = True
            self._socket.settimeout(deadline.left())
            self._socket.sendall(data)
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        return self._number

    def _encoded(self, kind: str, build: Callable[[], Any], controls: Sequence[Any] = ()) -> bytes:
        """The encoded message with the request that `build` returns.

        Raises:
            Unanswerable: it cannot be encoded. The library does not document what it raises, so any error counts.
        """
        self._number += 1
        try:
            message = LDAPMessage()
            message["messageID"] = MessageID(self._number)
            message["protocolOp"] = ProtocolOp().setComponentByName(kind, build())
            if controls:
                message["controls"] = build_controls_list(list(controls))
            return bytes(encode(message))
        except TimeoutError:
            raise
        except Exception as error:
            raise Unanswerable(FailureCause.NOT_ENCODABLE, detail=type(error).__name__) from error

    def _result(self, number: int, tag: int, deadline: Deadline) -> Result:
        message = self._receive(number, deadline)
        if message.tag != tag or not isinstance(message.body, Result):
            raise ConnectionFailed(FailureCause.WRONG_ANSWER)
        self.is_waiting = False
        return message.body

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


def _search(
    base: str, search_filter: str, scope: str, attributes: Sequence[str], deadline: Deadline, *, limit: int
) -> Any:
    """A search request for at most `limit` entries (0: all), which the server may abandon after the deadline."""
    seconds = ceil(deadline.left())  # whole seconds, rounded up: the server must not give up first
    return search_operation(
        base, search_filter, scope, DEREF_NEVER, list(attributes), limit, seconds, False, False, False
    )
