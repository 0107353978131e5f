"""A bare HTTP client for the tests' own questions: one connection each, nothing followed, nothing retried."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
"""The header that goes with `form`."""


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case, repeated ones as a list) and body of an answer."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    def header(self, name: str) -> str | None:
        return next(iter(self.headers.get(name, [])), None)


def request(
    port: int,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    context: ssl.SSLContext | None = None,
    seconds: float = 20,
) -> Answer:
    """Send one request to this loopback port, over TLS if a context is given, and read its answer.

    Raises `OSError` or `http.client.HTTPException`.
    """
    if context is None:
        connection = http.client.HTTPConnection("localhost", port, timeout=seconds)
    else:
        connection = http.client.HTTPSConnection("localhost", port, timeout=seconds, context=context)
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        found: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            found.setdefault(name.lower(), []).append(value)
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def basic(user: str, password: str) -> dict[str, str]:
    """The Authorization header of these credentials, in UTF-8."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def token_target(service: str, scopes: Sequence[str] = (), path: str = "/token") -> str:
    """The target of a GET for a token."""
    return f"{path}?{urlencode([('service', service), *(('scope', scope) for scope in scopes)])}"


def claims(token: str) -> dict[str, Any]:
    """The claims of a token, unverified: the registries verify."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def header(token: str) -> dict[str, Any]:
    """The JOSE header of a token."""
    text = token.split(".", maxsplit=1)[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


@dataclass(frozen=True)
class Received:
    """All that came back for some bytes, and whether the other side closed the connection."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """The status of every final answer in it."""
        found = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", self.data)]
        return [status for status in found if status >= 200]


def raw(port: int, data: str | bytes, *, seconds: float = 3) -> Received:
    """Send these bytes to a loopback port and take what comes back until the other side closes or falls silent."""
    received = bytearray()
    closed = False
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        try:
            while part := connection.recv(65536):
                received += part
            closed = True
        except TimeoutError:
            pass
        except ConnectionResetError:
            closed = True
    return Received(bytes(received), closed)


def form(**fields: str) -> bytes:
    """The body of a form."""
    return urlencode(fields).encode()
