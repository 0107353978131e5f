"""Requests as granian 2.8 hands them to an RSGI application, without granian: header lines, scope, body and answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tokenserver.process.body_reader import WorkerLoop

Lines = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Headers:
    """Header lines as granian 2.8 shows them: lines that are not ASCII are missing among items, and get stops there."""

    lines: Lines

    def items(self) -> Lines:
        return [(name, value) for name, value in self.lines if value.isascii()]

    def keys(self) -> Sequence[str]:
        return list(dict.fromkeys(name for name, _ in self.lines))

    def get(self, name: str) -> str | None:
        found = next((value for known, value in self.lines if known == name), None)
        return found if found is not None and found.isascii() else None

    def __len__(self) -> int:
        return len(self.keys())


@dataclass(frozen=True)
class Scope:
    """A request."""

    headers: Headers = field(default_factory=lambda: Headers([("host", "auth.example.com")]))
    client: str = "192.0.2.7:4711"
    server: str = "10.0.0.1:5001"
    scheme: str = "http"
    http_version: str = "1.1"
    method: str = "GET"
    path: str = "/token"
    query_string: str = "service=a"
    authority: str | None = None


class GranianPromise:
    """granian's future: it schedules the callback with the loop in the thread that completes or cancels it."""

    def __init__(self, loop: WorkerLoop) -> None:
        self._loop = loop
        self._result: Callable[[], bytes] | None = None
        self._callback: Callable[[GranianPromise], object] | None = None

    def add_done_callback(self, callback: Callable[[GranianPromise], object]) -> None:
        if self._result is not None:
            self._loop.call_soon(callback, self, context=None)
        self._callback = callback

    def complete(self, result: Callable[[], bytes]) -> None:
        if self._result is not None:
            return
        self._result = result
        if self._callback is not None:
            self._loop.call_soon_threadsafe(self._callback, self, context=None)

    def cancel(self) -> bool:
        if self._result is not None:
            return False
        self._result = cancelled
        if self._callback is not None:
            self._loop.call_soon(self._callback, self, context=None)
        return True

    def result(self) -> bytes:
        assert self._result is not None
        return self._result()


def cancelled() -> bytes:
    raise asyncio.CancelledError


class Exchange:
    """RSGI's protocol object of one request: its body of known length, and what was answered."""

    def __init__(self, body: GranianPromise | None = None) -> None:
        self._body = body
        self.answers: list[tuple[int, dict[str, str], bytes]] = []

    def __call__(self) -> GranianPromise:
        assert self._body is not None, "the body was asked for"
        return self._body

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Only the first answer is sent, as by granian."""
        self.answers.append((status, {name.lower(): value for name, value in headers}, body))


@dataclass(frozen=True)
class Watcher:
    """What granian calls an application with."""

    scope: Scope
    proto: Exchange
