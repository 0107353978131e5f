"""`python -m bench.robots`: a repeated login by a robot's access key, and by a JWT, against one by a password.

All are whole requests in one process, from the WSGI application to the answer, and their rounds alternate, so that the
ratio holds on a busy machine, too: 1.00 means that the key costs as much as the password. The ratio is that of the
fastest rounds. The first login with a JWT, which verifies it, is measured alone.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.frames import Sink
from bench.machine_logins import ACCESS_KEY, SOURCE, basic, files, signed
from bench.servers import PASSWORD, QUERY, write
from tokenserver.config.load import load_settings
from tokenserver.server.compose import build
from tokenserver.web.application import application

ROUNDS = 100
CALLS = 250


def main() -> None:
    """Print the rate of the machines' logins as a fraction of that of the user's, for GET and for POST."""
    with tempfile.TemporaryDirectory() as folder:
        config = write(Path(folder) / "server", users=1, sources=SOURCE, files=files())
        app = application(build(load_settings(config), sink=Sink()))
        for name, text in (("key", ACCESS_KEY), ("JWT", signed(0))):
            for method, user, machine in (
                ("GET", _get(app, basic("u0", PASSWORD)), _get(app, basic("ci", text))),
                ("POST", _post(app, "u0", PASSWORD), _post(app, "ci", text)),
            ):
                for call in (user, machine):
                    _seconds(call)
                rounds = [(_seconds(user), _seconds(machine)) for _ in range(ROUNDS)]
                best = [min(seconds) / CALLS * 1e6 for seconds in zip(*rounds, strict=True)]
                median = statistics.median(one / other for one, other in rounds)
                costs = f"password {best[0]:.1f} us, {name} {best[1]:.1f} us at best"
                print(f"{method:4} {costs}, ratio {best[0] / best[1]:.3f}; median of all rounds {median:.3f}")
        headers = iter([basic("ci", signed(number)) for number in range(1, CALLS + 1)])
        print(f"first login with a JWT: {_seconds(lambda: _ask_once(app, headers)) / CALLS * 1e6:.0f} us")


def _ask_once(app: Any, headers: Iterator[str]) -> None:
    _get(app, next(headers))()


def _seconds(call: Callable[[], None]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return time.process_time() - start


def _get(app: Any, authorization: str) -> Callable[[], None]:
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/token", "QUERY_STRING": QUERY, "REMOTE_ADDR": "127.0.0.1",
        "HTTP_AUTHORIZATION": authorization,
    }  # fmt: skip
    return lambda: _ask(app, environ)


def _post(app: Any, user: str, password: str) -> Callable[[], None]:
    form = urlencode(
        {"grant_type": "password", "service": "bench", "username": user, "password": password,
         "scope": "repository:public/app:pull"}
    ).encode()  # fmt: skip
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/token", "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(form)),
    }  # fmt: skip
    return lambda: _ask(app, {**environ, "wsgi.input": io.BytesIO(form)})


def _ask(app: Any, environ: dict[str, Any]) -> None:
    statuses: list[str] = []
    app.wsgi_app(environ, lambda line, _headers: statuses.append(line))
    if not statuses[0].startswith("200"):
        raise RuntimeError(f"the answer is {statuses[0]}")


if __name__ == "__main__":
    main()
