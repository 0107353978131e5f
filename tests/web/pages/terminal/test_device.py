"""The page `/device`: it shows what asks, asks back, and does what the person says, from their browser alone.

See docs/design/threats.md#threat-191.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from device_logins import Device
from page_visits import Browser, Page
from stored_logins_server import StoredSite, stored_site
from tests_web_server import PASSWORDS

from tokenserver.exchange.stored.device_logins import PER_SESSION
from tokenserver.management.rights import FRESH_SECONDS

QUESTION = "Did you start this login yourself, just now?"


@pytest.fixture
def device(site: StoredSite) -> Device:
    """A program at a terminal."""
    return Device(site)


def complete(codes: dict[str, str]) -> str:
    """The path of the link that has the code."""
    return codes["verification_uri_complete"].removeprefix("http://localhost:5001")


def decide(browser: Browser, question: Page, decision: str) -> Page:
    """Press one of the two buttons."""
    return browser.submit(question, "/device", decision=decision)


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.77"])
def test_by_the_link(device: Device, browser: Browser, address: str) -> None:
    """It leads to the login and back, and asks before anything happens."""
    codes = device.ask(address=address).get_json()
    sent = browser.get(complete(codes))
    assert (sent.status, sent.text) == (303, "")
    login = browser.get(sent.response.headers["Location"])
    back = browser.submit(login, "/login", username="ann", password=PASSWORDS["ann"])
    assert back.response.headers["Location"] == complete(codes)
    question = browser.get(complete(codes))
    assert QUESTION in question.text
    assert codes["user_code"] in question.text
    assert f"Its address {address} Your address 192.0.2.1" in question.text
    assert "another network" not in question.text
    assert "Everything that you can do" in question.text
    assert device.error(codes["device_code"]) == "authorization_pending"
    answer = decide(browser, question, "confirm")
    assert (answer.status, "You confirmed the login" in answer.text) == (200, True)
    assert device.poll(codes["device_code"]).status_code == 200
    again = decide(browser, question, "deny")
    assert (again.status, "was decided before" in again.text) == (409, True)
    assert "was decided before" in browser.get(complete(codes)).text


def test_by_typing_the_code(device: Device, browser: Browser) -> None:
    """In any spelling; what is asked for is shown, and denied."""
    codes = device.ask(service="reg", scope="repository:team/x:pull registry:catalog:*").get_json()
    browser.log_in()
    field = browser.get("/device")
    question = browser.submit(field, "/device", user_code=f" {codes['user_code'].lower()} ")
    assert "team/x : pull registry:catalog : *" in question.text
    assert "Registries reg What" in question.text
    assert "tokenserver-helper" in question.text
    answer = decide(browser, question, "deny")
    assert (answer.status, "You denied the login" in answer.text) == (200, True)
    assert device.error(codes["device_code"]) == "access_denied"
    assert device.steps == ["asked", "denied"]
    assert [event["subject"] for event in device.site.audit.events if event.get("step") == "denied"] == ["ann"]


@pytest.mark.parametrize(
    ("asks", "browses", "differs"),
    [
        ("192.0.2.1", "192.0.2.200", False),
        ("192.0.2.1", "198.51.100.7", True),
        ("2001:db8::1", "2001:db8:0:9::1", False),
        ("2001:db8::1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "192.0.2.9", False),
    ],
)
def test_another_network(device: Device, asks: str, browses: str, differs: bool) -> None:
    """The sign of a code that somebody else sent.

    See docs/design/threats.md#threat-191.
    """
    browser = Browser(device.site.client, address=browses)
    browser.log_in()
    question = browser.get(complete(device.ask(address=asks).get_json()))
    assert ("in another network" in question.text) is differs


def test_a_wrong_code(device: Device, browser: Browser) -> None:
    """It can be typed again, five times."""
    browser.log_in()
    codes = device.ask().get_json()
    field = browser.get("/device")
    for number in range(PER_SESSION):
        answer = browser.submit(field, "/device", user_code=f"BCDF-GHJ{'BCDFG'[number]}")
        assert (answer.status, "There is no login with this code" in answer.text) == (400, True)
        assert answer.form("/device").fields["user_code"] == f"BCDF-GHJ{'BCDFG'[number]}"
    assert browser.submit(field, "/device", user_code=codes["user_code"]).status == 429
    assert browser.get(complete(codes)).status == 429
    assert browser.post("/device", {**field.form("/device").fields, "user_code": codes["user_code"]}).status == 429


@pytest.mark.parametrize("typed", ["<script>alert(1)</script>", "x" * 5000, "", "\x00", "BCDF-GHJK' OR 1=1"])
def test_what_is_no_code(device: Device, browser: Browser, typed: str) -> None:
    """It is data, in the form and in the address."""
    browser.log_in()
    answer = browser.submit(browser.get("/device"), "/device", user_code=typed)
    assert answer.status == 400
    assert "<script" not in answer.html
    assert (
        browser.client.get(
            "/device", query_string={"user_code": typed}, environ_overrides=browser.overrides
        ).status_code
        == 400
    )


def test_another_site_cannot_confirm(device: Device, browser: Browser) -> None:
    """Neither by a form of its own, nor in a frame, nor with the token of another browser."""
    browser.log_in()
    codes = device.ask().get_json()
    question = browser.get(complete(codes))
    fields = {**question.form("/device").fields, "decision": "confirm"}
    assert browser.post("/device", fields, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert browser.post("/device", fields, Origin="https://evil.example.com").status == 403
    assert browser.post("/device", {**fields, "form": "0" * 64}).status == 403
    assert browser.post("/device", {**fields, "decision": "perhaps"}).status == 403
    assert device.error(codes["device_code"]) == "authorization_pending"
    headers = question.response.headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")


def test_an_old_session(device: Device, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is confirmed lasts for months, so the password has to be of this hour; the code is kept on the way."""
    browser.log_in()
    codes = device.ask().get_json()
    question = browser.get(complete(codes))
    monkeypatch.setattr("tokenserver.management.rights.FRESH_SECONDS", -FRESH_SECONDS)
    for answer in (browser.get(complete(codes)), decide(browser, question, "confirm"), browser.get("/device")):
        assert answer.status == 303
        assert answer.response.headers["Location"].startswith("/login?next=%2Fdevice")
    assert "BCDF" not in answer.response.headers["Location"]
    assert browser.get(complete(codes)).response.headers["Location"].endswith(f"{codes['user_code']}&note=again")
    assert device.error(codes["device_code"]) == "authorization_pending"


def test_logged_out(device: Device, browser: Browser) -> None:
    """Nobody confirms without a session."""
    browser.log_in()
    codes = device.ask().get_json()
    question = browser.get(complete(codes))
    browser.submit(question, "/logout")
    assert decide(browser, question, "confirm").status == 303
    assert device.error(codes["device_code"]) == "authorization_pending"


def test_in_german(device: Device, browser: Browser) -> None:
    """As the browser says."""
    browser.log_in()
    codes = device.ask().get_json()
    question = browser.get(complete(codes), **{"Accept-Language": "de"})
    assert "Haben Sie diese Anmeldung gerade selbst begonnen?" in question.text


def test_where_there_are_no_refresh_tokens(server_folder: Path, tmp_path: Path) -> None:
    """There is no such page."""
    with stored_site(server_folder, tmp_path / "other", sections="access_keys: {}") as site:
        browser = Browser(site.client)
        browser.log_in()
        assert browser.client.get("/device", environ_overrides=browser.overrides).status_code == 404
