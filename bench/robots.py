"""`python -m bench.robots`: a repeated login by a robot's access key against one by a password, in one process.

Both are whole requests, from the WSGI application to the answer, and their rounds alternate, so that the ratio holds on
a busy machine, too: 1.00 means that the key costs as much as the password. The ratio is that of the fastest rounds.
"""

from __future__ import annotations

import base64
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.frames import Sink
from bench.servers import PASSWORD, QUERY, basic, write
from tokenserver.access_keys import RANDOM_BYTES, compose_key, declare, spell_declaration
from tokenserver.config.load import load_settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.server.compose import build
from tokenserver.web.application import application

ROUNDS = 100
CALLS = 250


def main() -> None:
    """Print the rate of the robot's logins as a fraction of that of the user's, for GET and for POST."""
    key = compose_key(AccessKeyForm.ROBOT, bytes(range(RANDOM_BYTES)))
    with tempfile.TemporaryDirectory() as folder:
        config = write(Path(folder) / "server", users=1)
        line = spell_declaration(declare(key, datetime.now(UTC) + timedelta(days=30)))
        robots = Path(folder) / "server" / "policies" / "robots.yaml"
        robots.write_text(f"version: 1\nrobots:\n  ci:\n    secrets:\n      {line}\n")
        robots.chmod(0o644)
        app = application(build(load_settings(config), sink=Sink()))
        text = key.text.reveal()
        header = "Basic " + base64.b64encode(f"ci:{text}".encode()).decode()
        for method, user, robot in (
            ("GET", _get(app, basic("u0")), _get(app, header)),
            ("POST", _post(app, "u0", PASSWORD), _post(app, "ci", text)),
        ):
            for call in (user, robot):
                _seconds(call)
            rounds = [(_seconds(user), _seconds(robot)) for _ in range(ROUNDS)]
            best = [min(seconds) / CALLS * 1e6 for seconds in zip(*rounds, strict=True)]
            median = statistics.median(one / other for one, other in rounds)
            costs = f"password {best[0]:.1f} us, key {best[1]:.1f} us at best"
            print(f"{method:4} {costs}, ratio {best[0] / best[1]:.3f}; median of all rounds {median:.3f}")


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
