"""Logins under load and attack as a client sees them: statuses, headers, bodies, events, and what is hashed for it."""

from __future__ import annotations

import base64
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness.own_time import OwnTime
from tests_web_server import PASSWORDS, Lines
from werkzeug.test import TestResponse

from tokenserver.authn import passwords
from tokenserver.authn.htpasswd import verify as decoy
from tokenserver.authn.htpasswd.account import DISABLED
from tokenserver.authn.htpasswd.file import with_account
from tokenserver.authn.protection.login_cache import VerifiedLogins
from tokenserver.config.load import load_settings
from tokenserver.identity import Identity, Kind
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.web.application import application

CONFIG = """\
issuer: auth.example.com
server: {url: http://localhost:5001, trusted_proxies: [10.0.0.0/8], workers: 1}
registries: [{service: reg}]
authentication: [{htpasswd: {file: users.htpasswd}}]
anonymous: true
policies: policies
keys: keys
"""

X, Y = "192.0.2.1", "198.51.100.7"


@dataclass
class Site:
    """A server with one worker's share, and a count of the hashes that it computed."""

    parts: RunningServer
    app: Any
    audit: Lines
    hashed: list[str]

    def ask(self, user: str, password: str, *, address: str = X, post: bool = False) -> TestResponse:
        """One login, as GET or as POST."""
        client, environ = self.app.test_client(), {"REMOTE_ADDR": address, "wsgi.url_scheme": "https"}
        if post:
            form = {"grant_type": "password", "service": "reg", "username": user, "password": password}
            answer: TestResponse = client.post("/token", data=form, environ_overrides=environ)
            return answer
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        answer = client.get("/token", headers={"Authorization": f"Basic {basic}"}, environ_overrides=environ)
        assert isinstance(answer, TestResponse)
        return answer

    def statuses(self, user: str, tries: int, **options: Any) -> list[int]:
        """The statuses of so many tries, each with a wrong password of its own."""
        return [self.ask(user, f"wrong-{next(NUMBERS)}", **options).status_code for _ in range(tries)]


NUMBERS = itertools.count()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed, in order."""
    found: list[str] = []

    def verify(password: str, kept: str) -> bool:
        found.append(password)
        return passwords.verify(password, kept)

    monkeypatch.setattr(decoy, "verify", verify)
    return found


@pytest.fixture
def make_site(server_folder: Path, tmp_path: Path, hashed: list[str]) -> Callable[[str], Site]:
    """Makes a server; the argument is appended to its configuration."""
    numbers = itertools.count()

    def make(more: str = "") -> Site:
        config = server_folder / f"protected-{tmp_path.name}-{next(numbers)}.yaml"
        config.write_text(CONFIG + more)
        audit = Lines()
        parts = build(load_settings(config, {}), sink=audit)
        config.unlink()
        return Site(parts, application(parts), audit, hashed)

    return make


@pytest.fixture
def site(make_site: Callable[[str], Site]) -> Site:
    """With nothing configured."""
    return make_site("")


def test_one_hash_for_many_logins(site: Site) -> None:
    """A login is hashed once a minute, however often and however it is brought."""
    statuses = {site.ask("ann", PASSWORDS["ann"], post=post).status_code for post in [True, False] * 20}
    assert (statuses, len(site.hashed)) == ({200}, 1)


def test_memory_off(make_site: Callable[[str], Site], server_folder: Path) -> None:
    """`cache: 0s` hashes every time."""
    site = make_site("")
    assert site.parts.settings.authentication[0].htpasswd is not None
    config = server_folder / "uncached.yaml"
    config.write_text(CONFIG.replace("users.htpasswd}", "users.htpasswd, cache: 0s}"))
    app = application(build(load_settings(config, {}), sink=Lines()))
    uncached = Site(site.parts, app, site.audit, site.hashed)
    assert {uncached.ask("ann", PASSWORDS["ann"]).status_code for _ in range(3)} == {200}
    assert len(site.hashed) == 3


def test_the_sixth_try(site: Site) -> None:
    """429 with Retry-After, also with the right password, without a hash, readable for every kind of client.

    See docs/design/threats.md#threat-21.
    """
    assert site.statuses("ann", 6) == [401] * 5 + [429]
    answer = site.ask("ann", PASSWORDS["ann"], post=True)
    assert (answer.status_code, len(site.hashed)) == (429, 5)
    assert 295 <= int(answer.headers["Retry-After"]) <= 300
    assert "WWW-Authenticate" not in answer.headers
    body = answer.get_json()
    assert (body["errors"][0]["code"], body["error"]) == ("TOOMANYREQUESTS", "temporarily_unavailable")
    assert [event["outcome"] for event in site.audit.events] == ["invalid_credentials"] * 5 + ["throttled"] * 2


def test_unknown_users_are_throttled_alike(site: Site) -> None:
    """The throttle does not tell who exists: the same statuses, bodies and headers, and as many hashes.

    See docs/design/threats.md#threat-20.
    """
    found = []
    for user in ("ann", "nobody"):
        answers = [site.ask(user, f"wrong-{number}") for number in range(7)]
        varying = ("X-Request-Id", "Date", "Retry-After")
        found.append(
            [
                (answer.status_code, answer.data, sorted(h for h in answer.headers if h[0] not in varying))
                for answer in answers
            ]
        )
    assert found[0] == found[1]
    assert len(site.hashed) == 10


def test_spraying(make_site: Callable[[str], Site]) -> None:
    """One address, many names; the address is the one behind trusted proxies, and a /64 is one.

    See docs/design/threats.md#threat-22.
    """
    site = make_site("throttle: {failures_per_address: 10}\n")
    sprayed = [site.ask(f"user-{number}", "x", address=f"2001:db8::{number:x}").status_code for number in range(12)]
    assert sprayed == [401] * 10 + [429] * 2
    assert site.ask("ann", PASSWORDS["ann"], address="2001:db8:0:1::1").status_code == 200
    assert site.ask("zoë", PASSWORDS["zoë"], address="2001:db8::ffff").status_code == 429


def test_a_victim_at_a_known_place(make_site: Callable[[str], Site]) -> None:
    """Somebody else's failures do not lock ann out from where she was, also when nothing is remembered.

    See docs/design/threats.md#threat-23.
    """
    site = make_site("throttle: {failures_per_user: 3}\n")
    assert site.ask("ann", PASSWORDS["ann"], address=Y).status_code == 200
    assert site.statuses("ann", 4, address=X) == [401, 401, 401, 429]
    assert [site.ask("ann", PASSWORDS["ann"], address=address).status_code for address in (X, Y)] == [200, 200]
    assert site.statuses("ann", 2, address=Y) == [401, 401]


def test_one_containerd_login_is_one_failure(site: Site) -> None:
    """POST and then GET with one wrong password are one failure; four mistakes leave the fifth try.

    See docs/design/threats.md#bug-30.
    """
    for number in range(4):
        pair = [site.ask("ann", f"mistake {number}", post=post) for post in (True, False)]
        assert [answer.status_code for answer in pair] == [401, 401]
    assert (site.ask("ann", PASSWORDS["ann"]).status_code, len(site.hashed)) == (200, 5)


def test_parallel_pulls_are_no_attack(site: Site) -> None:
    """Forty concurrent requests of one client cost one hash, and none of them is refused.

    See docs/design/threats.md#bug-30.
    """
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: site.ask("ann", PASSWORDS["ann"]).status_code, range(40)))
    assert (statuses, len(site.hashed)) == ([200] * 40, 1)


def test_throttle_off(make_site: Callable[[str], Site]) -> None:
    """Where something in front throttles, this one can be switched off."""
    site = make_site("throttle: {enabled: false}\n")
    assert site.statuses("ann", 8) == [401] * 8


@pytest.fixture
def slow_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hashes end when the event is set."""
    may_end = threading.Event()

    def verify(password: str, kept: str) -> bool:
        may_end.wait(30)
        return True

    monkeypatch.setattr(decoy, "verify", verify)
    yield may_end
    may_end.set()


def test_overload(site: Site, slow_hash: threading.Event) -> None:
    """With the queue full, the next one is rejected within 100 ms; anonymous clients and /healthz do not wait.

    See docs/design/threats.md#fault-29.
    """
    room = site.parts.protection.hashing
    with ThreadPoolExecutor(room.workers + room.queue) as pool:
        waiting = [pool.submit(site.ask, f"user-{number}", "x") for number in range(room.workers + room.queue)]
        deadline = time.monotonic() + 10
        while room.load != (room.workers, room.queue) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert room.load == (room.workers, room.queue)
        own = OwnTime(os.getpid())
        shed = site.ask("one-more", "x")
        anonymous = site.app.test_client().get("/token")
        health = site.app.test_client().get("/healthz")
        took = own.seconds
        slow_hash.set()
        assert {future.result(10).status_code for future in waiting} == {401}
    assert [answer.status_code for answer in (shed, anonymous, health)] == [503, 200, 200]
    assert (shed.headers["Retry-After"], shed.get_json()["errors"][0]["code"]) == ("4", "UNAVAILABLE")
    assert took < 0.1


def test_overload_is_no_failure(site: Site, slow_hash: threading.Event) -> None:
    """A rejected request does not count for the throttle."""
    room = site.parts.protection.hashing
    room.workers = 0
    room.queue = 0
    assert site.statuses("ann", 8) == [503] * 8
    room.workers = 1
    slow_hash.set()
    assert site.ask("ann", "x").status_code == 200


def test_stale_logins_are_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit event of a login that was let in by an outage's grace says so; others say nothing of it."""
    site.ask("ann", PASSWORDS["ann"])
    stale = Identity("ann", Kind.PASSWORD, "corp", stale=True)
    monkeypatch.setattr(VerifiedLogins, "get", lambda *_: stale)
    site.ask("ann", PASSWORDS["ann"])
    assert [event.get("stale") for event in site.audit.events] == [None, True]


def test_a_deleted_user_is_out_at_once(site: Site, server_folder: Path) -> None:
    """What is remembered does not outlive the user's line (docs/design/threats.md#threat-26)."""
    users = server_folder / "users.htpasswd"
    kept = users.read_text("utf-8")
    live = site.parts.live
    assert [site.ask(user, PASSWORDS[user]).status_code for user in ("ann", "zoë")] == [200, 200]
    try:
        users.write_text("".join(line for line in kept.splitlines(True) if not line.startswith("ann:")), "utf-8")
        assert [live.look(), live.look()] == [False, True]
        assert [site.ask(user, PASSWORDS[user]).status_code for user in ("ann", "zoë")] == [401, 200]
        assert site.hashed.count(PASSWORDS["zoë"]) == 1
    finally:
        users.write_text(kept, "utf-8")


def test_a_disabled_user_is_out_at_once(site: Site, server_folder: Path) -> None:
    """A client gets the bytes that a wrong password gets; only the audit event says why (docs/users.md)."""
    users = server_folder / "users.htpasswd"
    kept = users.read_text("utf-8")
    live = site.parts.live
    wrong = site.ask("zoë", "wrong")
    assert site.ask("ann", PASSWORDS["ann"]).status_code == 200
    try:
        users.write_text(with_account(kept, "ann", DISABLED), "utf-8")
        assert [live.look(), live.look()] == [False, True]
        answer = site.ask("ann", PASSWORDS["ann"])
        assert (answer.status_code, answer.data) == (401, wrong.data)
        assert [*dict(answer.headers)] == [*dict(wrong.headers)]
        event = site.audit.events[-1]
        assert (event["outcome"], event["reason"]) == ("invalid_credentials", "the account is disabled")
        users.write_text(kept, "utf-8")
        assert [live.look(), live.look()] == [False, True]
        assert site.ask("ann", PASSWORDS["ann"]).status_code == 200
    finally:
        users.write_text(kept, "utf-8")


def test_counters_outlive_a_reload(site: Site, server_folder: Path) -> None:
    """Otherwise changing a policy, or waiting for a change, would give five new tries."""
    site.statuses("ann", 5)
    policy = server_folder / "policies" / "policy.yaml"
    policy.touch()
    assert [site.parts.live.look(), site.parts.live.look()] == [False, True]
    assert site.ask("ann", PASSWORDS["ann"]).status_code == 429
