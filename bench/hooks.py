"""`python -m bench.hooks`: first and repeated logins at hooks, beside those of an htpasswd file with bcrypt cost 10.

The program and the endpoint are the smallest ones in Python, and accept a password immediately, so the figures are what
asking costs. Rates are of 16 clients on this machine; first logins are those of 200 users whom nothing remembers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench import load
from bench.servers import tokenserver, users_file

USERS = 200
SECRET = "a secret of at least thirty-two characters"  # noqa: S105 - it protects nothing

LINES = f"""#!{sys.executable} -IS
import json, sys
for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps({{"id": question["id"], "result": "ok", "subject": question["user"], "groups": []}}), flush=True)
"""
SCRIPT = '#!/bin/sh\nread -r user password\n[ -n "$password" ] || exit 2\n'


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"subject": question["user"], "groups": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def endpoint() -> Iterator[str]:
    """The URL of an endpoint that accepts everything."""
    server = _Server(("127.0.0.1", 0), _Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(prog="bench.hooks", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, endpoint() as url:
        folder = Path(name)
        for file, text in (("lines", LINES), ("script", SCRIPT)):
            (folder / file).write_text(text)
            (folder / file).chmod(0o755)
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o600)
        kinds = {
            "htpasswd, bcrypt cost 10": "",
            "program, json": f"program: {{command: [{folder}/lines]",
            "program, docker_auth": f"program: {{command: [{folder}/script], protocol: docker_auth",
            "http, on this machine": f'http: {{url: "{url}", secret_file: {folder}/secret',
        }
        print(f"{'logins a second':30} {'first':>8} {'p50 ms':>8} {'repeated':>9}")
        for number, (kind, section) in enumerate(kinds.items()):
            first = _rates(folder / f"first-{number}", section, 0, load.many_users(USERS, 1), arguments)
            again = _rates(folder / f"again-{number}", section, 60, load.login("u0"), arguments)
            print(f"{kind:30} {first.rate:8.0f} {first.p50:8.1f} {again.rate:9.0f}", flush=True)


def _rates(folder: Path, section: str, cache: int, work: load.Work, arguments: argparse.Namespace) -> load.Measured:
    """The round with the median rate."""
    sources = f"{{{section}, cache: {cache}}}}}" if section else f"{{htpasswd: {{file: users, cache: {cache}}}}}"
    files = {}
    if not section:
        users_file(folder.with_suffix(".users"), USERS)
        files["users"] = folder.with_suffix(".users").read_text()
    with tokenserver(folder, workers=arguments.workers, sources=sources, files=files) as server:
        load.drive(server.url, work, 1)
        rounds = [load.drive(server.url, work, arguments.seconds) for _ in range(arguments.rounds)]
    median = statistics.median_low([one.rate for one in rounds])
    return next(one for one in rounds if one.rate == median)


if __name__ == "__main__":
    main()
