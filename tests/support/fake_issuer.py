"""An issuer's HTTP server on a loopback port, which answers as a test says, and the clock of a test."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from harness.misfits import Reply, answering


class SetClock:
    """A clock that advances only when it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


@dataclass
class FakeIssuer:
    """What it answers to each path, and what it was asked: paths, and the headers `Authorization` and `Accept`."""

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    accepts: list[str | None] = field(default_factory=list)

    def serve(self, keys: bytes, *, headers: Mapping[str, str] | None = None, **discovery: Any) -> None:
        """Answer discovery and keys as an issuer does; `discovery` has other members of its document."""
        document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **discovery}
        self.replies["/.well-known/openid-configuration"] = Reply(200, (), json.dumps(document).encode())
        self.replies["/keys"] = Reply(200, tuple((headers or {}).items()), keys)


@contextmanager
def fake_issuer(context: ssl.SSLContext | None = None) -> Iterator[FakeIssuer]:
    """Such a server; with a context over TLS. A path without a reply is 404."""
    issuer = FakeIssuer()

    def reply_to(path: str, headers: Message) -> Reply:
        issuer.paths.append(path)
        issuer.authorizations.append(headers.get("authorization"))
        issuer.accepts.append(headers.get("accept"))
        return issuer.replies.get(path, Reply(404))

    with answering(reply_to, context=context) as port:
        issuer.url = f"{'http' if context is None else 'https'}://localhost:{port}"
        yield issuer


def now_and_here(run: Callable[[], None]) -> None:
    """In place of a thread."""
    run()
