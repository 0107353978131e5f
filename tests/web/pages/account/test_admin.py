"""The pages of administrators: everybody's keys and logins, and that nobody else sees them."""

from __future__ import annotations

import pytest
from page_visits import Browser
from stored_logins_server import StoredSite

from tokenserver.credentials import AccessKeyForm

PATHS = ("/admin", "/admin/person?user=zo%C3%AB")


@pytest.fixture
def admin(site: StoredSite, browser: Browser) -> Browser:
    """ann, who is an administrator, is logged in."""
    file = site.folder / "policies" / "policy.yaml"
    file.write_text(file.read_text() + 'administrators: ["user:ann"]\n')
    assert [site.parts.live.look(), site.parts.live.look()] == [False, True]
    browser.log_in()
    return browser


def test_administrators_only(browser: Browser) -> None:
    """Others get a page that says so, and no link."""
    browser.log_in("zoë")
    for path in PATHS:
        answer = browser.get(path)
        assert (answer.status, "for administrators" in answer.text) == (403, True)
    assert "/admin" not in browser.get("/account").links
    form = browser.get("/account").form("/logout").fields
    for action in ("end-logins", "end-login", "end-key"):
        assert browser.post(f"/admin/person/{action}", form).status == 403


def test_everybody(site: StoredSite, admin: Browser) -> None:
    """Robots with their valid secrets, and people with what they hold."""
    site.stored(AccessKeyForm.PERSONAL, "zoë", name="hers")
    site.stored(AccessKeyForm.ROBOT, "robot:ci")
    page = admin.get("/admin")
    assert "ci builds administrators 1 Change" in page.text
    assert "zoë htpasswd 1 0" in page.text
    assert "/admin/person?user=zo%C3%AB" in page.links
    assert "/admin" in admin.get("/account").links


def test_end_what_belongs_to_others(site: StoredSite, admin: Browser) -> None:
    """A key or all logins for a reason, one login without; the audit log has it."""
    key, token = site.stored(AccessKeyForm.PERSONAL, "zoë"), site.stored(AccessKeyForm.REFRESH, "zoë")
    other = site.stored(AccessKeyForm.REFRESH, "zoë", client="crane")
    page = admin.get(PATHS[1])
    assert admin.submit(page, "/admin/person/end-key", reason="").status == 400
    answer = admin.end(page, "/admin/person/end-key", reason="left the company")
    assert answer.response.headers["Location"] == "/admin/person?user=zo%C3%AB&note=key-ended"
    assert site.get("zoë", key).status_code == 401
    form = next(
        one for one in page.forms if one.action == "/admin/person/end-login" and one.fields["id"] == token[5:17]
    )
    question = admin.post(form.action, form.fields)
    assert admin.submit(question, form.action).status == 303
    assert [site.refresh(one, service="reg").status_code for one in (token, other)] == [401, 200]
    wrong = admin.submit(page, "/admin/person/end-logins", reason=" ")
    assert (wrong.status, "reason-wrong" in wrong.html) == (400, True)
    assert admin.end(page, "/admin/person/end-logins", reason="left the company").status == 303
    assert site.refresh(other, service="reg").status_code == 401
    reasons = [one["reason"] for one in site.audit.events if one.get("outcome") == "done"]
    assert reasons == ["left the company", "ended by an administrator", "left the company"]
    assert "not logged in anywhere" in admin.get(PATHS[1]).text
