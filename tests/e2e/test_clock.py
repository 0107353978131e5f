"""A server whose clock is ahead of everybody else's, and one whose clock jumps while it serves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from harness import registries, web
from harness.processes import free_port
from harness.programs import need
from harness.registries import KEEPER
from harness.server import ANONYMOUS, Setup, TokenServer, serving

pytestmark = pytest.mark.waits

SERVICE = "registry2.test"
AHEAD = 5


@pytest.fixture(scope="module")
def ahead(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that believes it is five seconds later."""
    prefix = [str(need("faketime")), "-f", f"+{AHEAD}s"]
    small = replace(setup, people={KEEPER: setup.people[KEEPER]})
    with serving(tmp_path_factory.mktemp("ahead"), small, prefix=prefix) as server:
        yield server


def test_times_are_not_in_the_future_of_others(ahead: TokenServer) -> None:
    """zot and Pulp take no token from the future, not by one second; the times are set back for them."""
    before = int(time.time())
    answer = ahead.ask(SERVICE, person=ANONYMOUS).json()
    claims = web.claims(answer["token"])
    after = int(time.time())
    # The first line shows that the server's clock really is ahead, so that the others mean something.
    assert before + AHEAD + 900 <= claims["exp"] <= after + AHEAD + 900
    assert claims["nbf"] == claims["iat"]
    assert claims["iat"] <= before


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_a_registry_takes_it_at_once(generation: str, ahead: TokenServer, tmp_path: Path) -> None:
    """A registry with the right clock accepts the token in the second in which it was signed."""
    with registries.registry(tmp_path, ahead, SERVICE, generation) as registry:
        assert registry.request("GET", "/v2/", ahead.token(SERVICE)).status == 200


@dataclass
class Jumping:
    """A server and the file that moves its clock; nothing else of the machine is touched."""

    server: TokenServer
    file: Path
    metrics: int

    def move(self, by: str) -> None:
        """Put the clock so far from the machine's, `-1h` or `+0`."""
        # By rename, so that the library never finds the file empty.
        new = self.file.with_suffix(".new")
        new.write_text(by)
        new.replace(self.file)
        time.sleep(1.5)  # every worker has looked at its clock

    def notes(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.request("GET", "/readyz").json().get("notes", {})
        return found

    def certificate_ends_in(self) -> float:
        """What metrics say, in seconds."""
        page = web.request(self.metrics, "GET", "/metrics").body.decode()
        lines = [line for line in page.splitlines() if 'expiry_seconds{certificate="signing"' in line]
        return float(lines[0].split()[-1])


SLEEP = """\
import threading
import time

time.sleep = lambda seconds: threading.Event().wait(seconds) and None
"""
"""Python sleeps until a moment of the monotonic clock, which libfaketime takes for one of the clock that it moves: then
sleep fails (EINVAL) if the clock is put ahead by more than the machine's uptime. Waiting for an event does not."""

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@pytest.fixture
def jumping(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jumping]:
    """One worker, so that each answer is from the same process."""
    need("faketime")
    if not LIBRARY.exists():
        pytest.skip(f"no {LIBRARY}")
    folder = tmp_path_factory.mktemp("jumping")
    file = tmp_path_factory.mktemp("clock") / "offset"
    file.write_text("+0")
    (file.parent / "sitecustomize.py").write_text(SLEEP)
    metrics = free_port()
    variables = {
        "LD_PRELOAD": LIBRARY,
        "FAKETIME_TIMESTAMP_FILE": file,
        "FAKETIME_NO_CACHE": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1,
        "PYTHONPATH": file.parent,
    }
    small = replace(
        setup,
        people={KEEPER: setup.people[KEEPER], "ann": setup.people["ann"]},
        settings={
            "server": {"workers": 1, "metrics": f"127.0.0.1:{metrics}"},
            "throttle": {"enabled": True, "window": "5m", "failures_per_user": 3},
        },
    )
    prefix = ["env", *(f"{name}={value}" for name, value in variables.items())]
    with serving(folder, small, prefix=prefix) as server:
        yield Jumping(server, file, metrics)


def test_a_clock_that_jumps_while_it_serves(jumping: Jumping, tmp_path: Path) -> None:
    """Tokens agree with themselves, it is told, and right after the return registries take tokens again.

    See docs/design/threats.md#fault-21.
    """
    server = jumping.server
    with registries.registry(tmp_path, server, SERVICE, "distribution3") as registry:

        def taken() -> int:
            return registry.request("GET", "/v2/", server.token(SERVICE)).status

        assert (taken(), jumping.notes()) == (200, {})
        for by in (3600, -3600, 86400, -86400):
            jumping.move(f"{by:+d}")
            before = int(time.time()) + by
            claims = web.claims(server.token(SERVICE, person=KEEPER))
            assert claims["iat"] == claims["nbf"]
            assert claims["exp"] - claims["iat"] == 910
            assert abs(claims["iat"] + 10 - before) <= 5
            assert taken() == 401
            assert jumping.notes()["clock"].startswith(f"jumped {'ahead' if by > 0 else 'back'} by {abs(by)} s")
            jumping.move("+0")
            assert (taken(), jumping.notes()) == (200, {})


def test_a_clock_that_jumps_locks_nobody_out(jumping: Jumping) -> None:
    """How long somebody has to wait is measured by a clock that cannot jump; an hour back is no hour more.

    See docs/design/threats.md#fault-21.
    """
    server = jumping.server
    right = dict(server.people)
    server.people["ann"] = "wrong"
    statuses = [server.ask(SERVICE, person="ann").status for _ in range(3)]
    for number in range(3):
        server.people["ann"] = f"wrong {number}"
        statuses.append(server.ask(SERVICE, person="ann").status)
    assert statuses[-1] == 429
    waits = int(server.ask(SERVICE, person="ann").header("retry-after") or 0)
    jumping.move("-3600")
    later = server.ask(SERVICE, person="ann")
    assert later.status == 429
    assert int(later.header("retry-after") or 0) <= waits
    server.people.update(right)
    assert server.ask(SERVICE, person=KEEPER).status == 200


def test_a_certificate_that_ends_while_it_serves(jumping: Jumping) -> None:
    """The metric counts down to nothing, and then the server is not ready; with the right clock it is.

    See docs/design/threats.md#threat-70.
    """
    day = 86400
    first = jumping.certificate_ends_in()
    jumping.move(f"+{int(first) - 29 * day}")
    assert 28.9 * day < jumping.certificate_ends_in() < 29.1 * day
    answer = jumping.server.request("GET", "/readyz")
    assert answer.status == 200, jumping.server.daemon.log[-3000:]
    assert "in 28 days" in jumping.server.daemon.log
    jumping.move(f"+{int(first) + day}")
    assert -1.1 * day < jumping.certificate_ends_in() < -0.9 * day
    answer = jumping.server.request("GET", "/readyz")
    assert answer.status == 503
    assert answer.json()["parts"]["keys"].startswith("the signing certificate has expired")
    jumping.move("+0")
    assert jumping.server.request("GET", "/readyz").status == 200
