"""Replicas that count failed logins together in a real Redis, and what they do while it has a bad day.

See docs/design/threats.md#threat-25 and docs/design/threats.md#fault-32.
"""

from __future__ import annotations

import itertools
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from harness import web
from harness.authority import Authority
from harness.faultproxy import Mode, faulty
from harness.redis_server import RedisServer, redis_server
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS, until
from sorted_words import words_of_one_tag

from tokenserver.authn.protection import redis_connections, redis_counters
from tokenserver.authn.protection.failure_counters import Limit, Limits, forgotten_after, growing, shared
from tokenserver.authn.protection.login_cache import LoginKey
from tokenserver.authn.protection.redis_counters import SLOW_SECONDS, SOCKET_SECONDS, SharedFailures
from tokenserver.authn.protection.throttle import REPEAT_SECONDS, Throttle
from tokenserver.credentials import Password, Secret
from tokenserver.errors import InvalidCredentials, Throttled

pytestmark = [pytest.mark.real("redis-server"), pytest.mark.waits]

X, Y, Z = "192.0.2.1", "198.51.100.7", "203.0.113.9"
WINDOW = 300
LIMITS = Limits(growing(5, WINDOW), (Limit(20, WINDOW),), (Limit(100, WINDOW),))
NUMBERS = itertools.count()
KEY = b"one key of all replicas"
RECOVERY = 6.0
"""Seconds within which a Redis that is back is used again, on a busy machine."""


@dataclass
class Replica:
    """One process's throttle, with its own memory and the common counters."""

    throttle: Throttle
    counters: SharedFailures
    checked: int = 0
    slowest: float = 0.0
    made: float = field(default_factory=time.monotonic)

    def attempt(self, user: str = "ann", password: str | None = None, *, right: bool = False, address: str = X) -> str:
        """The outcome of one login as the server performs it.

        For a wait until the end of the window: the whole window, whatever has passed of it since this replica was made.
        """
        login = Password(user, Secret(password or f"p-{next(NUMBERS)}"))
        key, tag = LoginKey(id(self).to_bytes(8, "big"))(login), LoginKey(b"throttle")(login)
        start = time.monotonic()
        try:
            self.throttle.repeated(key)
            with self.throttle.attempt(user, ip_address(address), key, tag):
                self.checked += 1
                self._check(right)
        except Throttled as error:
            is_whole = ceil(WINDOW - (time.monotonic() - self.made)) <= error.retry_after <= WINDOW
            return f"wait {WINDOW if is_whole else error.retry_after}"
        except InvalidCredentials:
            return "wrong"
        finally:
            self.slowest = max(self.slowest, time.monotonic() - start)
        return "ok"

    @staticmethod
    def _check(right: bool) -> None:
        if not right:
            raise InvalidCredentials("wrong password")

    def is_well(self) -> bool:
        """Whether it counts with the others."""
        return self.counters.note is None


@pytest.fixture(autouse=True)
def unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a Redis is not slow: how long it is waited for is the matter of the tests that run alone."""
    if request.node.get_closest_marker("alone") is None:
        for module, name in (
            (redis_connections, "ANSWER_SECONDS"),
            (redis_counters, "SOCKET_SECONDS"),
            (redis_counters, "SLOW_SECONDS"),
        ):
            monkeypatch.setattr(module, name, PATIENCE_SECONDS)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test."""
    with redis_server(tmp_path) as running:
        yield running


def replica(
    redis: RedisServer,
    *,
    port: int | None = None,
    url: str | None = None,
    limits: Limits = LIMITS,
    repeats_count: bool = True,
    workers: int = 1,
    key: bytes = KEY,
) -> Replica:
    """A process with its own part of the limits, as with eight workers, so that it shows who decides."""
    part = Limits(*(shared(limit, 8) for limit in (limits.user, limits.address, limits.total)))
    repeat = REPEAT_SECONDS if repeats_count else forgotten_after(limits)
    counters = SharedFailures(
        url or f"redis://localhost:{port or redis.port}",
        Secret(redis.password),
        limits,
        key=key,
        repeat=repeat,
        workers=workers,
        monotonic=time.monotonic,
    )
    throttle = Throttle(part, monotonic=time.monotonic, repeats_count=repeats_count, together=counters)
    return Replica(throttle, counters)


# --- counted together ------------------------------------------------------------------------------------------------


def test_five_in_all(redis: RedisServer) -> None:
    """With replicas: five failures wherever they happen, and then everybody waits, also with the right one.

    See docs/design/threats.md#threat-21.
    """
    one, two = replica(redis), replica(redis)
    found = [(one, two)[number % 2].attempt() for number in range(5)]
    assert found == ["wrong"] * 5
    assert [side.attempt(right=True, address=Y) for side in (one, two)] == ["wait 300"] * 2
    assert (one.checked, two.checked) == (3, 2)
    assert two.attempt("ben", right=True) == "ok"


def test_every_spelling_is_one_user(redis: RedisServer) -> None:
    """In all processes alike (docs/design/threats.md#threat-6)."""
    one, two = replica(redis), replica(redis)
    for name in ("Alice", "ALICE ", "\uff41lice", " alice", "alice"):
        one.attempt(name)
    assert two.attempt("alice", right=True, address=Y) == "wait 300"


def test_other_limits(redis: RedisServer) -> None:
    """A running server changes them; Redis counts anew, and each process goes by what it has seen itself."""
    one, two = replica(redis), replica(redis)
    assert [one.attempt() for _ in range(3)] == ["wrong"] * 3
    lower = Limits(growing(2, 60), LIMITS.address, LIMITS.total)
    for side in (one, two):
        side.counters.limit(lower, repeat=REPEAT_SECONDS)
        assert side.counters.limits == lower
    assert [two.attempt() for _ in range(3)] == ["wrong", "wrong", "wait 60"]


def test_addresses_and_total(redis: RedisServer) -> None:
    """Spraying from one /64 and stuffing from everywhere, spread over replicas (docs/design/threats.md#threat-22)."""
    one, two = replica(redis), replica(redis)
    sides = itertools.cycle((one, two))
    sprayed = [next(sides).attempt(f"user-{number}", address=f"2001:db8::{number:x}") for number in range(22)]
    assert sprayed == ["wrong"] * 20 + ["wait 300"] * 2
    assert two.attempt("olga", right=True, address="2001:db8:0:1::1") == "ok"
    stuffed = [next(sides).attempt(f"name-{number}", address=f"10.0.{number}.1") for number in range(81)]
    assert stuffed == ["wrong"] * 80 + ["wait 300"]


@pytest.mark.alone
def test_whoever_goes_on_waits_longer(redis: RedisServer) -> None:
    """The longer limits hold beside the short one; the window really moves."""
    limits = Limits(growing(2, 1), (), ())
    one, two = replica(redis, limits=limits), replica(redis, limits=limits)
    assert [one.attempt(), two.attempt(), one.attempt()] == ["wrong", "wrong", "wait 1"]
    time.sleep(1.1)
    assert [two.attempt(), one.attempt()] == ["wrong", "wrong"]
    time.sleep(1.1)
    waits = [int(side.attempt(right=True).removeprefix("wait ")) for side in (one, two)]
    assert all(20 <= wait <= 22 for wait in waits)  # four within 24 seconds


def test_a_victim_at_a_known_place(redis: RedisServer) -> None:
    """Where ann is known to one replica she is known to all, so nobody's failures lock her out there.

    See docs/design/threats.md#threat-23.
    """
    one, two = replica(redis), replica(redis)
    assert one.attempt(right=True, address=Y) == "ok"
    assert [two.attempt(address=X) for _ in range(7)] == ["wrong"] * 5 + ["wait 300"] * 2
    assert [side.attempt(right=True, address=Y) for side in (two, one)] == ["ok", "ok"]
    assert two.attempt(right=True, address=Z) == "wait 300"
    # And there she has a count of her own, which is common as well.
    assert [(one, two)[number % 2].attempt(address=Y) for number in range(6)] == ["wrong"] * 5 + ["wait 300"]


def test_post_here_and_get_there(redis: RedisServer) -> None:
    """Behind a load balancer: the second request of one wrong login is refused unchecked and uncounted.

    See docs/design/threats.md#bug-30.
    """
    one, two = replica(redis), replica(redis)
    for number in range(4):
        assert [side.attempt(password=f"mistake {number}") for side in (one, two)] == ["wrong", "wrong"]
    assert (one.checked, two.checked) == (4, 0)
    assert two.attempt(right=True) == "ok"


def test_an_old_password_in_a_loop(redis: RedisServer) -> None:
    """Without a directory the same wrong password counts once, on however many replicas."""
    one, two = replica(redis, repeats_count=False), replica(redis, repeats_count=False)
    assert {side.attempt(password="old") for side in (one, two) * 10} == {"wrong"}
    assert one.attempt(right=True, address=Y) == "ok"


@pytest.mark.parametrize("repeats_count", [pytest.param(True, id="a directory"), pytest.param(False, id="files")])
def test_a_sorted_word_list(redis: RedisServer, repeats_count: bool) -> None:
    """Passwords that a short digest under a known key takes for one are as many guesses as there are words.

    See docs/design/threats.md#threat-21.
    """
    sides = itertools.cycle([replica(redis, repeats_count=repeats_count) for _ in range(2)])
    found = [next(sides).attempt(password=word) for word in words_of_one_tag("ann", 12)]
    assert found == ["wrong"] * 5 + ["wait 300"] * 7


def test_replicas_with_other_keys_count_more_and_never_less(redis: RedisServer) -> None:
    """A replica that was not restarted yet with the new secret takes the same login for another one, and counts it."""
    one, two = replica(redis), replica(redis, key=b"another key than the first")
    for number in range(2):
        assert [side.attempt(password=f"mistake {number}") for side in (one, two)] == ["wrong", "wrong"]
    assert (one.checked, two.checked) == (2, 2)
    assert [one.attempt(), two.attempt()] == ["wrong", "wait 300"]


def test_an_emptied_redis_gives_no_new_tries(redis: RedisServer) -> None:
    """What this process has seen by itself still counts when somebody empties Redis after each failure."""
    one = replica(redis)
    found = []
    for _ in range(7):
        found.append(one.attempt())
        redis.client.flushall()
    assert found == ["wrong"] * 5 + ["wait 300"] * 2
    assert one.is_well()


def test_guesses_at_the_same_moment(redis: RedisServer) -> None:
    """Tries under way weigh as much as there are processes that may have as many."""
    one = replica(redis, workers=4)
    under_way = [one.throttle.attempt("ann", ip_address(X), str(number).encode()) for number in range(2)]
    for attempt in under_way:
        attempt.__enter__()
    assert one.attempt(right=True) == "wait 1"
    for attempt in under_way:
        attempt.__exit__(None, None, None)
    assert one.attempt(right=True) == "ok"


def test_what_stands_in_redis(redis: RedisServer) -> None:
    """No name, no address and no password can be read there, and everything ends by itself."""
    one = replica(redis)
    one.attempt("canary-user", "canary-password", address="203.0.113.77")
    one.attempt("canary-user", "canary-password-2", right=True, address="203.0.113.77")
    client = redis.client
    keys = list(client.scan_iter())
    kept = " ".join(f"{key} {client.type(key)}" for key in keys)
    assert keys
    assert "canary" not in kept
    assert "203.0.113" not in kept
    assert all(key.startswith("tokenserver:") for key in keys)
    assert all(int(str(client.ttl(key))) > 0 for key in keys)
    again = [key for key in keys if "/again/" in key]
    assert len(again) == 1
    assert int(str(client.ttl(again[0]))) <= REPEAT_SECONDS
    # What is kept of a refused login is long, and not what anybody without the key could compute from a password.
    (tag,) = re.findall(r"/([0-9a-f]{32,})/", again[0])
    assert not LoginKey(b"throttle")(Password("canary-user", Secret("canary-password"))).hex().startswith(tag[:4])


def test_names_are_bounded(redis: RedisServer) -> None:
    """Random names fill no more than the counters that there are; here two of them.

    See docs/design/threats.md#threat-24.
    """
    one = replica(redis)
    names = [f"name-{number}" for number in range(60)]
    buckets = {one.throttle._users.bucket(name) for name in names}
    for number, name in enumerate(names):
        one.attempt(name, address=f"10.1.{number}.1")
    found = {key.split("/")[2] for key in redis.client.scan_iter("tokenserver:*/user/*")}
    assert found == {str(bucket) for bucket in buckets}


# --- bad days --------------------------------------------------------------------------------------------------------


def test_redis_dies_and_comes_back(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Logins go on, wrong tries are still stopped, it is said in the log, and afterwards all count together.

    See docs/design/threats.md#threat-25.
    """
    one, two = replica(redis), replica(redis)
    assert one.attempt(right=True, address=Y) == "ok"
    redis.stop()
    with caplog.at_level(logging.WARNING):
        found = [one.attempt() for _ in range(20)]
    assert found[:2] == ["wrong"] * 2
    assert all(one.startswith("wait ") for one in found[2:])  # the part of one of eight
    assert [one.attempt("ben", right=True), one.attempt(right=True, address=Y)] == ["ok", "ok"]
    assert one.counters.note == "redis does not answer; each server counts failed logins by itself until it does"
    assert len([line for line in caplog.messages if "redis does not answer (ConnectionError" in line]) == 1
    assert redis.password not in caplog.text
    redis.start()
    with caplog.at_level(logging.WARNING):
        until(one.is_well, seconds=RECOVERY)
    assert "throttle: redis answers again; all replicas count failed logins together" in caplog.messages
    assert [(one, two)[number % 2].attempt("eve") for number in range(6)] == ["wrong"] * 5 + ["wait 300"]


@pytest.mark.alone
@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(mode, id=mode.value)
        for mode in (Mode.REFUSE, Mode.SILENT, Mode.GARBAGE, Mode.HTTP, Mode.RESET, Mode.CLOSE, Mode.TRUNCATE)
    ],
)
def test_nobody_waits_for_a_broken_redis(redis: RedisServer, mode: Mode) -> None:
    """One login finds out, in the time-out of one answer, and no other one waits; right passwords get in.

    See docs/design/threats.md#fault-32.
    """
    with faulty(redis.port) as proxy:
        one = replica(redis, port=proxy.port)
        assert one.attempt(right=True) == "ok"
        proxy.mode = mode
        one.slowest = 0.0
        assert one.attempt("ben", right=True) == "ok"
        assert one.slowest < SOCKET_SECONDS * 3 + 0.5
        assert not one.is_well()
        one.slowest = 0.0
        assert [one.attempt("eve", address=Z) for _ in range(3)][:2] == ["wrong", "wrong"]
        assert [one.attempt(f"user-{number}", right=True, address=Y) for number in range(50)] == ["ok"] * 50
        assert one.slowest < 0.1
        proxy.mode = Mode.PASS
        until(one.is_well, seconds=RECOVERY)


@pytest.mark.alone
@pytest.mark.parametrize(
    ("mode", "seconds"),
    [
        pytest.param(Mode.DRIP, 0.05, id="each answer byte by byte"),
        pytest.param(Mode.DRIP_FOR_EVER, 0.0, id="an answer that never ends"),
    ],
)
@pytest.mark.parametrize("is_new", [pytest.param(False, id="a known connection"), pytest.param(True, id="a new one")])
def test_a_dripping_redis(redis: RedisServer, mode: Mode, seconds: float, is_new: bool) -> None:
    """Each byte comes in time, and all of them never would: one deadline is over the whole question.

    See docs/design/threats.md#fault-32.
    """
    with faulty(redis.port, seconds=seconds) as proxy:
        one = replica(redis, port=proxy.port)
        if not is_new:
            assert one.attempt(right=True) == "ok"
        proxy.mode = mode
        one.slowest = 0.0
        assert one.attempt("ben", right=True) == "ok"
        assert one.slowest < SLOW_SECONDS + 0.5
        assert not one.is_well()
        one.slowest = 0.0
        assert [one.attempt(f"user-{number}", right=True, address=Y) for number in range(50)] == ["ok"] * 50
        assert one.slowest < 0.1
        proxy.mode = Mode.PASS
        until(one.is_well, seconds=RECOVERY)


@pytest.mark.alone
def test_a_dripping_tls_handshake(tmp_path: Path) -> None:
    """The same before there is a connection at all (docs/design/threats.md#fault-32)."""
    authority = Authority(tmp_path, "the company")
    with redis_server(tmp_path, authority) as redis, faulty(redis.tls_port, Mode.DRIP, seconds=0.01) as proxy:
        one = replica(redis, url=f"rediss://localhost:{proxy.port}/0?ssl_ca_certs={authority.file}")
        assert one.attempt(right=True) == "ok"
        assert (one.slowest < SLOW_SECONDS + 0.5, one.is_well()) == (True, False)
        proxy.mode = Mode.PASS
        until(one.is_well, seconds=RECOVERY)


@pytest.mark.alone
def test_a_name_that_is_not_resolved(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent name server is waited for no longer than a silent Redis."""
    real = socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "redis.test":
            time.sleep(1)
            return real("127.0.0.1", *arguments, **options)
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    one = replica(redis, url=f"redis://redis.test:{redis.port}")
    assert one.attempt(right=True) == "ok"
    assert (one.slowest < SLOW_SECONDS + 0.5, one.is_well()) == (True, False)
    until(one.is_well, seconds=RECOVERY)


def test_a_unix_socket(redis: RedisServer) -> None:
    """`redis+unix://` counts as the others do."""
    one, two = replica(redis, url=f"redis+unix://{redis.socket}"), replica(redis)
    assert [(one, two)[number % 2].attempt() for number in range(6)] == ["wrong"] * 5 + ["wait 300"]
    assert one.is_well()


@pytest.mark.alone
def test_a_slow_redis(redis: RedisServer) -> None:
    """Answers that come in time, each of them, and are too slow together: as good as down.

    See docs/design/threats.md#fault-32.
    """
    with faulty(redis.port, Mode.DELAY, seconds=SOCKET_SECONDS * 0.8) as proxy:
        one = replica(redis, port=proxy.port)
        assert one.attempt(right=True) == "ok"
        assert one.slowest < 2 * SLOW_SECONDS + 8 * SOCKET_SECONDS
        assert not one.is_well()
        one.slowest = 0.0
        assert one.attempt("ben", right=True) == "ok"
        assert one.slowest < 0.1


@contextmanager
def _read_only(redis: RedisServer) -> Iterator[None]:
    redis.client.replicaof("127.0.0.1", "1")
    yield
    redis.client.replicaof("NO", "ONE")


@contextmanager
def _full(redis: RedisServer) -> Iterator[None]:
    redis.client.config_set("maxmemory", "1")
    yield
    redis.client.config_set("maxmemory", "0")


@contextmanager
def _other_password(redis: RedisServer) -> Iterator[None]:
    client = redis.client
    client.ping()
    client.config_set("requirepass", "another")
    client.client_kill_filter(_type="normal", skipme=True)
    yield
    client.config_set("requirepass", redis.password)


@pytest.mark.parametrize("trouble", [_read_only, _full, _other_password])
def test_a_redis_that_takes_no_writes(
    redis: RedisServer, trouble: Callable[[RedisServer], Iterator[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """Read only, full, or no longer ours: a Redis that forgets what it is told is not asked either, so that an
    attacker meets at least the limits of one process, and no new tries whenever it is looked after.

    See docs/design/threats.md#fault-32.
    """
    one = replica(redis)
    assert one.attempt(right=True, address=Y) == "ok"
    with trouble(redis):  # type: ignore[attr-defined]  # made a context manager above
        found = [one.attempt() for _ in range(6)]
        assert found[:2] == ["wrong"] * 2
        assert [text.partition(" ")[0] for text in found[3:]] == ["wait"] * 3
        time.sleep(2.5)  # it is looked after in the meantime
        assert not one.is_well()
        assert one.attempt().startswith("wait")
    until(one.is_well, seconds=RECOVERY)
    assert redis.password not in caplog.text


def test_a_flushed_redis(redis: RedisServer) -> None:
    """What was counted is gone, scripts too; counting goes on from nothing, and nobody gets an error.

    See docs/design/threats.md#fault-32.
    """
    one, two = replica(redis), replica(redis)
    assert [one.attempt() for _ in range(6)] == ["wrong"] * 5 + ["wait 300"]
    redis.client.flushall()
    redis.client.script_flush()
    assert [two.attempt() for _ in range(6)] == ["wrong"] * 5 + ["wait 300"]
    assert two.is_well()


def test_tls(tmp_path: Path) -> None:
    """`rediss://` verifies the certificate and the name in it; another authority is a Redis that does not answer."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "another")
    authority = Authority(tmp_path, "the company")
    with redis_server(tmp_path, authority) as redis:
        for host, ca_file, is_well in (
            ("localhost", authority.file, True),
            ("127.0.0.1", authority.file, False),
            ("localhost", other.file, False),
        ):
            one = replica(redis, url=f"rediss://{host}:{redis.tls_port}/0?ssl_ca_certs={ca_file}")
            assert one.attempt(right=True) == "ok"
            assert one.is_well() is is_well, host


# --- the server ------------------------------------------------------------------------------------------------------

POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}


@pytest.fixture
def replicas(redis: RedisServer, tmp_path: Path) -> Iterator[tuple[TokenServer, TokenServer]]:
    """Two servers of two workers each with one Redis."""
    with ExitStack() as stack:
        servers = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "redis-password").touch(mode=0o600)
            (folder / "redis-password").write_text(f"{redis.password}\n")
            throttle = {
                "enabled": True,
                "failures_per_user": 5,
                "redis": redis.url,
                "redis_password_file": "redis-password",
            }
            setup = Setup({"ann": "right"}, POLICIES, {"reg.test": "universal"}, {"throttle": throttle})
            servers.append(stack.enter_context(serving(folder, setup)))
        yield servers[0], servers[1]


def ask(server: TokenServer, password: str | None = None, *, post: bool = False) -> web.Answer:
    """One login of ann."""
    password = password or f"wrong-{next(NUMBERS)}"
    if not post:
        return server.request("GET", web.token_target("reg.test"), headers=web.basic("ann", password))
    fields = {"grant_type": "password", "service": "reg.test", "username": "ann", "password": password}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return server.request("POST", "/token", headers=headers, body=urlencode(fields).encode())


def _noted(server: TokenServer) -> web.Answer | None:
    """The answer of /readyz, if the worker that gives it has a note."""
    answer = server.request("GET", "/readyz")
    return answer if "notes" in answer.json() else None


@pytest.mark.alone
def test_two_servers(replicas: tuple[TokenServer, TokenServer], redis: RedisServer) -> None:
    """Two servers with two workers each allow five failures together, not five or three each; while Redis is away
    both go on and stay ready, and /readyz says that they count for themselves.
    """
    one, two = replicas
    found = [ask(replicas[number % 2]).status for number in range(8)]
    assert found == [401] * 5 + [429] * 3
    answer = ask(two, "right")
    assert (answer.status, 290 <= int(answer.header("retry-after") or 0) <= 300) == (429, True)
    redis.stop()
    assert ask(one).status in (401, 429)
    until(lambda: _noted(one) is not None, seconds=RECOVERY)  # by the worker that has met the trouble
    ready = _noted(one)
    while ready is None:
        ready = _noted(one)
    assert (ready.status, ready.json()["ready"]) == (200, True)
    assert ready.json()["notes"] == {
        "throttle": "redis does not answer; each server counts failed logins by itself until it does"
    }
    assert "throttle: redis does not answer" in one.daemon.log
    assert redis.password not in one.daemon.log
    redis.start()
    until(lambda: _noted(one) is None, in_a_row=10)
    assert ask(two, "right").status == 200


@pytest.mark.alone
def test_a_sorted_word_list_at_two_servers(replicas: tuple[TokenServer, TokenServer]) -> None:
    """Five guesses in all, whatever words they are; the sixth waits, and so does the right one.

    See docs/design/threats.md#threat-21.
    """
    found = [ask(replicas[number % 2], word).status for number, word in enumerate(words_of_one_tag("ann", 12))]
    assert found == [401] * 5 + [429] * 7
    assert [ask(server, "right").status for server in replicas] == [429, 429]


@pytest.mark.alone
def test_post_here_and_get_at_the_other_server(replicas: tuple[TokenServer, TokenServer]) -> None:
    """One wrong login that reaches both servers is one failure; they know it by the password of Redis.

    See docs/design/threats.md#bug-30.
    """
    one, two = replicas
    for number in range(4):
        assert [ask(one, f"mistake {number}", post=True).status, ask(two, f"mistake {number}").status] == [401, 401]
    assert [ask(server, "right").status for server in replicas] == [200, 200]
