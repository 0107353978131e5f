"""`make bench`: tokens a second, compared with a bare WSGI function and a no-op Flask route in the same run.

Every server has the same number of workers, and the load generator (wrk, one thread) runs on the same machine. The
rounds are interleaved, so that a slow moment of the machine affects all of them; figures are medians, and the important
figure is the share of the bare yardstick. `--peer URL` also measures a second server.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import e2e, first_storm, load, machine_logins
from bench.load import Measured, Work, drive
from bench.servers import PASSWORD, PATH, Running, basic, program, running, tokenserver, write, yardstick
from bench.servers import port_of as port_in

WARM_REQUESTS = 1_000_000
"""Enough requests to run every thread and fill every cache: growth after that is a leak."""

MEASURED_REQUESTS = 2_000_000

TABLES = ("work", "sweeps", "logins", "latency", "first", "memory", "start")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a server, its workload, and the target share of the yardstick."""

    title: str
    url: str
    work: Work = Work()  # noqa: RUF009 - frozen
    goal: float | None = None
    p99_goal: float | None = None
    """In milliseconds."""
    yardstick: str = "bare"
    warm: int = 0
    """Seconds of load before each round, to fill caches that only last for seconds."""


def main() -> None:
    """Run the chosen tables and print them."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=TABLES, action="append")
    parser.add_argument("--peer", metavar="URL", help="a whole token URL of another server, measured beside ours")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    program("wrk")
    tables = dict(zip(TABLES, (work, sweeps, logins, latency, first, memory, start), strict=True))
    figures: dict[str, Any] = {}
    for name in arguments.only or tables:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            figures[name] = tables[name](Bench(stack, folder, arguments))
        print(flush=True)
        if arguments.json is not None:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


class Bench:
    """The context of a table: a folder, servers that stop with it, and the options."""

    def __init__(self, stack: ExitStack, folder: Path, options: argparse.Namespace) -> None:
        self._stack = stack
        self.folder = folder
        self._count = 0
        self.options = options

    def server(self, **settings: Any) -> Running:
        """A tokenserver with these settings."""
        self._count += 1
        workers = settings.pop("workers", self.options.workers)
        place = self.folder / f"server-{self._count}"
        return self._stack.enter_context(tokenserver(place, workers=workers, **settings))

    def yardstick(self, name: str, tls: bool = False) -> str:
        """The URL of a yardstick; with `tls`, of the certificate of the last server."""
        place = self.folder / f"server-{self._count}" if tls else None
        return self._stack.enter_context(yardstick(name, self.options.workers, place)).url

    def slapd(self) -> tuple[str, str] | None:
        """A directory with the user `u0`: its settings and the password; None where slapd is not installed."""
        return self._stack.enter_context(_slapd(self.folder))

    def table(self, title: str, rows: list[Row]) -> dict[str, Any]:
        """Measure the rows in turn, round by round, and print them; those whose title is `bare` are yardsticks."""
        for row in rows:
            drive(row.url, row.work, 1)  # warm up: caches and token reuse
        rates: dict[str, list[Measured]] = {row.title: [] for row in rows}
        for _ in range(self.options.rounds):
            for row in rows:
                if row.warm:
                    drive(row.url, row.work, row.warm)
                rates[row.title].append(drive(row.url, row.work, self.options.seconds))
        measured_as = (
            f"{'per second':>10} {'spread':>15} {'p50 ms':>7} {'p99 ms':>7} {'goal':>5} {'share':>6} {'goal':>5}"
        )
        print(f"{title:50} {measured_as}")
        found = {}
        for row in rows:
            measured = rates[row.title]
            rate = statistics.median(one.rate for one in measured)
            share = rate / statistics.median(one.rate for one in rates[row.yardstick])
            spread = f"{min(one.rate for one in measured):.0f} - {max(one.rate for one in measured):.0f}"
            p50, p99 = (statistics.median(getattr(one, name) for one in measured) for name in ("p50", "p99"))
            goal = "" if row.goal is None else f"{row.goal:.2f}"
            p99_goal = "" if row.p99_goal is None else f"{row.p99_goal:.1f}"
            print(
                f"{row.title:50} {rate:10.0f} {spread:>15} {p50:7.2f} {p99:7.2f} {p99_goal:>5} {share:6.3f} {goal:>5}"
            )
            found[row.title] = {
                "per_second": rate,
                "rounds": [one.rate for one in measured],
                "share": share,
                "goal": row.goal,
                "p50_ms": p50,
                "p99_ms": p99,
                "p99_goal_ms": row.p99_goal,
            }
        return found


def work(bench: Bench) -> dict[str, Any]:
    """The workloads that have a goal."""
    small = bench.server()
    rows = [
        Row("bare", bench.yardstick("bare")),
        Row("Flask, a route that does nothing", bench.yardstick("flask")),
        Row("anonymous, 3 rules, ES256", small.url, goal=0.45),
        Row("anonymous, 3 rules, RS256", bench.server(algorithm="RS256").url, goal=0.40),
        Row("1,000 rules, ES256", bench.server(rules=1_000).url, goal=0.45),
        Row("10,000 rules, ES256", bench.server(rules=10_000).url, goal=0.45),
        Row("same user again, bcrypt cost 10", bench.server(users=1).url, load.login("u0"), goal=0.40),
    ]
    directory = bench.slapd()
    if directory is None:
        print("slapd is not installed, so the directory row is skipped")
    else:
        server = bench.server(sources=directory[0])
        header = f"Authorization: {directory[1]}"
        rows.append(Row("same user again, LDAP", server.url, Work(headers=[header]), goal=0.40))
    # Cost 4, so that rechecking a thousand users a minute does not dominate.
    users = bench.server(users=1_000, cost=4)
    in_turn, many = "1,000 users in turn, 100 repositories", load.many_users(1_000, 100)
    rows.append(Row(f"bare, {in_turn}", rows[0].url, many))
    rows.append(Row(in_turn, users.url, many, goal=0.55, warm=4))
    rows.append(Row("anonymous, each token newly signed", bench.server(more="token_reuse: 0s").url))
    rows += _new_repositories(bench)
    if bench.options.peer:
        base, slash, path = bench.options.peer.partition("://")[2].partition("/")
        scheme = bench.options.peer.partition("://")[0]
        rows.append(Row("the other server", f"{scheme}://{base}", Work(path=slash + path)))
    return bench.table("GET /token, one scope, 16 connections", rows)


def _new_repositories(bench: Bench) -> list[Row]:
    """Every request for another repository. The yardstick's own load is generated in the same way."""
    title, work = "every request another repository", load.new_repositories()
    servers = {
        "ES256": bench.server(),
        "RS256": bench.server(algorithm="RS256"),
        "1,000 rules": bench.server(rules=1_000),
    }
    rows = [Row(f"bare, {title}", bench.yardstick("bare"), work)]
    goals = {"ES256": 0.22, "1,000 rules": 0.22}
    return rows + [Row(f"{title}, {name}", one.url, work, goal=goals.get(name)) for name, one in servers.items()]


def sweeps(bench: Bench) -> dict[str, Any]:
    """One factor at a time, in increasing order."""
    small = bench.server(users=1)
    bare = bench.yardstick("bare")
    closing = replace(load.new_connections(), path=PATH)
    rows = [Row("bare", bare), Row("bare, a connection for each", bare, closing)]
    rows.append(Row("a connection for each request", small.url, closing, yardstick="bare, a connection for each"))
    secure = bench.server(tls=True)
    bare_secure = bench.yardstick("bare", tls=True)
    rows.append(Row("bare, TLS", bare_secure))
    rows.append(Row("TLS", secure.url, yardstick="bare, TLS"))
    rows.append(Row("bare, TLS, a connection for each", bare_secure, closing))
    title = "TLS, a connection for each request"
    rows.append(Row(title, secure.url, closing, yardstick="bare, TLS, a connection for each"))
    rows.append(Row("GET, the same user again", small.url, load.login("u0"), warm=1))
    title = "POST, the same user again, of GET"
    rows.append(Row(title, small.url, load.post(), goal=0.80, yardstick="GET, the same user again", warm=1))
    goals = {16: 0.15, 64: 0.05}
    rows += [Row(f"{count} scopes", small.url, load.scopes(count), goal=goals.get(count)) for count in (1, 4, 16, 64)]
    for count in (1, 4, 64, 256):
        rows.append(Row(f"bare, {count} connections", bare, Work(connections=count)))
        few = Work(connections=count)
        rows.append(Row(f"{count} connections", small.url, few, yardstick=f"bare, {count} connections"))
    for count in (10, 100, 100_000):
        rows.append(Row(f"{count:,} rules", bench.server(rules=count).url))
    for count in (10, 1_000, 100_000):
        rows.append(
            Row(f"{count:,} users in the file", bench.server(users=count).url, load.login(f"u{count - 1}"), warm=1)
        )
    return bench.table("one thing at a time", rows)


def logins(bench: Bench) -> dict[str, Any]:
    """Repeated logins of machines and by stored credentials, beside those by password with the same method."""
    texts: list[str] = []
    server = bench.server(
        users=1, cost=4, sources=machine_logins.SOURCE, files=machine_logins.files(), more=machine_logins.STORAGE,
        prepare=lambda config: texts.extend(machine_logins.stored_logins(config)),
    )  # fmt: skip
    found = machine_logins.logins(*texts)
    rows = [Row(one.title, server.url, one.work, one.goal, yardstick=one.compared_with) for one in found]
    return bench.table("the same login again; shares of the password's", rows)


def latency(bench: Bench) -> dict[str, Any]:
    """The latency at half of the peak rate."""
    server, bare = bench.server().url, bench.yardstick("bare")
    new = load.new_repositories()
    rows = []
    for name, url, asked, p99_goal in (
        ("bare", bare, Work(), None),
        ("anonymous, 3 rules, ES256", server, Work(), None),
        ("every request another repository, ES256", bench.server().url, new, 3.0),
    ):
        peak = drive(url, asked, bench.options.seconds).rate
        half = load.at_rate(peak / 2)
        rows.append(Row(name, url, replace(half, lua=half.lua + asked.lua), p99_goal=p99_goal))
    return bench.table("at half of the peak rate, 64 connections", rows)


def first(bench: Bench) -> dict[str, Any]:
    """The first storm after a start, beside later ones."""
    return first_storm.compared(bench.server, bench.options.rounds)


def memory(bench: Bench) -> dict[str, Any]:
    """Memory growth over two million requests, and the memory of a server with 1,000 rules."""
    server = bench.server(rules=1_000)
    at_first = _resident(server)
    _asked(server, WARM_REQUESTS)
    before = {pid: _resident_of(pid) for pid in server.workers}
    asked = _asked(server, MEASURED_REQUESTS)
    after = {pid: _resident_of(pid) for pid in server.workers}
    growth = sum(after[pid] - before[pid] for pid in before)
    figures = {
        "start_mb": at_first / 2**20,
        "warm_mb": [size / 2**20 for size in before.values()],
        "after_mb": [size / 2**20 for size in after.values()],
        "requests": asked,
        "bytes_a_request": growth / asked,
        "all_mb": _resident(server) / 2**20,
    }
    print(f"memory at 1,000 rules: master and {len(before)} workers {figures['start_mb']:.0f} MB when ready")
    print(f"after {asked:,} requests {figures['all_mb']:.0f} MB; workers grew by {growth / asked:.3f} bytes a request")
    return figures


def _asked(server: Running, most: int) -> int:
    asked = 0
    while asked < most:
        asked += drive(server.url, Work(), 5).requests
    return asked


def _resident(server: Running) -> int:
    return sum(_resident_of(pid) for pid in (server.process.pid, *server.workers))


def _resident_of(pid: int) -> int:
    """The private bytes of this process, and its proportional set size (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("Linux tells it")


def start(bench: Bench) -> dict[str, Any]:
    """Seconds from the command to the first token."""
    figures = {}
    for rules, goal in ((3, 1), (1_000, 1), (10_000, 4)):
        times = []
        for turn in range(bench.options.rounds):
            config = write(bench.folder / f"start-{rules}-{turn}", rules=rules, workers=bench.options.workers)
            command = [sys.executable, "-m", "tokenserver", "serve", "--config", str(config)]
            begin = time.monotonic()
            with running(command, port_in(config)):
                times.append(time.monotonic() - begin)
        bare = _python_start()
        figures[str(rules)] = {"seconds": statistics.median(times), "rounds": times, "python": bare}
        print(
            f"first token at {rules:,} rules: {statistics.median(times):.2f} s "
            f"(goal {goal} s; importing Flask and granian alone {bare:.2f} s)"
        )
    return figures


def _python_start() -> float:
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import flask, granian"], check=True)
    return time.monotonic() - begin


@contextmanager
def _slapd(folder: Path) -> Iterator[tuple[str, str] | None]:
    """A directory from the tests' harness: settings of a source, and the header of its user."""
    if not Path("/usr/sbin/slapd").exists():
        yield None
        return
    e2e.use("slapd")
    from harness.authority import Authority  # noqa: PLC0415 - the tests' harness, only for this row
    from harness.slapd import BASE, READER, person, slapd  # noqa: PLC0415

    place = folder / "directory"
    place.mkdir()
    with slapd(place, Authority(place, "bench")) as server:
        server.add(person("u0", PASSWORD))
        settings = {
            "name": "corp",
            "preset": "openldap",
            "url": f"ldap://localhost:{server.port}",
            "insecure_plaintext": True,
            "base": BASE,
            "bind_dn": READER,
            "bind_password": server.reader_password,
        }
        yield json.dumps({"ldap": settings}), basic("u0")


if __name__ == "__main__":
    main()
