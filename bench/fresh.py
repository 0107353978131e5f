"""`python -m bench.fresh`: the CPU time of a request for a repository that nobody asked for before, part by part.

In one process and one thread, in microseconds of CPU time, which other load on the machine disturbs less than rates.
Every request has names of its own, so whatever is remembered by a name does not help. The parts of one batch of
requests are measured in turn, batch by batch; figures are medians over the batches. `--json` prints them for
`bench.compare`.
"""

from __future__ import annotations

import argparse
import gc
import io
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from bench.servers import PASSWORD, basic, write
from tokenserver.config.load import load_settings
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.web.application import token_endpoint
from tokenserver.web.parameters import parse_query
from tokenserver.web.payloads import token_body
from tokenserver.web.request_reader import token_request

BATCH = 200
"""Requests of one batch. A worker under load remembers thousands, so the first batches are not counted."""

WARM = 15
GC_ALLOCATIONS = 50_000
"""As in a worker; see process/worker.py."""

Environ = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fresh:
    """A row: how the requests look, and the server that answers them."""

    title: str
    settings: dict[str, Any] = field(default_factory=dict)
    scopes: int = 1
    user: bool = False
    post: bool = False


ROWS = (
    Fresh("anonymous, ES256"),
    Fresh("anonymous, RS256", {"algorithm": "RS256"}),
    Fresh("anonymous, EdDSA", {"algorithm": "EdDSA", "more": "", "compat": "distribution3"}),
    Fresh("anonymous, ES256, 1,000 rules", {"rules": 1_000}),
    Fresh("known user, GET", {"users": 1, "cost": 4}, user=True),
    Fresh("known user, POST", {"users": 1, "cost": 4}, user=True, post=True),
    Fresh("16 scopes", scopes=16),
    Fresh("64 scopes", scopes=64),
)


def main() -> None:
    """Print a table for each row, or JSON."""
    parser = argparse.ArgumentParser(prog="bench.fresh", description=__doc__)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--row", action="append", help="part of a row's title; default: all rows")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [row for row in ROWS if arguments.row is None or any(part in row.title for part in arguments.row)]
    found = {}
    for row in rows:
        found[row.title] = measured(row, arguments.batches)
        if not arguments.json:
            _print(row.title, found[row.title])
    if arguments.json:
        json.dump(found, sys.stdout)


def measured(row: Fresh, batches: int) -> dict[str, float]:
    """Microseconds for each request of this row, by part; `whole` is everything between environ and answer."""
    settings = dict(row.settings)
    compat = settings.pop("compat", None)
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder) / "server", settings, compat) as parts:
        return _Measuring(row, parts).run(batches)


class _Measuring:
    def __init__(self, row: Fresh, parts: RunningServer) -> None:
        self._row = row
        self._parts = parts
        self._endpoint = token_endpoint(parts)
        self._numbers = itertools.count()
        self._times: dict[str, list[float]] = {}

    def run(self, batches: int) -> dict[str, float]:
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_ALLOCATIONS, 20, 50)
        for number in range(WARM + batches):
            self._whole()
            self._by_part()
            if number == WARM:
                self._times.clear()
        found = {name: statistics.median(times) for name, times in self._times.items()}
        if not self._row.post:
            known = sum(found[part] for part in ("parse", "authenticate and decide", "token", "audit", "body"))
            found["rest"] = found["whole"] - known
        return found

    def _whole(self) -> None:
        environs = [self._environ() for _ in range(BATCH)]
        answers = self._timed("whole", self._endpoint.answer, [(environ,) for environ in environs])
        assert all(answer.status == 200 for answer in answers), answers[0]  # noqa: S101 - the run would be distorted

    def _by_part(self) -> None:
        row, parts = self._row, self._parts
        self._signatures()
        if row.post:
            return
        environs = [(self._environ(),) for _ in range(BATCH)]
        requests = self._timed("parse", _parsed, environs)
        service = parts.exchange.service
        snapshot = parts.live.snapshot()
        found = self._timed("authenticate and decide", service._ruling, [(snapshot, one) for one in requests])  # noqa: SLF001
        rulings = [one[1] if isinstance(one, tuple) else one for one in found]  # older revisions give the ruling alone
        issuer = snapshot.issuer_for(rulings[0].registry)

        def issue(ruling: Any) -> Any:
            return issuer.issue(ruling.identity, ruling.registry, ruling.access, lifetime=ruling.lifetime)

        tokens = self._timed("token", issue, [(one,) for one in rulings])
        result = type(service.exchange(_parsed(environs[0][0])))
        results = [result(token, ruling) for token, ruling in zip(tokens, rulings, strict=True)]
        observe = parts.trail.observe
        self._timed("audit", observe, [(one, given, 0.00002) for one, given in zip(requests, results, strict=True)])

        def body(token: Any, ruling: Any) -> bytes:
            return token_body(token, ruling, with_scope=False)

        self._timed("body", body, list(zip(tokens, rulings, strict=True)))

    def _signatures(self) -> None:
        """What one signature and one check of it cost, by the library alone."""
        key = self._parts.live.snapshot().issuer.ring.active
        private, public, content = key.private_key, key.public_key, [os.urandom(1000) for _ in range(BATCH // 4)]
        scheme: tuple[Any, ...] = ()
        if isinstance(private, ec.EllipticCurvePrivateKey):
            scheme = (ec.ECDSA(SHA256()),)
        elif isinstance(private, rsa.RSAPrivateKey):
            scheme = (PKCS1v15(), SHA256())
        sign: Any = private.sign
        verify: Any = public.verify
        signatures = self._timed("(one signature)", sign, [(one, *scheme) for one in content])
        asked = [(signature, one, *scheme) for signature, one in zip(signatures, content, strict=True)]
        self._timed("(one verification)", verify, asked)

    def _timed(self, name: str, call: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        begin = time.process_time_ns()
        found = [call(*some) for some in arguments]
        took = time.process_time_ns() - begin
        self._times.setdefault(name, []).append(took / len(arguments) / 1000)
        return found

    def _environ(self) -> Environ:
        row = self._row
        names = [f"public/team{number % 97}/app{number}" for number in itertools.islice(self._numbers, row.scopes)]
        asked = "&".join(
            ["service=bench", *(f"scope=repository%3A{name.replace('/', '%2F')}%3Apull" for name in names)]
        )
        environ: Environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": "/token", "QUERY_STRING": asked, "REMOTE_ADDR": "127.0.0.1",
        }  # fmt: skip
        if row.post:
            form = f"grant_type=password&username=u0&password={PASSWORD}&client_id=bench&{asked}".encode()
            return {
                **environ,
                "REQUEST_METHOD": "POST",
                "QUERY_STRING": "",
                "CONTENT_TYPE": "application/x-www-form-urlencoded",
                "CONTENT_LENGTH": str(len(form)),
                "wsgi.input": io.BytesIO(form),
                "tokenserver.body": form,
                "tokenserver.body_is_read": True,  # for older revisions, as the input is
            }
        if row.user:
            environ["HTTP_AUTHORIZATION"] = basic("u0")
        return environ


def _parsed(environ: Environ) -> Any:
    return token_request(environ, parse_query(environ["QUERY_STRING"]), None, request_id="0" * 32, client=None)


@contextmanager
def _server(folder: Path, settings: dict[str, Any], compat: str | None) -> Iterator[RunningServer]:
    config = write(folder, **settings)
    if compat is not None:
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("{service: bench}", f"{{service: bench, compat: {compat}}}"), encoding="utf-8")
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield build(load_settings(config), sink=DescriptorSink(descriptor))
    finally:
        os.close(descriptor)


def _print(title: str, found: dict[str, float]) -> None:
    print(f"{title:40} {'µs':>8} {'share':>6}")
    for name, microseconds in found.items():
        print(f"  {name:38} {microseconds:8.2f} {microseconds / found['whole']:6.2f}")
    print()


if __name__ == "__main__":
    main()
