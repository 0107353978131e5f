"""A user interface in a real browser: its pages ask the token endpoint of another origin, if that origin is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.browser import found_by, page
from harness.processes import free_port
from harness.server import Setup, TokenServer, serving

pytestmark = pytest.mark.real("chromium")

SERVICE = "registry3.test"
TARGET = web.token_target(SERVICE, ["repository:web/x:pull,push"])

Visit = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ui_port() -> int:
    """The port of the user interface."""
    return free_port()


@pytest.fixture(scope="module")
def server(setup: Setup, ui_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that pages of http://ui.localhost may ask, and of no other host."""
    settings = {"server": {"cors": [f"http://ui.localhost:{ui_port}"]}, "anonymous": False}
    with serving(tmp_path_factory.mktemp("server"), replace(setup, settings=settings)) as server:
        yield server


def requests(server: TokenServer) -> list[dict[str, Any]]:
    """What the page asks; `url` and the options of fetch, which sends credentials with each."""
    base = f"http://localhost:{server.port}"
    ann = server.people["ann"]
    form = web.form(grant_type="password", client_id="ui", service=SERVICE, username="ann", password=ann).decode()
    posted = {"method": "POST", "headers": web.FORM}
    return [
        {"url": f"{base}{TARGET}", "headers": web.basic("ann", ann)},
        {"url": f"{base}/token", **posted, "body": form},
        {"url": f"{base}{TARGET}", "headers": web.basic("ann", "wrong")},
        {"url": f"{base}{TARGET}"},
        {"url": f"{base}/token?service=none", "headers": web.basic("ann", ann)},
        {"url": f"{base}/token", **posted, "body": "grant_type=refresh_token&refresh_token=x&service=" + SERVICE},
    ]


@pytest.fixture
def visit(server: TokenServer, ui_port: int, short_folder: Callable[[], Path]) -> Visit:
    """Opens the page under a host name of this machine, and gives what the browser let it see."""

    def visit(host: str) -> list[dict[str, Any]]:
        with page(ui_port, requests(server)):
            return found_by(f"http://{host}:{ui_port}/", short_folder())

    return visit


def test_a_named_origin_sees_every_answer(server: TokenServer, visit: Visit) -> None:
    """Tokens by GET with a preflight, and by POST; and of each failure the status, the text and the challenge."""
    since = server.audit.mark()
    found = visit("ui.localhost")
    assert [one.get("status") for one in found] == [200, 200, 401, 401, 400, 401], found
    tokens = [web.claims(one["body"]["access_token"]) for one in found[:2]]
    assert [token["sub"] for token in tokens] == ["ann", "ann"]
    assert tokens[0]["access"] == [{"type": "repository", "name": "web/x", "actions": ["pull", "push"]}]
    texts = [one["body"]["details"] for one in found[2:]]
    assert texts[:3] == [
        "wrong user name or password",
        "authentication required",
        "service: no registry of that name is served here",
    ]
    assert "log out of the registry and in again" in texts[3]
    for one in found:
        assert (one["headers"]["www-authenticate"] is not None) == (one["status"] == 401)
        assert one["headers"]["x-request-id"]
        assert one["headers"]["content-security-policy"] is None  # not one of those that pages may read
    events = server.audit.events(since, until=lambda events: len(events) >= len(found))
    assert len(events) == len(found), "a preflight request leaves no event"
    assert all("Chrome" in event.fields["user_agent"] for event in events)
    assert events[1].fields["client_id"] == "ui"


def test_another_origin_sees_nothing(server: TokenServer, visit: Visit) -> None:
    """The same page under another host name: no token, no status, and no password is ever sent by GET."""
    since = server.audit.mark()
    found = visit("other.localhost")
    assert found == [{"error": "TypeError"}] * len(requests(server))
    events = server.audit.events(since, until=lambda events: len(events) >= 3)
    assert not [event for event in events if event.fields["method"] == "GET" and event.subject is not None]
