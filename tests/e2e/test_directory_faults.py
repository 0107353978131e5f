"""A running server while its directory has a bad day: what its users and all the others meet.

See docs/design/threats.md#fault-1, docs/design/threats.md#fault-2, docs/design/threats.md#fault-3,
docs/design/threats.md#fault-4, docs/design/threats.md#fault-5, docs/design/threats.md#fault-6,
docs/design/threats.md#fault-7 and docs/design/threats.md#fault-8.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.authority import Authority
from harness.faultproxy import FaultProxy, Mode, faulty
from harness.own_time import OwnTime
from harness.server import Setup, TokenServer, serving
from harness.slapd import BASE, READER, Slapd, person, slapd

from tokenserver.config.load import load_settings
from tokenserver.exchange.admission import threads_for
from tokenserver.server.compose import login_plan

pytestmark = [pytest.mark.real("slapd"), pytest.mark.waits]

SERVICE = "reg.test"
TARGET = web.token_target(SERVICE)
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
LOCAL, LOCAL_PASSWORD = "lea", "in the file"
DEADLINE = 2
PROBE_SECONDS = 5.0
"""What the breaker waits before one login tries the directory again."""
PATIENCE = 2.0
"""What a busy machine may add."""


@dataclass
class Site:
    """A server of one worker, its directory, and the proxy between them."""

    server: TokenServer
    directory: Slapd
    proxy: FaultProxy

    def ask(self, user: str, password: str = "secret") -> web.Answer:  # noqa: S107 - made up here
        """One login."""
        return self.server.request("GET", TARGET, headers=web.basic(user, password))

    def alice(self) -> int:
        """The status of a login that only the directory can answer."""
        return self.ask("alice").status

    def local(self) -> int:
        """The status of a login of the htpasswd file."""
        return self.ask(LOCAL, LOCAL_PASSWORD).status

    def readiness(self) -> tuple[int, str]:
        """The status of /readyz, and what it says about the directory."""
        answer = self.server.request("GET", "/readyz")
        return answer.status, str(answer.json()["parts"]["corp"])

    def open_breaker(self, mode: Mode) -> None:
        """Make the directory fail until the breaker opens."""
        self.proxy.mode = mode
        assert [self.alice() for _ in range(3)] == [503] * 3
        assert self.readiness()[0] == 503

    def recover(self) -> float:
        """Let the directory answer again; how long it took until a login worked, with one try in 0.2 s."""
        self.proxy.mode = Mode.PASS
        return waited(self.server, lambda: self.alice() == 200, PROBE_SECONDS + 10)

    @property
    def threads(self) -> int:
        """Threads of the worker."""
        (worker,) = self.server.daemon.children
        return len(list(Path(f"/proc/{worker}/task").iterdir()))


@dataclass
class Load:
    """Logins of one kind, again and again until the end, with how each was answered and when."""

    ask: Callable[[], int]
    every: float
    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        """Ask until it is over."""
        while not over.wait(self.every):
            start = time.monotonic()
            self.statuses.append(self.ask())
            self.seconds.append(time.monotonic() - start)

    @property
    def p99(self) -> float:
        """The time within which 99 of 100 answers came."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


@contextmanager
def load(*loads: Load) -> Iterator[None]:
    """These loads run during the block."""
    over = threading.Event()
    threads = [threading.Thread(target=one.run, args=(over,)) for one in loads]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def waited(server: TokenServer, until: Callable[[], bool], seconds: float) -> float:
    """How many of the server's own seconds it took until this held; fails after `seconds`."""
    own = OwnTime(server.daemon.pid)
    while not until():
        assert not own.is_over(seconds), f"did not come within {seconds} s"
        time.sleep(0.2)
    return own.seconds


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The company's authority."""
    (tmp_path / "authority").mkdir()
    return Authority(tmp_path / "authority", "the company")


Start = Callable[..., Site]


@pytest.fixture
def start(tmp_path: Path, authority: Authority) -> Iterator[Start]:
    """Starts directory, proxy and server; keywords are settings of the directory, beside a cache that is off."""
    with ExitStack() as stack:

        def start(**more: Any) -> Site:
            (tmp_path / "slapd").mkdir()
            (tmp_path / "server").mkdir()
            directory = stack.enter_context(slapd(tmp_path / "slapd", authority))
            directory.add(*(person(name, "secret") for name in ("alice", "bob", "carol")))
            proxy = stack.enter_context(faulty(directory.tls_port))
            ldap = {
                "name": "corp",
                "preset": "openldap",
                "url": f"ldaps://localhost:{proxy.port}",
                "ca_file": str(authority.file),
                "base": BASE,
                "bind_dn": READER,
                "bind_password": directory.reader_password,
                "deadline": DEADLINE,
                "cache": 0,
                **more,
            }
            settings = {
                "server": {"workers": 1},
                "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"ldap": ldap}],
            }
            setup = Setup({LOCAL: LOCAL_PASSWORD}, POLICIES, {SERVICE: "universal"}, settings)
            site = Site(stack.enter_context(serving(tmp_path / "server", setup)), directory, proxy)
            assert (site.alice(), site.local(), site.readiness()) == (200, 200, (200, "ok"))
            return site

        yield start


@pytest.mark.alone
def test_refused_under_load(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """503 with Retry-After in under a second, the breaker opens and says so, the file's users notice nothing, and
    the first try after the probe interval works.

    See docs/design/threats.md#fault-1.
    """
    site = start()
    quiet, local, remote = Load(site.local, 0.05), Load(site.local, 0.05), Load(site.alice, 0.1)
    with load(quiet):
        time.sleep(2)
    site.proxy.mode = Mode.REFUSE
    with load(local, remote):
        time.sleep(3)
        answer = site.ask("bob")
        told = site.readiness()
    assert (answer.status, answer.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")
    assert 1 <= int(answer.header("retry-after") or 0) <= PROBE_SECONDS
    assert b"corp" not in answer.body
    assert set(remote.statuses) == {503}
    assert remote.p99 < 1
    assert set(local.statuses) == {200}
    with capsys.disabled():
        print(  # noqa: T201 - figures
            f"\nfile's users: p99 {quiet.p99 * 1000:.0f} ms before, {local.p99 * 1000:.0f} ms during; "
            f"directory's users: 503, p99 {remote.p99 * 1000:.0f} ms"
        )
    assert local.p99 < quiet.p99 + 0.5
    assert told[0] == 503
    assert "the circuit breaker is" in told[1]
    assert "the circuit breaker is open" in site.server.daemon.log
    assert site.recover() < PROBE_SECONDS + PATIENCE
    assert site.readiness() == (200, "ok")
    assert "corp: answers again; the circuit breaker is closed" in site.server.daemon.log


@pytest.mark.alone
def test_silent_with_a_crowd(start: Start) -> None:
    """200 logins at once against a directory that takes connections and says nothing: all are answered within the
    deadline, the file's users do not wait with them, and threads are bounded.

    See docs/design/threats.md#fault-2.
    """
    site = start()
    site.proxy.mode = Mode.SILENT
    settings = load_settings(site.server.config, {})
    # Those that may wait, those that read forms, and the few of the interpreter and of granian itself.
    most = threads_for(login_plan(settings).threads) + 16
    for _ in range(2):
        local = Load(site.local, 0.02)
        start_time = time.monotonic()
        with load(local), ThreadPoolExecutor(200) as pool:
            answers = list(pool.map(lambda _: site.ask("alice", f"p-{next(NUMBERS)}").status, range(200)))
        took = time.monotonic() - start_time
        assert set(answers) == {503}
        assert took < 10
        assert set(local.statuses) == {200}
        assert local.p99 < 0.5 + PATIENCE
        assert site.threads <= most
    # The breaker is open by now: no login waits for the directory any more.
    start_time = time.monotonic()
    assert site.alice() == 503
    assert time.monotonic() - start_time < 1
    assert site.recover() < PROBE_SECONDS + DEADLINE + PATIENCE


NUMBERS = itertools.count()


@pytest.mark.alone
def test_nobody_waits_for_a_silent_directory(start: Start) -> None:
    """With the usual deadline: once the breaker is open, every login of the directory has its 503 within a second,
    also the one that comes when the directory is tried again.

    See docs/design/threats.md#fault-2.
    """
    site = start(deadline=5)
    site.proxy.mode = Mode.SILENT
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: site.ask("alice", f"p-{next(NUMBERS)}").status, range(3))) == {503}
    remote = Load(site.alice, 0.05)
    with load(remote):
        time.sleep(2 * PROBE_SECONDS + 2)
    assert set(remote.statuses) == {503}
    assert len(remote.statuses) > 50
    assert max(remote.seconds) < 1
    assert site.recover() < PROBE_SECONDS + 5 + PATIENCE


def test_whatever_comes_back(start: Start) -> None:
    """Whatever comes instead of an answer: 503 within the deadline and never a success; the next login,
    with the directory well again, works at once, since two failures do not open the breaker.

    See docs/design/threats.md#fault-3 and docs/design/threats.md#fault-4.
    """
    site = start()
    modes = [mode for mode in Mode if mode not in (Mode.PASS, Mode.DELAY, Mode.DRIP)]
    found: dict[Mode, list[int]] = {}
    slowest = 0.0
    for mode in modes:
        site.proxy.mode = mode
        for _ in range(2):
            own = OwnTime(site.server.daemon.pid)
            status = site.alice()
            slowest = max(slowest, own.seconds)
            found.setdefault(mode, []).append(status)
        site.proxy.mode = Mode.PASS
        found[mode].append(site.alice())
    assert found == {mode: [503, 503, 200] for mode in modes}
    assert slowest < DEADLINE + 0.5 + PATIENCE
    assert "Traceback" not in site.server.daemon.log


def test_slow_is_not_down(start: Start) -> None:
    """An answer that comes within the deadline is one; the breaker stays closed (docs/design/threats.md#fault-5)."""
    site = start()
    site.proxy.mode, site.proxy.seconds = Mode.DELAY, 0.3
    assert [site.alice() for _ in range(3)] == [200] * 3
    assert site.readiness() == (200, "ok")
    site.proxy.seconds = DEADLINE * 4.0
    assert site.alice() == 503


def test_a_restart_under_load(start: Start) -> None:
    """While the directory restarts a right password is never called wrong, and nobody is bound more than twice.

    See docs/design/threats.md#fault-6.
    """
    site = start()
    logins = Load(site.alice, 0.02)
    with load(logins):
        time.sleep(1)
        site.directory.stop()
        time.sleep(1)
        site.directory.start()
        waited(site.server, lambda: logins.statuses[-1] == 200, PROBE_SECONDS + PATIENCE)
    assert set(logins.statuses) == {200, 503}
    assert logins.statuses[-1] == 200
    binds = len(re.findall(rf'BIND dn="cn=alice,ou=people,{BASE}" method=128', site.directory.log()))
    assert binds <= 2 * len(logins.statuses)


def test_an_expired_certificate(start: Start, authority: Authority) -> None:
    """The directory's certificate expires: 503, no password leaves, and the log says why; a new one is
    taken as soon as it is there.

    See docs/design/threats.md#fault-8 and docs/design/threats.md#threat-8.
    """
    site = start()
    site.directory.stop()
    authority.issue(site.directory.folder, is_expired=True)
    site.directory.start()
    del site.proxy.received[:]
    assert site.alice() == 503
    assert "the server's certificate has expired: it ended " in site.server.daemon.log
    assert b"secret" not in site.proxy.received
    assert site.directory.reader_password.encode() not in site.proxy.received
    site.directory.stop()
    authority.issue(site.directory.folder)
    site.directory.start()
    site.recover()


def test_another_authority(start: Start, authority: Authority, tmp_path: Path) -> None:
    """The company changes its authority; the new `ca_file` is taken over without a restart, the old one is out.

    See docs/design/threats.md#fault-8.
    """
    site = start()
    (tmp_path / "next").mkdir()
    successor = Authority(tmp_path / "next", "the company, again")
    site.directory.stop()
    successor.issue(site.directory.folder)
    site.directory.start()
    assert site.alice() == 503
    assert "the server's certificate was issued by an unknown CA: the company, again" in site.server.daemon.log
    authority.file.write_bytes(successor.file.read_bytes())
    assert site.recover() < PROBE_SECONDS + 2 + PATIENCE


def test_grace(start: Start) -> None:
    """Who was verified lately goes on for `stale_grace` while the directory is away, each such login is marked in its
    event, and nobody else comes in; without the directory's word nothing else is believed.
    """
    site = start(cache=1, stale_grace=60)
    site.alice()
    time.sleep(1.2)
    site.proxy.mode = Mode.REFUSE
    mark = site.server.audit.mark()
    assert [site.alice() for _ in range(5)] == [200] * 5
    assert site.ask("alice", "wrong").status == 503
    assert site.ask("bob").status == 503
    events = site.server.audit.events(mark, lambda found: len(found) == 7)
    assert [(event.outcome, event.subject, event.fields.get("stale")) for event in events] == [
        *[("login", "alice", True)] * 5,
        ("unavailable", "alice", None),
        ("unavailable", "bob", None),
    ]
    site.recover()
    mark = site.server.audit.mark()
    waited(site.server, lambda: site.ask("bob").status == 200, PROBE_SECONDS)
    (event,) = site.server.audit.events(mark)[-1:]
    assert event.fields.get("stale") is None


def test_no_grace_unless_told(start: Start) -> None:
    """By default nobody is believed any longer than the cache says."""
    site = start(cache=1)
    assert site.alice() == 200
    time.sleep(1.2)
    site.proxy.mode = Mode.REFUSE
    assert site.alice() == 503
