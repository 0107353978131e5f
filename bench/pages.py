"""`python -m bench.pages`: how long pages take beside 1,000 token requests a second, and what they cost these.

One server with two workers, on the same cores as wrk and the visitors. Rounds with and without visitors alternate; the
ratio is that of the rates at which tokens are issued. A visitor loads one page after the other on a kept connection.
`first_ms` is the slowest of the first loads, in which each worker compiles the template of the page.
"""

from __future__ import annotations

import http.client
import json
import re
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from bench.load import at_rate, drive
from bench.servers import PASSWORD, tokenserver

MORE = "storage: state/tokenserver.db\naccess_keys: {}\nrefresh_tokens: {}\n"
FILES = {
    "policies/administrators.yaml": 'version: 1\nadministrators: ["user:u0"]\n',
    "state/README": "Only so that the folder is there.\n",
}
PAGES = (
    "/login",
    "/account",
    "/account/keys/new",
    "/access?service=bench&repository=users/u0/app&action=push",
    "/admin",
    "/admin/who-can",
    "/admin/matrix",
)
RATE = 1000
ROUNDS = 3
SECONDS = 8
VISITORS = 2
FIRST_CONNECTIONS = 12
"""So many that each worker has some of them."""
PAUSE = 0.05
"""Seconds between an answer and the next page of a visitor, who would read it much longer."""


class Visitor:
    """A browser without pictures: one connection, and the cookies of its session."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        self._cookies: dict[str, str] = {}

    def connect(self) -> None:
        """Drop the connection, which the server may have closed meanwhile; the next request makes another."""
        self._connection.close()

    def ask(self, method: str, path: str, form: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """The status and body of an answer."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, None if form is None else urlencode(form), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, body

    def join(self, other: Visitor) -> None:
        """Go on in the session of another visitor."""
        self._cookies = other._cookies

    def log_in(self) -> None:
        """Begin a session as the administrator."""
        token = re.search(rb'name="form" value="([^"]+)"', self.ask("GET", "/login")[1])
        assert token is not None  # noqa: S101 - every form has one
        status, _ = self.ask("POST", "/login", {"form": token[1].decode(), "username": "u0", "password": PASSWORD})
        if status != 303:
            raise RuntimeError(f"the login was answered with {status}")


def first_loads(url: str) -> dict[str, float]:
    """The seconds of the slowest of the first loads of each page. No page was loaded before."""
    visitors = [Visitor(url) for _ in range(FIRST_CONNECTIONS)]
    login, *others = PAGES
    found = {login: max(seconds_of(visitor, login) for visitor in visitors)}
    visitors[0].log_in()
    for visitor in visitors[1:]:
        visitor.join(visitors[0])
    return found | {path: max(seconds_of(visitor, path) for visitor in visitors) for path in others}


def seconds_of(visitor: Visitor, path: str) -> float:
    """The seconds that one load takes."""
    start = time.perf_counter()
    status, _ = visitor.ask("GET", path)
    if status not in {200, 303}:
        raise RuntimeError(f"{path} was answered with {status}")
    return time.perf_counter() - start


def visit(visitor: Visitor, found: dict[str, list[float]], sizes: dict[str, int], stop: threading.Event) -> None:
    """Load the pages in turn until `stop`; adds the seconds of each."""
    visitor.connect()
    while not stop.is_set():
        for path in PAGES:
            start = time.perf_counter()
            status, body = visitor.ask("GET", path)
            found[path].append(time.perf_counter() - start)
            if status not in {200, 303}:
                raise RuntimeError(f"{path} was answered with {status}")
            sizes[path] = len(body)
            time.sleep(PAUSE)


def main() -> None:
    """Print a line for each page, and the ratio of the tokens issued beside pages to those without."""
    found: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, int] = {}
    rates: dict[bool, list[float]] = {False: [], True: []}
    slowest: dict[bool, list[float]] = {False: [], True: []}
    with (
        tempfile.TemporaryDirectory() as folder,
        tokenserver(Path(folder) / "server", workers=2, users=1, more=MORE, files=FILES) as server,
    ):
        first = first_loads(server.url)
        visitors = [Visitor(server.url) for _ in range(VISITORS)]
        for visitor in visitors:
            visitor.log_in()
        for _ in range(ROUNDS):
            for has_visitors in (False, True):
                stop = threading.Event()
                threads = [
                    threading.Thread(target=visit, args=(visitor, found, sizes, stop))
                    for visitor in (visitors if has_visitors else ())
                ]
                for thread in threads:
                    thread.start()
                measured = drive(server.url, at_rate(RATE), SECONDS)
                stop.set()
                for thread in threads:
                    thread.join()
                rates[has_visitors].append(measured.rate)
                slowest[has_visitors].append(measured.p99)
    for path in PAGES:
        seconds = sorted(found[path])
        row = {
            "page": path,
            "times": len(seconds),
            "first_ms": round(first[path] * 1000, 1),
            "p50_ms": round(statistics.median(seconds) * 1000, 1),
            "p99_ms": round(seconds[int(len(seconds) * 0.99)] * 1000, 1),
            "bytes": sizes[path],
        }
        print(json.dumps(row))
    print(
        f"tokens a second beside pages {statistics.median(rates[True]):.0f},"
        f" without {statistics.median(rates[False]):.0f},"
        f" ratio {statistics.median(rates[True]) / statistics.median(rates[False]):.3f};"
        f" p99 {statistics.median(slowest[True]):.1f} ms against {statistics.median(slowest[False]):.1f} ms"
    )


if __name__ == "__main__":
    main()
