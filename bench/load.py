"""Load generation with wrk, on the same machine as the server, and parsing of its output."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import PASSWORD, PATH, QUERY, basic, program

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True, slots=True)
class Work:
    """The requests of the clients. `lua` is a wrk script, if requests differ."""

    path: str = PATH
    headers: Sequence[str] = ()
    lua: str = ""
    connections: int = 16


@dataclass(frozen=True, slots=True)
class Measured:
    """Responses a second, and the 50th, 90th and 99th percentile of the latency in milliseconds."""

    rate: float
    p50: float
    p90: float
    p99: float
    requests: int


def drive(url: str, work: Work, seconds: int) -> Measured:
    """Run one round. Any response other than 200 ends the run, since it would distort the result."""
    with tempfile.TemporaryDirectory() as folder:
        command = _command(url, work, seconds, Path(folder))
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    _check(url, work, output)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    count = re.search(r"([0-9]+) requests in", output)
    assert rate is not None and count is not None, output  # noqa: PT018, S101 - wrk always prints both
    p50, p90, p99 = (_latency(output, part) for part in (50, 90, 99))
    return Measured(float(rate[1]), p50, p90, p99, int(count[1]))


@contextmanager
def driven(url: str, work: Work) -> Iterator[None]:
    """Requests while the block runs, for a day at most. Any response other than 200 ends the run, at its end."""
    with tempfile.TemporaryDirectory() as folder:
        command = _command(url, work, 86_400, Path(folder))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGINT)  # it prints its report and ends
                output, _ = process.communicate(timeout=60)
    _check(url, work, output)


def _command(url: str, work: Work, seconds: int, folder: Path) -> list[str]:
    command = [program("wrk"), "-t1", f"-c{work.connections}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
    for header in work.headers:
        command += ["-H", header]
    if work.lua:
        script = folder / "work.lua"
        script.write_text(work.lua)
        command += ["-s", str(script)]
    return [*command, url + work.path]


def _check(url: str, work: Work, output: str) -> None:
    errors = re.search(r"Socket errors:.*|Non-2xx.*", output)
    if errors is not None:
        sys.exit(f"{url}{work.path}: {errors[0]}")


def _latency(output: str, part: int) -> float:
    found = re.search(rf"{part}%\s+([0-9.]+)(us|ms|s|m)\b", output)
    assert found is not None, output  # noqa: S101 - wrk always prints it with --latency
    return float(found[1]) * _UNITS[found[2]]


def login(user: str) -> Work:
    """Repeated requests of one user."""
    return Work(headers=[f"Authorization: {basic(user)}"])


def post(user: str = "u0", password: str = PASSWORD) -> Work:
    """The OAuth form of an OCI client; of a password without reserved characters."""
    return _form(f"grant_type=password&username={user}&password={password}&client_id=bench&{QUERY}")


def post_refresh(token: str) -> Work:
    """The OAuth form of a client that keeps a refresh token."""
    return _form(f"grant_type=refresh_token&refresh_token={token}&client_id=bench&{QUERY}")


def _form(body: str) -> Work:
    return Work(
        path="/token",
        lua=f'wrk.method = "POST"\nwrk.body = "{body}"\n'
        'wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\n',
    )


def many_users(users: int, repositories: int) -> Work:
    """The users in turn, each requesting one of the repositories.

    The requests are made up before the first one, so that the generator takes no more time for them than for one.
    """
    table = ",".join(f'"{basic(f"u{number}")}"' for number in range(users))
    return Work(
        lua=f"local users = {{{table}}}\nlocal turn, requests = 0, {{}}\n"
        "init = function()\n"
        "  for turn = 1, #users do\n"
        f'    local path = "/token?service=bench&scope=repository%3Arepo" .. turn % {repositories} .. "%2Fapp%3Apull"\n'
        '    requests[turn] = wrk.format("GET", path, {Authorization = users[turn]})\n'
        "  end\n"
        "end\n"
        "request = function()\n"
        "  turn = turn % #users + 1\n"
        "  return requests[turn]\n"
        "end\n"
    )


def new_repositories() -> Work:
    """Each request for a repository that was not asked for before, in this round or another."""
    return Work(
        lua="math.randomseed(os.time())\n"
        "local turn, round = 0, math.random(1000000000)\n"
        "local before, after\n"
        "init = function()\n"
        '  local made = wrk.format("GET", "/token?service=bench&scope=repository%3Apublic%2Fteam@%3Apull")\n'
        '  local at = made:find("@", 1, true)\n'
        "  before, after = made:sub(1, at - 1), made:sub(at + 1)\n"
        "end\n"
        "request = function()\n"
        "  turn = turn + 1\n"
        '  return before .. turn % 97 .. "%2Fapp" .. round .. "-" .. turn .. after\n'
        "end\n"
    )


def new_connections() -> Work:
    """A new connection for each request, as real clients do."""
    return Work(headers=["Connection: close"])


def scopes(count: int) -> Work:
    """That many scopes in one request."""
    asked = "&".join(f"scope=repository%3Apublic%2Fapp{number}%3Apull" for number in range(count))
    return Work(path=f"/token?service=bench&{asked}")


def at_rate(rate: float, connections: int = 64) -> Work:
    """About `rate` requests a second: each connection pauses between an answer and the next request."""
    pause = max(1, round(1000 * connections / rate))
    return Work(lua=f"delay = function() return {pause} end\n", connections=connections)
