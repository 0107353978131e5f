"""`python -m bench.shadow_peer`: what a request pays while the old token server is asked too, against none configured.

All are whole requests in one process with metrics, from the WSGI application to the answer, while the threads that ask
the peer are running. Rounds alternate, so that the ratio holds on a busy machine: 1.00 means that the peer costs
nothing. `repeated` asks the same each time, `new` a repository that was not asked for before; `down` has a peer that
refuses connections, `hung` one that never answers.
"""

from __future__ import annotations

import io
import itertools
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.frames import Sink
from bench.servers import basic, free_port, tokenserver, write
from tokenserver.config.load import load_settings
from tokenserver.metrics.setup import metrics_board
from tokenserver.server.compose import build
from tokenserver.web.application import application

ROUNDS = 60
CALLS = 400


def main() -> None:
    """Print the time of a request with and without a peer."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        old = stack.enter_context(tokenserver(folder / "old", workers=1, users=1, cost=4))
        hung = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        urls = {
            "answers": f"{old.url}/auth",
            "down": f"http://127.0.0.1:{free_port()}/auth",
            "hung": f"http://127.0.0.1:{hung.getsockname()[1]}/auth",
        }
        none, again = _application(folder / "none", None), _application(folder / "again", None)
        numbers = itertools.count()
        _compare("no peer again", "repeated", none, again, lambda: itertools.repeat(0))
        for name, url in urls.items():
            app = _application(folder / name, url)
            _compare(name, "repeated", none, app, lambda: itertools.repeat(0))
            _compare(name, "new", none, app, lambda: numbers)


def _application(folder: Path, peer: str | None) -> Any:
    more = f"shadow_peer: {peer}" if peer else ""
    settings = load_settings(write(folder, workers=1, users=1, cost=4, more=more), {})
    server = build(settings, sink=Sink(), board=metrics_board(settings, workers=1))
    server.watch()
    return application(server)


def _compare(name: str, work: str, none: Any, peer: Any, numbers: Callable[[], Iterator[int]]) -> None:
    calls = _calls(none), _calls(peer)
    for call in calls:
        call(numbers())
    rounds = [tuple(call(numbers()) for call in calls) for _ in range(ROUNDS)]
    best = [min(seconds) / CALLS * 1e6 for seconds in zip(*rounds, strict=True)]
    ratio = statistics.median(one / other for one, other in rounds)
    costs = f"without {best[0]:6.1f} us, with {best[1]:6.1f} us at best"
    print(f"{name:14} {work:9} {costs}, {best[1] - best[0]:+5.1f} us; ratio of all rounds {ratio:.3f}", flush=True)


def _calls(app: Any) -> Callable[[Iterator[int]], float]:
    """Calls the application with a login for each of these numbers; the seconds of all calls."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/token",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "5001",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_AUTHORIZATION": basic("u0"),
        "HTTP_USER_AGENT": "docker/28.0.0",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }

    def run(numbers: Iterator[int]) -> float:
        texts = [f"service=bench&scope=repository%3Arepo%2Fapp{number}%3Apull" for number in _some(numbers)]
        began = time.perf_counter()
        for text in texts:
            for _ in app({**environ, "QUERY_STRING": text}, _start_response):
                pass
        return time.perf_counter() - began

    return run


def _some(numbers: Iterator[int]) -> Iterator[int]:
    return itertools.islice(numbers, CALLS)


def _start_response(status: str, *_: object) -> None:
    assert status.startswith("200"), status  # noqa: S101 - anything else would be measured as something else


if __name__ == "__main__":
    main()
