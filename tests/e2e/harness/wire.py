"""A tap on the wire: passes bytes between clients and the token server untouched, and reads a copy of them.

Nothing is buffered, decoded or rewritten, so that a chunked body or an odd header reaches the server as the client
sent it. What a client really asked and got is the oracle of many tests; the audit events are the server's own word.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from harness import web

SETTLE_SECONDS = 30.0

_Message = tuple[str, dict[str, str], bytes]


@dataclass(frozen=True)
class Exchanged:
    """One request with its answer, as they were on the wire. Header names are in lower case.

    `status` is 0 where the client went away before the answer came: crane does that to its other uploads when one of
    them is refused.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    form: tuple[tuple[str, str], ...]
    status: int
    answer: bytes

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The query of a GET, the form of a POST."""
        return self.form if self.method == "POST" else self.query

    def values(self, name: str) -> list[str]:
        """All values of a parameter, in order."""
        return [value for key, value in self.parameters if key == name]

    @property
    def user(self) -> str | None:
        """The user name in the Basic header or the form, None if there was none."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            return base64.b64decode(encoded).decode().partition(":")[0]
        return next(iter(self.values("username")), None) if self.method == "POST" else None

    @property
    def asked(self) -> frozenset[str]:
        """The scopes as asked, one string each, actions in alphabetical order."""
        return frozenset(normal(scope) for value in self.values("scope") for scope in value.split())

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the token that was answered; empty if none was."""
        try:
            token = json.loads(self.answer)["token"]
        except (ValueError, KeyError):
            return {}
        return web.claims(token)

    @property
    def granted(self) -> frozenset[str]:
        """The access of the answered token in the form of `asked`."""
        access = self.claims.get("access", [])
        return frozenset(normal(f"{one['type']}:{one['name']}:{','.join(one['actions'])}") for one in access)


def normal(scope: str) -> str:
    """The scope with its actions in alphabetical order, since clients send any order."""
    resource, _, actions = scope.rpartition(":")
    return f"{resource}:{','.join(sorted(actions.split(',')))}"


@dataclass
class _Connection:
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    is_over: bool = False


class Wire:
    """Listens on a loopback port and passes everything on to `target`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._connections: list[_Connection] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._relays: list[threading.Thread] = []
        self._listening = threading.Thread(target=self._accept, daemon=True)
        self._listening.start()

    def close(self) -> None:
        """Stop listening and cut what is open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listening.join()
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        for relay in self._relays:
            relay.join()

    @contextlib.contextmanager
    def diverted(self, port: int) -> Iterator[None]:
        """New connections lead to this port instead, for a while."""
        target, self._target = self._target, port
        try:
            yield
        finally:
            self._target = target

    def mark(self) -> list[int]:
        """A point in time, for `since`."""
        with self._lock:
            return [len(list(_exchanges(one))) for one in self._connections]

    def since(self, mark: list[int]) -> list[Exchanged]:
        """The complete exchanges that came after the mark, by connection, then in order."""
        with self._lock:
            seen = mark + [0] * (len(self._connections) - len(mark))
            return [
                one for n, connection in zip(seen, self._connections, strict=True) for one in _exchanges(connection)[n:]
            ]

    def settled(self, mark: list[int]) -> list[Exchanged]:
        """What came after the mark, once every request has its answer; waits for that."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            with self._lock:
                if all(_is_settled(one) for one in self._connections):
                    break
            time.sleep(0.01)
        return self.since(mark)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            relay = threading.Thread(target=self._relay, args=(client, server), daemon=True)
            self._relays.append(relay)
            relay.start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        connection = _Connection()
        with self._lock:
            self._connections.append(connection)
            self._open |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client, connection.received), daemon=True)
        back.start()
        self._pump(client, server, connection.sent)
        back.join()
        with self._lock:
            connection.is_over = True
            self._open -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, copy: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    copy += data
                sink.sendall(data)
        # A half-closed connection stays half open for the other direction, as it would without the tap.
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _is_settled(connection: _Connection) -> bool:
    return connection.is_over or len(list(_messages(bytes(connection.sent)))) <= len(_exchanges(connection))


def _exchanges(connection: _Connection) -> list[Exchanged]:
    requests = list(_messages(bytes(connection.sent)))
    answers = [one for one in _messages(bytes(connection.received)) if not one[0].split(" ")[1].startswith("1")]
    if connection.is_over:
        answers += [("HTTP/1.1 0 none", {}, b"")] * (len(requests) - len(answers))
    return [_exchanged(*pair) for pair in zip(requests, answers, strict=False)]


def _exchanged(request: _Message, answer: _Message) -> Exchanged:
    (line, headers, body), (status, _, answered) = request, answer
    method, target, _ = line.split(" ")
    parts = urlsplit(target)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    form = tuple(parse_qsl(body.decode("latin-1"), keep_blank_values=True)) if is_form else ()
    return Exchanged(method, parts.path, query, headers, form, int(status.split(" ")[1]), answered)


def _messages(data: bytes) -> Iterator[_Message]:
    """The complete HTTP/1.1 messages in `data`: first line, headers, body."""
    while b"\r\n\r\n" in data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while True:
                size, found, rest = data.partition(b"\r\n")
                if not found:
                    return
                length = int(size, 16)
                if len(rest) < length + 2:
                    return
                body, data = body + rest[:length], rest[length + 2 :]
                if not length:
                    break
        else:
            length = int(headers.get("content-length", "0"))
            if len(data) < length:
                return
            body, data = data[:length], data[length:]
        yield first, headers, body
