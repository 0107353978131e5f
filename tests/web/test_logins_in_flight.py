"""Logins in flight: all logins of a person end between the verification of one and the moment at which it is stored.

A login that is verified again, once that is known, is stored; docs/design/threats.md#threat-220.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_calls import ApiSite, api_site
from device_logins import Device
from ended_logins import elsewhere, end_all, live, meanwhile, storage_of
from page_visits import Browser
from stored_logins_server import StoredSite, stored_site
from tests_web_server import PASSWORDS, server_folder
from werkzeug.test import TestResponse

from tokenserver.credentials import AccessKeyForm, Password
from tokenserver.identity import Identity
from tokenserver.storage.selection import Selection

__all__ = ["server_folder"]


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[StoredSite]:
    """A running server that caches logins."""
    with stored_site(server_folder, tmp_path / "site") as found:
        yield found


@pytest.fixture
def api(server_folder: Path, tmp_path: Path) -> Iterator[ApiSite]:
    """The same with the API."""
    with api_site(server_folder, tmp_path / "site") as found:
        yield found


def post(site: StoredSite) -> TestResponse:
    """A login as docker sends it."""
    form = {"username": "ann", "password": PASSWORDS["ann"], "access_type": "offline", "client_id": "docker"}
    return site.post(grant_type="password", **form)


@pytest.mark.parametrize("login", [StoredSite.login, post], ids=["get", "post"])
def test_a_right_password_is_verified_again(site: StoredSite, login: Callable[[StoredSite], TestResponse]) -> None:
    """Its owner is given a refresh token that works, and the audit log has one event."""
    meanwhile(storage_of(site), "create_in_place", lambda: end_all(site))
    before = len(site.audit.events)
    answer = login(site)
    assert (answer.status_code, len(site.audit.events) - before) == (200, 1)
    assert len(live(site)) == 1
    assert site.refresh(answer.get_json()["refresh_token"]).status_code == 200


@pytest.mark.parametrize("login", [StoredSite.login, post], ids=["get", "post"])
def test_a_password_that_was_changed(site: StoredSite, login: Callable[[StoredSite], TestResponse]) -> None:
    """The old one was right when it was verified: it gets nothing."""

    def change() -> None:
        site.rewrite_users(lambda text: "".join(line for line in text.splitlines(True) if not line.startswith("ann:")))
        end_all(site)

    meanwhile(storage_of(site), "create_in_place", change)
    assert login(site).status_code == 401
    assert site.last["outcome"] == "invalid_credentials"
    assert live(site) == []


def test_a_cached_login_is_forgotten(site: StoredSite) -> None:
    """One from before the end is verified again at the first attempt, however long it could be cached."""
    assert site.login().status_code == 200
    chain = site.parts.live.snapshot().chain
    checked: list[str] = []
    source = chain.authenticators[0]
    original = source.authenticate

    def counted(credentials: Password) -> Identity | None:
        checked.append(credentials.username)
        return original(credentials)

    source.authenticate = counted  # type: ignore[method-assign]
    try:
        assert site.login().status_code == 200
        assert checked == []
        end_all(site)
        assert site.login().status_code == 200
        assert site.login().status_code == 200
        assert checked == ["ann"]
    finally:
        source.authenticate = original  # type: ignore[method-assign]
    assert len(live(site)) == 2


def test_a_login_by_a_browser(site: StoredSite) -> None:
    """The password is verified again, and the session works."""
    assert site.parts.storage is not None
    meanwhile(site.parts.storage.sessions, "begin", lambda: end_all(site))
    browser = Browser(site.client)
    assert browser.log_in().status == 303
    assert browser.get("/account").status == 200


def test_a_browser_with_a_password_that_was_changed(site: StoredSite) -> None:
    """There is no session, and the audit log says so, after the change of the users file."""

    def change() -> None:
        site.rewrite_users(lambda text: "".join(line for line in text.splitlines(True) if not line.startswith("ann:")))
        end_all(site)

    assert site.parts.storage is not None
    meanwhile(site.parts.storage.sessions, "begin", change)
    browser = Browser(site.client)
    assert browser.log_in().status == 403
    assert [event["outcome"] for event in site.audit.events] == ["logged_in", "in_force", "invalid_credentials"]
    assert site.parts.storage.sessions.listed(source="htpasswd", subject="ann") == []


def test_an_approved_device(site: StoredSite) -> None:
    """The person who approved it has ended all logins before it asks: it is denied."""
    device = Device(site)
    code = device.approved()
    end_all(site)
    assert device.error(code) == "access_denied"
    assert (device.steps, live(site)) == (["asked", "approved", "denied"], [])


def test_a_device_that_is_approved_afterwards(site: StoredSite) -> None:
    """By a login of the browser after the end."""
    device, browser = Device(site), Browser(site.client)
    end_all(site)
    browser.log_in()
    codes = device.ask().get_json()
    question = browser.submit(browser.get("/device"), "/device", user_code=codes["user_code"])
    assert browser.submit(question, "/device", decision="confirm").status == 200
    assert device.poll(codes["device_code"]).status_code == 200


@pytest.mark.parametrize("method", ["create", "rotate"])
def test_an_access_key_by_the_api(api: ApiSite, method: str) -> None:
    """What was in flight stores nothing; the next request, by the same cached login, does."""
    site = api.stored
    key = api.new_key(name="first")
    path = "/access-keys" if method == "create" else f"/access-keys/{key['id']}/rotate"
    end = Selection(owner="ann", source="htpasswd", forms=frozenset({AccessKeyForm.REFRESH}))
    database = storage_of(site).database
    meanwhile(database, "write", lambda: elsewhere(site).end(end, by="root", reason="lost"))
    answer = api.call("POST", path, {"name": "second"} if method == "create" else {})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")
    assert live(site) == [key["id"]]
    assert api.call("POST", path, {"name": "second"} if method == "create" else {}).status_code == 201
