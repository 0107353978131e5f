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
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable, reason_of
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.wire import requests
from tokenserver.credentials import Secret

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
    `is_waiting` is true while an answer is due, and stays true if the answer never arrives.
    """

    def __init__(self, address: Address, connected: socket.socket) -> None:
        self.address = address
        self.tls: str | None = None
        self.certificate: dict[str, Any] = {}
        self.is_waiting = False
        self._socket = connected
        self._data = bytearray()
        self._number = 0
        self._limit = 0

    def secure(self, context: ssl.SSLContext, deadline: Deadline) -> None:
        """Switch to TLS, with the server's certificate and host name verified by `context`."""
        try:
            self._socket.settimeout(deadline.left())
            secured = context.wrap_socket(self._socket, server_hostname=self.address.host)
        except ssl.SSLCertVerificationError as error:
            raise ConnectionFailed("tls", f"the certificate is rejected: {error.verify_message}") from error
        except TimeoutError as error:
            raise ConnectionFailed("tls", "no answer to the TLS handshake in time") from error
        except (OSError, ValueError) as error:
            raise ConnectionFailed("tls", f"the TLS handshake failed: {reason_of(error)}") from error
        self._socket = secured
        self.tls = secured.version()
        self.certificate = dict(secured.getpeercert() or {})

    def start_tls(self, context: ssl.SSLContext, deadline: Deadline) -> None:
        """StartTLS (RFC 4511, section 4.14). Data received before TLS is not trusted afterwards."""
        number = self._send(requests.start_tls, deadline)
        result = self._result(number, ber.EXTENDED_RESPONSE, deadline)
        if result.code != SUCCESS:
            raise ConnectionFailed("tls", f"StartTLS is rejected: {_describe(result)}")
        if self._data:
            raise ConnectionFailed("tls", "the server sent data between StartTLS and TLS")
        self.secure(context, deadline)

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
        return self._bound(self._send(lambda number: requests.simple_bind(number, dn, secret), deadline), deadline)

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
                raise ConnectionFailed("answer", "the answer is not a search result")

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
        try:
            seconds = ceil(deadline.left())  # whole seconds, rounded up: the server must not give up first
        except TimeoutError as error:
            raise ConnectionFailed("send", "no time is left") from error
        number = self._send(
            lambda number: requests.search(number, base, search_filter, attributes, seconds=seconds, **more), deadline
        )
        self._limit = more["limit"]
        return number

    def _send(self, build: Callable[[int], bytes], deadline: Deadline) -> int:
        self._number += 1
        data = build(self._number)
        self.is_waiting = True
        try:
            self._socket.settimeout(deadline.left())
            self._socket.sendall(data)
        except TimeoutError as error:
            raise ConnectionFailed("send", "the server did not accept the request in time") from error
        except (OSError, ValueError) as error:
            raise ConnectionFailed("send", reason_of(error)) from error
        return self._number

    def _bound(self, number: int, deadline: Deadline) -> BindResult:
        message = self._receive(number, deadline)
        if message.tag != ber.BIND_RESPONSE or not isinstance(message.body, Result):
            raise ConnectionFailed("answer", "the answer does not match the request")
        try:
            policy = parse_policy_response(message.policy)
        except Malformed as error:
            raise ConnectionFailed("answer", f"the answer is not LDAP: it {error}") from error
        self.is_waiting = False
        return BindResult(message.body.code, message.body.diagnostic, policy)

    def _result(self, number: int, tag: int, deadline: Deadline) -> Result:
        message = self._receive(number, deadline)
        if message.tag != tag or not isinstance(message.body, Result):
            raise ConnectionFailed("answer", "the answer does not match the request")
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
            raise Unanswerable(f"an entry {error}", "make the entry smaller") from error
        except Malformed as error:
            raise ConnectionFailed("answer", f"the answer is not LDAP: it {error}") from error
        except TimeoutError as error:
            raise ConnectionFailed("answer", "no answer in time") from error
        except (OSError, ValueError) as error:
            raise ConnectionFailed("answer", reason_of(error)) from error
        del self._data[:size]
        if message.number != number:
            ended = message.number == 0
            raise ConnectionFailed(
                "answer", "the server ended the session" if ended else "the answer is to another request"
            )
        return message

    def _read_more(self, deadline: Deadline) -> None:
        self._socket.settimeout(deadline.left())
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise ConnectionFailed("answer", "the server closed the connection without an answer")
        self._data += piece


def _describe(result: Result) -> str:
    return f"result {result.code}" + (f", {result.diagnostic}" if result.diagnostic else "")
