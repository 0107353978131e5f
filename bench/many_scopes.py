"""`python -m bench.many_scopes`: how large tokens for many repositories are, and what requests for them cost.

For each `compat` and 1 to 1,000 repositories with names of 24 characters: the bytes of the token, of the answer and of
the audit event, and the CPU time of the request in this process, with a fresh signature each. `times` compares that
time with a request for one repository in the same run, which hardly depends on the machine.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from bench.servers import write
from tokenserver.config.load import load_settings
from tokenserver.server.compose import build
from tokenserver.tokens.claims import Compat
from tokenserver.web.application import token_endpoint
from tokenserver.web.token_endpoint import TokenEndpoint

COUNTS = (1, 10, 100, 1000)
SECONDS = 0.5
"""How long one row is measured, at least."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: sizes in bytes, the CPU time of one request in milliseconds."""

    compat: str
    scopes: int
    token: int
    answer: int
    audited: int
    milliseconds: float


class Sink:
    """An audit sink that counts bytes."""

    written = 0

    def write(self, line: bytes) -> None:
        """Count the line."""
        self.written += len(line)


def main() -> None:
    """Print the table, as docs/performance.md has it."""
    print("| `compat` | repositories | token, bytes | answer | audit event | ms | times |")
    print("|---|---|---|---|---|---|---|")
    single = 0.0
    for row in rows():
        single = row.milliseconds if row.scopes == 1 else single
        sizes = " | ".join(f"{size:,}" for size in (row.scopes, row.token, row.answer, row.audited))
        print(f"| `{row.compat}` | {sizes} | {row.milliseconds:.2f} | {row.milliseconds / single:.1f} |")


def rows() -> Iterator[Measured]:
    """Each `compat` with each number of repositories."""
    with tempfile.TemporaryDirectory() as folder:
        config = write(Path(folder) / "server")
        entries = ", ".join(f"{{service: {compat}, compat: {compat}}}" for compat in Compat)
        lines = [*config.read_text(encoding="utf-8").splitlines(), "token_reuse: 0s"]
        kept = [f"registries: [{entries}]" if line.startswith("registries:") else line for line in lines]
        config.write_text("\n".join(kept) + "\n", encoding="utf-8")
        sink = Sink()
        endpoint = token_endpoint(build(load_settings(config), sink=sink))
        for compat in Compat:
            for count in COUNTS:
                yield _measured(endpoint, sink, compat, count)


def _measured(endpoint: TokenEndpoint, sink: Sink, compat: Compat, count: int) -> Measured:
    scopes = [("scope", f"repository:public/team-{number % 100:02}/image-{number:04}:pull") for number in range(count)]
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/token", "REMOTE_ADDR": "127.0.0.1",
        "QUERY_STRING": urlencode([("service", compat.value), *scopes]),
    }  # fmt: skip
    body = endpoint.answer(environ).body
    token = json.loads(body)["token"]
    before = sink.written
    endpoint.answer(environ)
    audited = sink.written - before
    times: list[float] = []
    until = time.process_time() + SECONDS
    while time.process_time() < until or len(times) < 3:
        start = time.process_time()
        endpoint.answer(environ)
        times.append(time.process_time() - start)
    return Measured(compat.value, count, len(token), len(body), audited, sorted(times)[len(times) // 2] * 1000)


if __name__ == "__main__":
    main()
