"""A fake directory that sends what no real one can be made to send, and the messages for it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from directory_entries import BASE

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.ber import PASSWORD_POLICY, Malformed, message_size
from tokenserver.authn.ldap.directory import Address, Directory, GroupsBy, GroupSettings
from tokenserver.credentials import Secret


def tagged(tag: int, content: bytes) -> bytes:
    """One value in BER."""
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def text(value: bytes) -> bytes:
    """An octet string."""
    return tagged(0x04, value)


def message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    """An LDAP message."""
    return tagged(0x30, b"\x02\x01" + bytes([number]) + operation + controls)


def policy_control(value: bytes) -> bytes:
    """The controls of an answer: the one of password policies, with this value."""
    return tagged(0xA0, tagged(0x30, text(PASSWORD_POLICY.encode()) + text(value)))


def result(tag: int, code: int = 0, diagnostic: bytes = b"") -> bytes:
    """The result of an operation."""
    return tagged(tag, b"\x0a\x01" + bytes([code]) + text(b"") + text(diagnostic))


def entry(dn: bytes, attributes: dict[bytes, list[bytes]]) -> bytes:
    """An entry."""
    listed = b"".join(
        tagged(0x30, text(name) + tagged(0x31, b"".join(map(text, values)))) for name, values in attributes.items()
    )
    return tagged(0x64, text(dn) + tagged(0x30, listed))


Answers = Callable[[int, int], Iterator[bytes]]
"""The number and the tag of a request -> the answer, piece by piece."""


class HangUp(Exception):
    """The directory closes the connection."""


class Rogue:
    """A scripted directory, which counts the bytes that were read from it."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.sent = 0
        self.binds = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                # Several small messages in a row would each wait for the client's delayed acknowledgement.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients.append(client)
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        data = b""
        with client, contextlib.suppress(OSError, Malformed, HangUp):
            while True:
                size = message_size(data)
                if size is None or len(data) < size:
                    piece = client.recv(65536)
                    if not piece:
                        return
                    data += piece
                    continue
                number, tag = _asked(data[:size])
                data = data[size:]
                self.binds += tag == 0x60
                for answer in self.answers(number, tag):
                    client.sendall(answer)
                    self.sent += len(answer)


def _asked(request: bytes) -> tuple[int, int]:
    """The number and the tag of a request; ours are small enough for one byte of each."""
    start = 2 if request[1] < 0x80 else 2 + request[1] - 0x80
    return request[start + 2], request[start + 3]


@contextmanager
def rogue(answers: Answers) -> Iterator[Rogue]:
    """A running one."""
    server = Rogue(answers)
    try:
        yield server
    finally:
        server.close()


def source(server: Rogue, **more: Any) -> LdapDirectory:
    """The backend that uses it."""
    values: dict[str, Any] = {
        "name": "corp",
        "servers": (Address(f"ldap://127.0.0.1:{server.port}", "127.0.0.1", server.port, is_ldaps=False),),
        "bases": (BASE,),
        "subject": "uid",
        "display_name": "cn",
        "email": "mail",
        "lowercase": True,
        "deadline": 3.0,
        "plaintext": True,
        "bind": ("cn=reader", Secret("reader")),
        "user_filter": "(uid={user})",
        "groups": GroupSettings(GroupsBy.MEMBER, (BASE,)),
    }
    return LdapDirectory(Directory(**(values | more)), None)


NUMBER = 0xEE
"""Placeholder for the number of the request in prepared answers."""


def numbered(pieces: Iterable[bytes], number: int) -> Iterator[bytes]:
    """Prepared messages as answers to the request of that number."""
    for piece in pieces:
        yield piece.replace(b"\x02\x01\xee", b"\x02\x01" + bytes([number]))


def answering(pieces: Iterable[bytes]) -> Answers:
    """A directory whose service account may bind, and that answers every search with these pieces."""

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag == 0x60:
            yield message(number, result(0x61))
        elif tag == 0x63:
            yield from numbered(pieces, number)

    return answers
