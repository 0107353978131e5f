"""More is asked than can be signed: who is answered is answered in time, the rest is told when to come again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import web
from harness.arrivals import NO_ANSWER, Stream, arrive, get, steady, within
from harness.crowd import many_files
from harness.server import Setup, TokenServer, password, serving

from tokenserver.exchange import admission

pytestmark = pytest.mark.alone

SERVICE = "registry3.test"
TARGET = web.token_target(SERVICE, ["repository:public/x:pull"])
POLICY = 'version: 1\nallow:\n  - {id: x, to: [everyone], repositories: ["public/**"], actions: [pull]}\n'
# Every token is signed, and dearly, so that a load generator in Python is faster than the server.
SETTINGS = {
    "server": {"workers": 1},
    "token_reuse": "0s",
    "registries": [{"service": SERVICE, "algorithm": "RS256", "keys": "rsa/"}],
}
BURST = 1500
BURST_SECONDS = 0.25
SECONDS = 3.0


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    with many_files():
        yield


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TokenServer]:
    """A server of its own with one worker."""
    with serving(
        tmp_path, Setup({"ann": password()}, {"root.yaml": POLICY}, {SERVICE: "universal"}, SETTINGS)
    ) as server:
        yield server


def streams() -> tuple[Stream, Stream]:
    """A burst of which one worker cannot keep all, again and again; and a health check beside it."""
    rush = Stream(
        get(TARGET, "Connection: close"), lambda t: BURST / BURST_SECONDS if t % 1 < BURST_SECONDS else 0, True
    )
    return rush, Stream(get("/healthz", "Connection: close"), steady(10), is_new_each_time=True)


def test_what_is_too_much_is_sent_away(server: TokenServer, capsys: pytest.CaptureFixture[str]) -> None:
    """200 or 503 with Retry-After for everybody, `/healthz` is always answered, and afterwards all is as before."""
    rush, health = streams()
    arrive(server.port, [rush, health], SECONDS)
    with capsys.disabled():
        times = {status: [one.seconds for one in rush.of(status)] for status in rush.statuses}
        print(  # noqa: T201 - figures
            f"\n{dict(rush.statuses)}, p99 "
            + ", ".join(f"{status}: {within(found, 0.99):.2f} s" for status, found in times.items())
            + f", /healthz {within([one.seconds for one in health.answers], 0.99):.2f} s"
        )
    assert set(rush.statuses) == {200, 503}
    assert {one.retry_after for one in rush.of(503)} == {str(admission.RETRY_AFTER)}
    assert set(health.statuses) == {200}
    # At once, and without another rush: no request is answered with what is left of the last one.
    assert [server.request("GET", TARGET).status for _ in range(20)] == [200] * 20
    assert "requests: overloaded" in server.daemon.log


def test_every_token_given_in_an_overload_has_its_event(server: TokenServer) -> None:
    """Who was sent away got no token and left no event; who got one left one."""
    rush, _ = streams()
    arrive(server.port, [rush], 1.0)
    given = rush.statuses[200]
    events = server.audit.events(until=lambda found: len(found) >= given)
    assert [event.outcome for event in events if event.outcome != "granted"] == []
    assert len(events) == given + rush.statuses[NO_ANSWER] == given


def test_sigterm_in_an_overload(server: TokenServer) -> None:
    """What was asked before is answered, with a token or with 503, and the server ends by itself."""
    rush, _ = streams()
    driver = threading.Thread(target=arrive, args=(server.port, [rush], 1.0))
    start = time.monotonic()
    driver.start()
    time.sleep(BURST_SECONDS / 2)
    stopped = time.monotonic() - start
    server.daemon.signal(signal.SIGTERM)
    code = server.daemon.wait(25)
    driver.join(25)
    assert code == 0, server.daemon.log[-2000:]
    # What was due before was not sent before, where this program was late.
    before = [one for one in rush.answers if one.due + one.lag < stopped - 0.01]
    assert {one.status for one in before} <= {200, 503}
    assert len(before) > 50
