"""`python -m bench.directory`: logins against a real slapd on this machine, near, far and silent.

The yardsticks are measured in the same run: the throughput of a bare client against slapd (a search and a bind on open
connections, one after the other), and the anonymous path of the same server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import e2e
from bench.load import Work, drive
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Password, Secret
from tokenserver.server.sources.password_sources import ldap_directory

if TYPE_CHECKING:
    from harness.crowd import Tally
    from harness.faultproxy import FaultProxy
    from harness.server import TokenServer
    from harness.slapd import Slapd

PEOPLE = 2000
PROBE = 0.2
"""Seconds by which each response is delayed, to show the cost of round trips."""
FAR = 0.05
SECRET = secrets.token_urlsafe(12)


@dataclass
class World:
    """A directory of many users, a proxy in front of it, and how to start a server."""

    directory: Slapd
    proxy: FaultProxy
    workers: int
    used: int = 0

    def settings(self, **more: Any) -> dict[str, Any]:
        """The directory's settings, through the proxy, without caching."""
        from harness.slapd import BASE, READER  # noqa: PLC0415 - importable once `e2e.use` ran

        return {
            "name": "corp",
            "preset": "openldap",
            "url": f"ldap://localhost:{self.proxy.port}",
            "insecure_plaintext": True,
            "base": BASE,
            "bind_dn": READER,
            "bind_password": self.directory.reader_password,
            "cache": 0,
            **more,
        }

    @contextmanager
    def server(self, **more: Any) -> Iterator[TokenServer]:
        """A server with an htpasswd file followed by the directory as user sources."""
        from harness.crowd import POLICY, SERVICE  # noqa: PLC0415 - importable once `e2e.use` ran
        from harness.server import Setup, serving  # noqa: PLC0415

        sources = [{"htpasswd": {"file": "users.htpasswd"}}, {"ldap": self.settings(**more)}]
        settings = {"server": {"workers": self.workers}, "authentication": sources}
        with tempfile.TemporaryDirectory() as folder:
            setup = Setup({"local": SECRET}, POLICY, {SERVICE: "universal"}, settings)
            with serving(Path(folder), setup) as server:
                yield server

    def users(self, count: int) -> list[str]:
        """That many users, different from the previous ones as long as there are any."""
        self.used += count
        return [f"u{number % PEOPLE}" for number in range(self.used - count, self.used)]


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(prog="bench.directory", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    e2e.use("slapd", "wrk")
    from harness.crowd import many_files  # noqa: PLC0415 - importable from here on

    figures: dict[str, float] = {}
    with many_files(), world(arguments.workers) as directory:
        for figure in (
            round_trips(directory),
            first_logins(directory, arguments),
            far_away(directory, arguments),
            repeated(directory, arguments),
            black_hole(directory, arguments),
        ):
            for name, value in figure.items():
                print(f"{name:66} {value:{'9d' if isinstance(value, int) else '9.2f'}}", flush=True)
            figures |= figure
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


@contextmanager
def world(workers: int) -> Iterator[World]:
    """A running directory."""
    from harness.authority import Authority  # noqa: PLC0415 - importable once `e2e.use` ran
    from harness.faultproxy import faulty  # noqa: PLC0415
    from harness.slapd import person, slapd  # noqa: PLC0415

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory = stack.enter_context(slapd(folder, Authority(folder, "bench")))
        directory.add(*(person(f"u{number}", SECRET) for number in range(PEOPLE)))
        yield World(directory, stack.enter_context(faulty(directory.port)), workers)


def round_trips(here: World) -> dict[str, float]:
    """The number of directory round trips of a first login on open connections.

    They are counted; the time that it takes when each of them comes late says the same, with the work here on top.
    """
    from harness.faultproxy import Mode  # noqa: PLC0415 - importable once `e2e.use` ran

    source = ldap_directory(Ldap.model_validate(here.settings()))
    source.authenticate(Password("u0", Secret(SECRET)))
    here.proxy.mode, here.proxy.seconds = Mode.DELAY, PROBE
    before, start = here.proxy.turns, time.monotonic()
    source.authenticate(Password("u1", Secret(SECRET)))
    taken, turns = time.monotonic() - start, here.proxy.turns - before
    here.proxy.mode = Mode.PASS
    return {
        "round trips of a first login (connections open)": turns,
        "  the same by time, with each answer delayed": taken / PROBE,
    }


def first_logins(here: World, arguments: argparse.Namespace) -> dict[str, float]:
    """First logins a second, each of an uncached user, compared with a bare client of slapd."""
    # Bypass the proxy, which would be the bottleneck.
    near = {"url": f"ldap://localhost:{here.directory.port}"}
    bare = ldap_directory(Ldap.model_validate(here.settings(**near)))
    rates: list[float] = []
    yardsticks: list[float] = []
    with here.server(**near) as server:
        for _ in range(arguments.rounds):
            yardsticks.append(bare_rate(bare, here, arguments.seconds))
            done, seconds, _ = asyncio.run(crowd(server, here, 16, arguments.seconds))
            rates.append(done / seconds)
    rate, yardstick = statistics.median(rates), statistics.median(yardsticks)
    return {
        "yardstick: search and bind by one bare client, a second": yardstick,
        "first logins of 16 clients against a local slapd, a second": rate,
        "  of the yardstick": rate / yardstick,
    }


def far_away(here: World, arguments: argparse.Namespace) -> dict[str, float]:
    """The same with each response delayed by 50 ms and many concurrent clients."""
    from harness.crowd import percentile  # noqa: PLC0415 - importable once `e2e.use` ran
    from harness.faultproxy import Mode  # noqa: PLC0415

    with here.server() as server:
        asyncio.run(crowd(server, here, 16, 1))  # opens the connections
        here.proxy.mode, here.proxy.seconds = Mode.DELAY, FAR
        done, seconds, tally = asyncio.run(crowd(server, here, arguments.clients, arguments.seconds * 2))
        here.proxy.mode = Mode.PASS
    name = f"50 ms away, {arguments.clients} concurrent clients:"
    return {
        f"{name} logins a second": done / seconds,
        f"{name} rejected with 503, of all responses": tally.statuses[503] / tally.statuses.total(),
        f"{name} answer p50, ms": tally.percentile(0.5) * 1000,
        f"{name} answer p99, ms": tally.percentile(0.99) * 1000,
        f"{name} 503 p99, ms": percentile(tally.shed, 0.99) * 1000,
    }


def repeated(here: World, arguments: argparse.Namespace) -> dict[str, float]:
    """Repeated logins of one cached user, of a file and of the directory, as shares of the anonymous
    path.
    """
    from harness import web  # noqa: PLC0415 - importable once `e2e.use` ran
    from harness.crowd import SERVICE  # noqa: PLC0415

    users = {"one user of the file, bcrypt cost 10": "local", "one user of the directory": "u7"}
    headers = {name: f"Authorization: {web.basic(user, SECRET)['Authorization']}" for name, user in users.items()}
    headers = {"anonymous": "X-Nobody: 1", **headers}
    target = f"/token?service={SERVICE}&scope=repository%3Ax%3Apull"
    rates: dict[str, list[float]] = {name: [] for name in headers}
    with here.server(cache=60) as server:
        for _ in range(arguments.rounds):
            for name, header in headers.items():
                work = Work(path=target, headers=[header])
                rates[name].append(drive(f"http://127.0.0.1:{server.port}", work, round(arguments.seconds)).rate)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    found = {}
    for name, rate in medians.items():
        found[f"GET /token, {name}, a second"] = rate
        if name != "anonymous":
            found[f"  {name}: of the anonymous path"] = rate / medians["anonymous"]
    return found


def black_hole(here: World, arguments: argparse.Namespace) -> dict[str, float]:
    """The latency of the file's users, and of its own, while the directory accepts connections but does not answer.

    The file's users are remembered: what is asked is whether they wait for threads that wait for the directory.
    """
    from harness.crowd import percentile  # noqa: PLC0415 - importable once `e2e.use` ran
    from harness.faultproxy import Mode  # noqa: PLC0415

    def p99s(server: TokenServer) -> tuple[float, float, set[int]]:
        local: list[float] = []
        remote: list[float] = []
        statuses: set[int] = set()
        over = time.monotonic() + arguments.seconds * 2

        def ask(user: str, values: list[float], every: float) -> None:
            server.people.setdefault(user, SECRET)
            while time.monotonic() < over:
                start = time.monotonic()
                status = server.ask("load.test", person=user).status
                values.append(time.monotonic() - start)
                if values is remote:
                    statuses.add(status)
                time.sleep(every)

        jobs = [("local", local, 0.02)] * 4 + [(user, remote, 0.1) for user in here.users(4)]
        threads = [threading.Thread(target=ask, args=job) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return percentile(local, 0.99) * 1000, percentile(remote, 0.99) * 1000, statuses

    with here.server(deadline=1) as server:
        well, _, _ = p99s(server)
        here.proxy.mode = Mode.SILENT
        p99s(server)  # each worker's circuit breaker opens meanwhile
        dead, refused, statuses = p99s(server)
        here.proxy.mode = Mode.PASS
    assert statuses == {503}, statuses  # noqa: S101 - rejections are measured
    return {
        "directory well: the file's users, p99, ms": well,
        "directory silent: the file's users, p99, ms": dead,
        "  of the former": dead / well,
        "directory silent, breaker open: its own users get 503, p99, ms": refused,
    }


async def crowd(server: TokenServer, here: World, clients: int, seconds: float) -> tuple[int, float, Tally]:
    """Clients that log in as one new user after another: successful logins, seconds, and the tally."""
    from harness.crowd import Tally, log_in  # noqa: PLC0415 - importable once `e2e.use` ran

    tally = Tally()
    begin = time.monotonic()
    over = begin + seconds

    async def client() -> int:
        done = 0
        while time.monotonic() < over:
            (user,) = here.users(1)
            done += await log_in(server.port, user, SECRET, tally, over)
        return done

    done = sum(await asyncio.gather(*(client() for _ in range(clients))))
    return done, time.monotonic() - begin, tally


def bare_rate(source: Any, here: World, seconds: float) -> float:
    """How many users a second one thread looks up and binds, with no other work."""
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        (user,) = here.users(1)
        source.authenticate(Password(user, Secret(SECRET)))
        count += 1
    return count / (time.monotonic() - begin)


if __name__ == "__main__":
    main()
