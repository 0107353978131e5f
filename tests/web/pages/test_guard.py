"""The guard of pages: which paths are pages, how large their bodies may be, and that a crowd waits for itself alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from tokenserver.exchange.admission import MAX_PAGES, PAGE_QUEUE
from tokenserver.web.pages.guard import ASKED_PATH, GuardedPages, page_limit
from tokenserver.web.parameters import MIN_BODY

ROOTS = frozenset({"login", "account"})


@pytest.mark.parametrize(
    ("prefix", "path", "page"),
    [
        ("", "/login", "/login"),
        ("", "/account/keys/x", "/account/keys/x"),
        ("", "/login/", "/login/"),
        ("", "//login", None),
        ("", "login", None),
        ("", "", None),
        ("", "/t/login", None),
        ("/t", "/login", "/login"),
        ("/t", "/t/login", "/login"),
        ("/t", "/t/t/login", None),
        ("/t", "/tlogin", None),
        ("/t", "/t//login", None),
        ("/account", "/account/login", "/account/login"),
    ],
)
def test_paths(prefix: str, path: str, page: str | None) -> None:
    """At the root and below the prefix; what a path means at the root comes first."""
    assert GuardedPages(lambda *_: [], ROOTS, prefix=prefix).at_root(path) == page


def test_body_limits() -> None:
    """64 KiB, and two mebibytes where policies are tried out."""
    assert page_limit("/login").most == MIN_BODY
    assert page_limit("/admin/policies").most == 2 * 1024 * 1024


def test_a_crowd() -> None:
    """Requests beyond the queue get a page with 503 immediately; the path that was asked is told."""
    entered, leave = threading.Semaphore(0), threading.Event()
    asked: list[str] = []

    def app(environ: Any, _: Any) -> Iterable[bytes]:
        asked.append(environ[ASKED_PATH])
        entered.release()
        leave.wait(10)
        return [b"page"]

    pages = GuardedPages(app, ROOTS, prefix="/t", monotonic=lambda: 0.0)
    threads = [
        threading.Thread(target=pages, args=("/login", {"PATH_INFO": "/t/login"}, None))
        for _ in range(MAX_PAGES + PAGE_QUEUE)
    ]
    for thread in threads:
        thread.start()
    for _ in range(MAX_PAGES):
        assert entered.acquire(timeout=5)
    while pages.bulkhead.load[1] < PAGE_QUEUE:
        threading.Event().wait(0.01)
    started: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _: Any = None, /) -> Any:
        started.append((status, headers))

    body = b"".join(pages("/login", {"PATH_INFO": "/login"}, start))
    leave.set()
    for thread in threads:
        thread.join()
    ((status, headers),) = started
    assert (status, dict(headers)["Retry-After"]) == ("503 Service Unavailable", "2")
    assert b"too much to do" in body
    assert set(asked) == {"/t/login"}
