"""`python -m bench.stored_keys`: repeated logins by access keys, refresh tokens and JWTs, against one by a password.

All are whole requests in one process, from the WSGI application to the answer, and their rounds alternate, so that the
ratio holds on a busy machine, too: 1.00 means that the key costs as much as the password. The ratio is that of the
fastest rounds. First uses, which are signed, follow beside the same work for a user who is known: the median of single
requests in turn, on the clock of their thread, with the garbage collector as in a worker. What another job of the
workload asked before is not decided again for a JWT.
"""

from __future__ import annotations

import gc
import io
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.frames import Sink
from bench.machine_logins import ACCESS_KEY, SOURCE, STORAGE, files, signed, stored, with_storage
from bench.servers import PASSWORD, QUERY, basic, write
from tokenserver.credentials import AccessKeyForm
from tokenserver.process.worker import GC_ALLOCATIONS
from tokenserver.server.compose import build
from tokenserver.web.application import application
from tokenserver.web.parameters import READ_BODY

ROUNDS = 100
CALLS = 250

FIRST_ROUNDS = 40
FIRST_CALLS = 50

REPOSITORY = "a repository that a known user asks for first"
FIRST = "the first use of a stored key"
SECOND = "its second use"
JWT = "the first use of a JWT"
JWT_OF_NEW = "the first use of a JWT, for a repository that its workload asks for first"


def main() -> None:
    """Print the rate of the machines' logins as a fraction of that of the user's, for GET and for POST."""
    with tempfile.TemporaryDirectory() as folder:
        config = write(Path(folder) / "server", users=1, cost=4, sources=SOURCE, files=files(), more=STORAGE)
        server = build(with_storage(config), sink=Sink())
        server.watch()
        app = application(server)
        personal, refresh = (stored(server, form) for form in (AccessKeyForm.PERSONAL, AccessKeyForm.REFRESH))
        reused = 0.0
        texts = (("declared key", "ci", ACCESS_KEY), ("stored key", "u0", personal), ("JWT", "ci", signed(0)))
        for name, typed, text in (*texts, ("refresh token", "<token>", refresh)):
            posted = _post(app, typed, text) if name != "refresh token" else _refresh(app, text)
            for method, user, machine in (
                ("GET", _get(app, basic("u0")), _get(app, basic(typed, text))),
                ("POST", _post(app, "u0", PASSWORD), posted),
            ):
                for call in (user, machine):
                    _seconds(call)
                rounds = [(_seconds(user), _seconds(machine)) for _ in range(ROUNDS)]
                best = [min(seconds) / CALLS * 1e6 for seconds in zip(*rounds, strict=True)]
                median = statistics.median(one / other for one, other in rounds)
                if (name, method) == ("stored key", "GET"):
                    reused = best[1]
                costs = f"password {best[0]:.1f} us, {name} {best[1]:.1f} us at best"
                print(f"{method:4} {costs}, ratio {best[0] / best[1]:.3f}; median of all rounds {median:.3f}")
        asks = (_get(app, basic("u0")), _post(app, "u0", PASSWORD))
        by_get, by_post = map(min, zip(*([_seconds(ask) for ask in asks] for _ in range(ROUNDS)), strict=True))
        print(f"POST beside GET, by password: ratio {by_get / by_post:.3f}")
        _first_uses(Path(folder), reused)


def _first_uses(folder: Path, reused: float) -> None:
    """First uses beside new questions of a user who has logged in before, in turn; all of them are signed.

    `reused` is what a repeated use of a stored key takes whose token is reused, in microseconds.
    """
    more = f"{STORAGE}token_reuse: 0s\n"
    config = write(folder / "signing", users=1, cost=4, sources=SOURCE, files=files(), more=more)
    server = build(with_storage(config), sink=Sink())
    server.watch()
    app = application(server)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)  # as in a worker
    numbers = itertools.count(1)
    found: dict[str, list[int]] = {}
    for _ in range(FIRST_ROUNDS):
        some = list(itertools.islice(numbers, FIRST_CALLS))
        keys = [_get(app, basic("u0", stored(server, AccessKeyForm.PERSONAL))) for _ in some]
        asks = {
            REPOSITORY: [
                _get(app, basic("u0"), f"service=bench&scope=repository%3Arepo{number}%2Fapp%3Apull") for number in some
            ],
            FIRST: keys,
            SECOND: keys,
            JWT: [_get(app, basic("ci", signed(number))) for number in some],
            JWT_OF_NEW: [
                _get(app, basic("ci", signed(-number)), f"service=bench&scope=repository%3Ajob{number}%2Fapp%3Apull")
                for number in some
            ],
        }
        for what, calls in asks.items():
            found.setdefault(what, []).extend(map(_nanoseconds, calls))
    for what, spent in found.items():
        tenth, median = (sorted(spent)[len(spent) * share // 10] / 1000 for share in (1, 5))
        print(f"{what}: {median:.0f} us (median), {tenth:.0f} us (best tenth)")
    first, second = (statistics.median(found[what]) for what in (FIRST, SECOND))
    again = f"{first / second:.2f} times its second use, which is signed, too"
    print(f"the first use of a stored key takes {again}, and {first / 1000 / reused:.1f} times one with a reused token")


def _nanoseconds(call: Callable[[], None]) -> int:
    start = time.thread_time_ns()
    call()
    return time.thread_time_ns() - start


def _seconds(call: Callable[[], None]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return time.process_time() - start


def _get(app: Any, authorization: str, query: str = QUERY) -> Callable[[], None]:
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/token", "QUERY_STRING": query, "REMOTE_ADDR": "127.0.0.1",
        "HTTP_AUTHORIZATION": authorization,
    }  # fmt: skip
    return lambda: _ask(app, environ)


def _post(app: Any, user: str, password: str) -> Callable[[], None]:
    form = urlencode(
        {"grant_type": "password", "service": "bench", "username": user, "password": password,
         "scope": "repository:public/app:pull"}
    ).encode()  # fmt: skip
    return lambda: _ask(app, _posted(form))


def _posted(form: bytes) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/token", "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(form)),
        "wsgi.input": io.BytesIO(form),
        READ_BODY: form,  # as in a worker
    }  # fmt: skip


def _refresh(app: Any, token: str) -> Callable[[], None]:
    form = urlencode(
        {"grant_type": "refresh_token", "service": "bench", "refresh_token": token, "client_id": "docker",
         "scope": "repository:public/app:pull"}
    ).encode()  # fmt: skip
    return lambda: _ask(app, _posted(form))


def _ask(app: Any, environ: dict[str, Any]) -> None:
    statuses: list[str] = []
    app.wsgi_app(environ, lambda line, _headers: statuses.append(line))
    if not statuses[0].startswith("200"):
        raise RuntimeError(f"the answer is {statuses[0]}")


if __name__ == "__main__":
    main()
