"""A running server of several workers counts failed logins as one, whichever worker they reach.

See docs/design/threats.md#threat-21, docs/design/threats.md#threat-22 and docs/design/threats.md#threat-23.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from harness import web
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS
from sorted_words import words_of_one_tag

SERVICE = "reg.test"
TARGET = web.token_target(SERVICE)
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
PROXY = "127.0.0.1/32"
X, Y = "192.0.2.1", "198.51.100.7"
NUMBERS = itertools.count()
WORKERS = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TokenServer]:
    """Four workers, nothing remembered, and the address as a proxy tells it."""
    settings = {
        "server": {"workers": WORKERS, "trusted_proxies": [PROXY]},
        "throttle": {"enabled": True},
        "authentication": [{"htpasswd": {"file": "users.htpasswd", "cache": 0}}],
    }
    with serving(tmp_path, Setup({"ann": "right", "ben": "b"}, POLICIES, {SERVICE: "universal"}, settings)) as running:
        yield running


def ask(server: TokenServer, user: str, password: str = "", *, address: str = X, post: bool = False) -> int:
    """One login, on a connection of its own; without a password, a wrong one that nobody has tried."""
    password = password or f"wrong-{next(NUMBERS)}"
    headers = {"X-Forwarded-For": address}
    if not post:
        return server.request("GET", TARGET, headers=headers | web.basic(user, password)).status
    fields = {"grant_type": "password", "service": SERVICE, "username": user, "password": password}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return server.request("POST", "/token", headers=headers, body=urlencode(fields).encode()).status


def test_the_sixth_try(server: TokenServer) -> None:
    """Five in all, also when sixty come at once; the right password waits as well, and others do not."""
    assert [ask(server, "ann") for _ in range(7)] == [401] * 5 + [429] * 2
    assert ask(server, "ann", "right") == 429
    with ThreadPoolExecutor(20) as pool:
        statuses = Counter(pool.map(lambda _: ask(server, "eve", address=Y), range(60)))
    assert statuses == {401: 5, 429: 55}
    assert ask(server, "ben", "b") == 200


def test_parallel_pulls(server: TokenServer) -> None:
    """One client asks eighty times at once, unremembered: every worker has it under way, and nobody waits.

    See docs/design/threats.md#bug-30.
    """
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: ask(server, "ann", "right"), range(80))) == {200}


def test_post_then_get(server: TokenServer) -> None:
    """One wrong login that is tried twice is one failure, whichever worker hears of it."""
    for number in range(4):
        assert [ask(server, "ann", f"mistake {number}", post=post) for post in (True, False)] == [401, 401]
    assert ask(server, "ann", "right") == 200


def test_a_sorted_word_list(server: TokenServer) -> None:
    """Passwords that a short digest under a known key takes for one are as many guesses as there are words.

    See docs/design/threats.md#threat-21.
    """
    found = [ask(server, "ann", word) for word in words_of_one_tag("ann", 12)]
    assert (found, ask(server, "ann", "right")) == ([401] * 5 + [429] * 7, 429)


def test_a_victim_at_a_known_place(server: TokenServer) -> None:
    """Where ann has logged in, all workers know her."""
    assert ask(server, "ann", "right", address=Y) == 200
    assert [ask(server, "ann") for _ in range(6)] == [401] * 5 + [429]
    assert {ask(server, "ann", "right", address=Y) for _ in range(3 * WORKERS)} == {200}
    assert ask(server, "ann", "right") == 429


def test_a_worker_that_is_killed(server: TokenServer) -> None:
    """Its successor goes on counting where it was: killing workers gives nobody new tries."""
    assert [ask(server, "ann") for _ in range(5)] == [401] * 5
    before = set(server.daemon.children)
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            found = ask(server, "ann", "right")
        except OSError:
            found = 0
        now = set(server.daemon.children)
        if found and not now & before and len(now) == WORKERS:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert {ask(server, "ann", "right") for _ in range(2 * WORKERS)} == {429}
    assert ask(server, "ben", "b") == 200
