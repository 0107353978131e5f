"""`python -m bench.stored_keys`: repeated logins by access keys, refresh tokens and JWTs, against one by a password.

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
from bench.machine_logins import ACCESS_KEY, SOURCE, files, signed
from bench.servers import PASSWORD, QUERY, basic, write
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.config.load import load_settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.server.stored.opening import prepare_storage
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.state_keys import init_state_keys
from tokenserver.web.application import application

STORAGE = "access_keys: {}\nrefresh_tokens: {}\nstorage: state/tokenserver.db\n"
ROUNDS = 100
CALLS = 250


def main() -> None:
    """Print the rate of the machines' logins as a fraction of that of the user's, for GET and for POST."""
    with tempfile.TemporaryDirectory() as folder:
        config = write(Path(folder) / "server", users=1, sources=SOURCE, files=files())
        with config.open("a", encoding="utf-8") as written:
            written.write(STORAGE)
        (config.parent / "state").mkdir(mode=0o700)
        init_state_keys(config.parent / "keys")
        settings = load_settings(config)
        prepare_storage(settings)
        server = build(settings, sink=Sink())
        server.watch()
        app = application(server)
        personal, refresh = (_stored(server, form) for form in (AccessKeyForm.PERSONAL, AccessKeyForm.REFRESH))
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
                costs = f"password {best[0]:.1f} us, {name} {best[1]:.1f} us at best"
                print(f"{method:4} {costs}, ratio {best[0] / best[1]:.3f}; median of all rounds {median:.3f}")
        headers = iter([basic("ci", signed(number)) for number in range(1, CALLS + 1)])
        print(f"first login with a JWT: {_seconds(lambda: _ask_once(app, headers)) / CALLS * 1e6:.0f} us")
        stored = [_stored(server, AccessKeyForm.PERSONAL) for _ in range(CALLS)]
        headers = iter([basic("u0", one) for one in stored])
        first = _seconds(lambda: _ask_once(app, headers)) / CALLS
        headers = iter([basic("u0", one) for one in stored])
        again = _seconds(lambda: _ask_once(app, headers)) / CALLS
        print(
            f"first use of a stored key: {first * 1e6:.0f} us, second {again * 1e6:.0f} us, {first / again:.2f} times"
        )


def _ask_once(app: Any, headers: Iterator[str]) -> None:
    _get(app, next(headers))()


def _stored(server: RunningServer, form: AccessKeyForm) -> str:
    """The text of a new credential of u0."""
    now = int(time.time())
    known = server.live.snapshot().chain.authenticators[0]
    assert isinstance(known, Htpasswd)  # noqa: S101 - the only source of users
    proof = known.identity("u0").proof if form is AccessKeyForm.REFRESH else None
    idle = 3600 if form is AccessKeyForm.REFRESH else None
    wanted = StoredCredential("", form, "u0", Sort.USER, known.name, now, "u0", now + 7200, proof=proof, idle=idle)
    assert server.storage is not None  # noqa: S101 - it is configured
    key, _ = server.storage.store.create(wanted, at_most=1000)
    return key.text.reveal()


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
    return lambda: _ask(app, _posted(form))


def _posted(form: bytes) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/token", "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(form)),
        "wsgi.input": io.BytesIO(form),
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
