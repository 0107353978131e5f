"""`python -m bench.steps`: the cost of a response inside a worker, step by step, in microseconds of CPU time.

The steps are those of docs/fast-path.md. Each is called repeatedly in this process, separately, with warm caches; in a
running server with connections, threads and a load generator the same step takes about twice as long. `(...)` marks
steps that are part of the one above.
"""

from __future__ import annotations

import os
import tempfile
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.servers import QUERY, basic, write
from tokenserver.config.load import load_settings
from tokenserver.exchange.service import TokenRequest
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.web.application import application, token_endpoint
from tokenserver.web.authorization_header import parse_authorization
from tokenserver.web.parameters import parse_query
from tokenserver.web.payloads import token_body
from tokenserver.web.request_reader import token_request
from tokenserver.web.token_endpoint import TokenEndpoint

CALLS = 5_000
TIMES = 5


def main() -> None:
    """Print three tables: anonymous and a known user with token reuse, and a newly signed token."""
    with tempfile.TemporaryDirectory() as folder:
        for name, more, header in (
            ("anonymous, token reused", "", None),
            ("known user, token reused", "", basic("u0")),
            ("anonymous, newly signed", "token_reuse: 0s", None),
        ):
            with _parts(Path(folder) / name.replace(" ", "-").replace(",", ""), more) as parts:
                print(f"{name:52} {'µs':>8} {'share':>6}")
                _print(list(_steps(parts, header)))
                print()


def _steps(parts: RunningServer, header: str | None) -> Iterator[tuple[str, float]]:
    endpoint, app = token_endpoint(parts), application(parts)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/token", "QUERY_STRING": QUERY, "REMOTE_ADDR": "127.0.0.1",
    }  # fmt: skip
    if header is not None:
        environ["HTTP_AUTHORIZATION"] = header
    start_response: Any = lambda *_: None  # noqa: E731 - WSGI's callable, of which only being called counts
    for _ in range(2_000):  # fill the caches, and start token reuse
        endpoint.answer(environ)
    yield "the whole response", _microseconds(lambda: app.wsgi_app(environ, start_response))
    yield from _parsing(endpoint, environ, header)
    request = _parsed(environ)
    service = parts.exchange.service
    snapshot = parts.live.snapshot()
    result = service.exchange(request)
    yield "authentication", _microseconds(lambda: snapshot.chain.authenticate(request.credentials, request.client))
    yield "the ruling (with authentication)", _microseconds(lambda: service._ruling(snapshot, request))  # noqa: SLF001
    yield "the token (with the ruling)", _microseconds(lambda: service.exchange(request))
    token, ruling, *_ = result
    assert token is not None  # noqa: S101 - nobody asked for an explanation
    if not token.is_shared:
        yield from _signing(parts)
    yield "the audit line", _microseconds(lambda: parts.trail.observe(request, result, 0.00002))
    yield "the body, newly serialized", _microseconds(lambda: token_body(token, ruling, with_scope=False))


def _parsed(environ: dict[str, Any]) -> TokenRequest:
    return token_request(environ, parse_query(environ["QUERY_STRING"]), None, request_id="0" * 32, client=None)


def _parsing(endpoint: TokenEndpoint, environ: dict[str, Any], header: str | None) -> Iterator[tuple[str, float]]:
    yield "a random id", _microseconds(endpoint.new_id)
    yield "parsing the request", _microseconds(lambda: _parsed(environ))
    yield "(its query)", _microseconds(lambda: parse_query(QUERY))
    if header is not None:
        yield "(its Authorization)", _microseconds(lambda: parse_authorization((header,)))


def _signing(parts: RunningServer) -> Iterator[tuple[str, float]]:
    """An ECDSA signature and its verification, by the key itself."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - only for this table
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    key, algorithm, content = parts.live.snapshot().issuer.ring.active, ec.ECDSA(SHA256()), b"x" * 1_000
    private, public = key.private_key, key.public_key
    assert isinstance(private, ec.EllipticCurvePrivateKey)  # noqa: S101 - `write` makes such keys
    assert isinstance(public, ec.EllipticCurvePublicKey)  # noqa: S101 - as above
    signature = private.sign(content, algorithm)
    yield "(the signature)", _microseconds(lambda: private.sign(content, algorithm), calls=500)
    yield "(its check)", _microseconds(lambda: public.verify(signature, content, algorithm), calls=500)


@contextmanager
def _parts(folder: Path, more: str) -> Iterator[RunningServer]:
    config = write(folder, users=1, more=more)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        yield build(load_settings(config), sink=_Nowhere(sink))
    finally:
        os.close(sink)


class _Nowhere:
    """An audit sink with the cost of a write."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, line: bytes) -> None:
        """Write the line to a descriptor."""
        os.write(self._descriptor, line)


def _microseconds(step: Callable[[], object], calls: int = CALLS) -> float:
    return min(timeit.repeat(step, number=calls, repeat=TIMES)) / calls * 1e6


def _print(steps: list[tuple[str, float]]) -> None:
    whole = steps[0][1]
    for name, microseconds in steps:
        print(f"  {name:50} {microseconds:8.2f} {microseconds / whole:6.2f}")


if __name__ == "__main__":
    main()
