"""A renewed certificate of `server.tls`: in force in all workers and listeners without a restart, under load."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from harness import web
from harness.authority import Authority
from harness.json_lines import whole_lines
from harness.own_time import OwnTime
from harness.processes import free_port
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.waits

SERVICE = "registry2.test"
TARGET = web.token_target(SERVICE, ["repository:public/x:pull"])
SECONDS = PATIENCE_SECONDS
RENEWALS = 3
CONNECTIONS = 40
"""How many connections show which certificates the workers have: with two workers, one of them gets none of them in a
hundred billion tries."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "authority").mkdir()
    return Authority(tmp_path / "authority", "the company")


@pytest.fixture
def management() -> int:
    return free_port()


@pytest.fixture
def server(setup: Setup, authority: Authority, management: int, tmp_path: Path) -> Iterator[TokenServer]:
    """Two workers, each with two listeners."""
    listeners = {
        "workers": 2,
        "management": f"127.0.0.1:{management}",
        "management_url": f"https://localhost:{management}",
    }
    settings = {"server": listeners, "storage": "state/tokenserver.db"}
    people = {KEEPER: setup.people[KEEPER]}
    (tmp_path / "site").mkdir()
    with serving(tmp_path / "site", replace(setup, people=people, settings=settings, tls=authority)) as one:
        yield one


def renew(server: TokenServer, authority: Authority) -> int:
    """Replace both files, one after the other, as ACME clients do; the serial number of the new certificate."""
    folder = server.folder / "new"
    folder.mkdir()
    certificate, key = authority.issue(folder)
    serial = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
    certificate.rename(server.folder / certificate.name)
    OwnTime(server.daemon.pid).wait(1.2)
    key.rename(server.folder / key.name)
    folder.rmdir()
    return serial


def serial(port: int, authority: Authority) -> int:
    """The serial number of the certificate that a new connection gets."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
        authority.context().wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return int(connection.getpeercert()["serialNumber"], 16)  # type: ignore[index,arg-type]  # there is one


def serials(port: int, authority: Authority) -> set[int]:
    """Those of many connections, so that every worker has had some."""
    found: set[tuple[int, int]] = set()
    while len(found) < CONNECTIONS:
        with suppress(ConnectionError, ssl.SSLError):  # the handshake was not complete when the listener was replaced
            found.add((len(found), serial(port, authority)))
    return {number for _, number in found}


class Clients:
    """Clients that ask again and again: those of `kept` on one connection each, the others on a new one each time."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.port = port
        self.context = context
        self.results: Counter[str] = Counter()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(kept,)) for kept in (True, True, False, False)]

    def ask(self, kept: bool) -> None:
        how, connection = "new", self.connection()
        while not self.stop.is_set():
            try:
                connection.request("GET", TARGET)
                answer = connection.getresponse()
                answer.read()
                self.results[f"{how} {answer.status}"] += 1
                is_open = kept and connection.sock is not None
            except (OSError, http.client.HTTPException) as error:
                self.results[f"{how} {type(error).__name__}"] += 1
                is_open = False
            how = "kept" if is_open else "new"
            if not is_open:
                connection.close()
                connection = self.connection()
        connection.close()

    def connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=SECONDS)


@contextmanager
def load(server: TokenServer, authority: Authority) -> Iterator[Clients]:
    """Clients at work meanwhile."""
    clients = Clients(server.port, authority.context())
    for thread in clients.threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.stop.set()
        for thread in clients.threads:
            thread.join()


def rejected_changes(server: TokenServer) -> list[dict[str, Any]]:
    """The events of changes that were rejected."""
    events = whole_lines(server.daemon.stdout)
    return [one for one in events if one["event"] == "change" and one["outcome"] == "rejected"]


def test_renewals_under_load(server: TokenServer, authority: Authority, management: int) -> None:
    """Three in a row: every listener of every worker has the new certificate, and no process was replaced."""
    until(lambda: "ready: 2 workers" in server.daemon.log, seconds=SECONDS)
    workers = set(server.daemon.children)
    with load(server, authority) as clients:
        for _ in range(RENEWALS):
            new = renew(server, authority)
            until(lambda: serials(server.port, authority) == {new}, seconds=SECONDS)  # noqa: B023
            until(lambda: serials(management, authority) == {new}, seconds=SECONDS)  # noqa: B023
    failures = sum(count for result, count in clients.results.items() if not result.endswith(" 200"))
    # At a renewal a client can lose a connection that is idle, or whose handshake is not complete, and tries again.
    assert failures <= RENEWALS * len(clients.threads), clients.results
    assert clients.results["kept 200"] > 100 < clients.results["new 200"]
    assert set(server.daemon.children) == workers
    assert server.daemon.log.count("a new certificate is in force") == RENEWALS
    rejected = [problem for event in rejected_changes(server) for problem in event["problems"]]
    assert rejected  # the certificate was there without its key for a moment
    assert {problem.partition(" has changed")[0] for problem in rejected} == {"the file of server.tls.certificate"}
    logged = [line for line in server.daemon.log.splitlines() if '"event":' not in line]
    assert [line for line in logged if "restart" in line] == []


def test_links_that_point_to_other_files(setup: Setup, authority: Authority, tmp_path: Path, management: int) -> None:
    """As in a volume of Kubernetes and in `live/` of certbot; also a worker that is replaced finds the new files."""
    site, volume = tmp_path / "site", tmp_path / "volume"
    site.mkdir()
    for name in ("one", "two"):
        (volume / name).mkdir(parents=True)
        authority.issue(volume / name)
        time.sleep(3)  # so that they end at different times
    (volume / "live").symlink_to("one")
    tls = {"certificate": str(volume / "live" / "tls.crt"), "key": str(volume / "live" / "tls.key")}
    metrics = free_port()
    listeners = {"url": f"https://localhost:{management}", "metrics": f"127.0.0.1:{metrics}"}
    settings = {"server": {"workers": 1, "tls": tls, **listeners}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings, tls=authority)
    with serving(site, small) as server:
        old = serial(server.port, authority)
        (volume / "next").symlink_to("two")
        (volume / "next").rename(volume / "live")
        for file in (volume / "one").iterdir():
            file.unlink()
        new = x509.load_pem_x509_certificate((volume / "two" / "tls.crt").read_bytes()).serial_number
        assert old != new
        until(lambda: serial(server.port, authority) == new, seconds=SECONDS)
        end = x509.load_pem_x509_certificate((volume / "two" / "tls.crt").read_bytes()).not_valid_after_utc.timestamp()
        until(lambda: abs(remaining(metrics) - (end - time.time())) < 2, seconds=SECONDS)
        (worker,) = server.daemon.children
        os.kill(worker, signal.SIGKILL)
        until(lambda: server.daemon.children not in ([], [worker]) and server.is_ready(), seconds=SECONDS)
        assert serial(server.port, authority) == new


def remaining(port: int) -> float:
    """The metric of the certificate in force."""
    page = web.request(port, "GET", "/metrics").body.decode()
    (value,) = re.findall(r"^tokenserver_tls_certificate_expiry_seconds (.*)$", page, re.MULTILINE)
    return float(value)
