"""Forms in flight: the login of the person who sends one ends between its verification and the change.

Every form of a page that changes something is tried; the same by the API: test_actors_in_flight.py;
docs/design/threats.md#threat-248.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_calls import api_site
from device_logins import Device
from ended_logins import elsewhere, meanwhile, sessions_of, storage_of
from page_visits import Browser
from stored_logins_server import StoredSite
from tests_web_server import server_folder

from tokenserver.credentials import AccessKeyForm
from tokenserver.storage.people.browser_sessions import BrowserSession
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import LOGINS, Selection

__all__ = ["server_folder"]

ADMIN = "root-ann"
Sent = tuple[str, dict[str, str]]
"""Where a form leads, and its fields."""

SURE = {"sure": "yes"}
"""The answer to the question before something ends."""


LIFETIME = {"lifetime": "43200"}


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[StoredSite]:
    """A running server with people, robots and an administrator."""
    with api_site(server_folder, tmp_path / "site") as found:
        yield found.stored


def _key(action: str, **fields: str) -> Callable[[StoredSite], Sent]:
    return lambda site: (f"/account/keys/{site.stored(AccessKeyForm.PERSONAL, ADMIN)[5:17]}/{action}", fields)


def _secret(action: str, **fields: str) -> Callable[[StoredSite], Sent]:
    return lambda site: (f"/robots/ci/secrets/{site.stored(AccessKeyForm.ROBOT, 'robot:ci')[5:17]}/{action}", fields)


def _of_ann(form: AccessKeyForm, action: str) -> Callable[[StoredSite], Sent]:
    fields = {"user": "ann", "reason": "lost laptop", **SURE}
    return lambda site: (f"/admin/person/{action}", {"id": site.stored(form)[5:17], **fields})


def _device(site: StoredSite) -> Sent:
    return "/device", {"user_code": Device(site).ask().get_json()["user_code"], "decision": "confirm"}


FORMS: dict[str, Callable[[StoredSite], Sent]] = {
    "keys.make": lambda _: ("/account/keys/new", LIFETIME),
    "keys.rename": _key("rename", name="other"),
    "keys.rotate": _key("replace"),
    "keys.end": _key("end", **SURE),
    "robots.make": lambda _: ("/robots/ci/secrets", LIFETIME),
    "robots.rotate": _secret("replace"),
    "robots.end": _secret("end", **SURE),
    "account.end_login": lambda site: (
        f"/account/logins/{site.stored(AccessKeyForm.REFRESH, ADMIN)[5:17]}/end",
        SURE,
    ),
    "account.end_others": lambda _: ("/account/logins/end-others", SURE),
    "admin.end_key": _of_ann(AccessKeyForm.PERSONAL, "end-key"),
    "admin.end_login": _of_ann(AccessKeyForm.REFRESH, "end-login"),
    "admin.end_logins": _of_ann(AccessKeyForm.REFRESH, "end-logins"),
    "device.answer": _device,
}
"""All forms by which a person who is logged in changes something, by their endpoints."""

OTHER_FORMS = {
    "login.log_in": "begins a session: test_logins_in_flight.py",
    "login.log_out": "ends what has ended",
    "playground.examine": "changes nothing",
}


def this_session(site: StoredSite, session: BrowserSession) -> object:
    """A logout in another tab, or the end of one login."""
    return sessions_of(site).end(session.id, source="htpasswd", subject=ADMIN)


def all_sessions(site: StoredSite, _: BrowserSession) -> object:
    """As a provider, or an administrator, does."""
    return sessions_of(site).end_all(Whose("htpasswd", "subject", ADMIN))


def all_logins(site: StoredSite, _: BrowserSession) -> object:
    """By a command."""
    return elsewhere(site).end(Selection(owner=ADMIN, forms=LOGINS), by="root", reason="lost")


def state_of(site: StoredSite) -> list[object]:
    """All keys and secrets, and the logins of others."""
    listed = storage_of(site).listed(Selection())
    found = [(one.credential, one.ended) for one in listed]
    return [one for one in found if one[0].owner != ADMIN or one[0].form is AccessKeyForm.PERSONAL]


def test_all_forms_are_tried(site: StoredSite) -> None:
    """A new one has to be here, too."""
    rules = site.client.application.url_map.iter_rules()
    pages = {rule.endpoint for rule in rules if "POST" in (rule.methods or ()) and "." in rule.endpoint}
    api = {endpoint for endpoint in pages if endpoint.startswith("api.")}
    assert pages - api == FORMS.keys() | OTHER_FORMS.keys()


@pytest.mark.parametrize("end", [this_session, all_sessions, all_logins])
@pytest.mark.parametrize("form", FORMS)
def test_a_login_that_ends_meanwhile(
    site: StoredSite, form: str, end: Callable[[StoredSite, BrowserSession], object]
) -> None:
    """Nothing is changed, and the page says that the person was logged out."""
    browser = Browser(site.client)
    assert browser.log_in(ADMIN).status == 303
    (session,) = sessions_of(site).listed(source="htpasswd", subject=ADMIN)
    action, fields = FORMS[form](site)
    token = browser.get("/account").form("/logout").fields
    before = state_of(site)
    meanwhile(storage_of(site).database, "write", lambda: end(site, session))
    page = browser.post(action, token | fields)
    assert (page.status, "You were logged out" in page.text) == (403, True), page.text
    assert state_of(site) == before
    events = [(event["event"], event.get("step", event.get("outcome"))) for event in site.audit.events]
    done = [("browser_login", "logged_in")]
    last = ("device", "asked") if form == "device.answer" else ("management", "refused")
    assert [one for one in events if one[0] in {"browser_login", "management", "device"}] == [*done, last]


@pytest.mark.parametrize("form", FORMS)
def test_the_logins_of_others_end_meanwhile(site: StoredSite, form: str) -> None:
    """That is no reason to refuse a form."""
    browser = Browser(site.client)
    browser.log_in(ADMIN)
    action, fields = FORMS[form](site)
    token = browser.get("/account").form("/logout").fields
    others = Selection(owner="zoë", source="htpasswd")
    meanwhile(storage_of(site).database, "write", lambda: elsewhere(site).end(others, by="root", reason="lost"))
    assert browser.post(action, token | fields).status in {200, 303}
    assert "refused" not in [event.get("outcome") for event in site.audit.events]
