"""The page /admin/policies: changes of policies are examined, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from administered_sites import TEAM, administrator
from page_visits import Browser, Page
from stored_logins_server import StoredSite

from tokenserver.errors import LinkedText
from tokenserver.policy.playground.playground import Playground, PlaygroundBusy
from tokenserver.web.pages.policies import playground
from tokenserver.web.pages.policies.playground import shown_texts, surroundings_of

PATH = "/admin/policies"


def sent(browser: Browser, page: Page, **fields: str) -> Page:
    """The form with the texts, filled in."""
    form = next(one for one in page.forms if "name.new" in one.fields)
    usual = {name: text for name, text in form.fields.items() if not name.startswith("remove.")}
    return browser.post(PATH, usual | {key.replace("_", "."): text for key, text in fields.items()})


def files(folder: Path) -> dict[str, str]:
    """All files below a folder."""
    return {str(path): path.read_text("utf-8") for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_files(site: StoredSite) -> None:
    """All of a small tree are open, as they are."""
    page = administrator(site).get(PATH)
    fields = page.forms[-1].fields
    assert (fields["name.0"], fields["name.1"]) == ("policy.yaml", "teams/web.yaml")
    assert fields["text.0"] == (site.folder / "policies" / "policy.yaml").read_text("utf-8")
    assert fields["text.1"] == TEAM


def test_nothing_changed(site: StoredSite) -> None:
    """A form that is sent as it came changes nothing."""
    browser = administrator(site)
    answer = sent(browser, browser.get(PATH))
    assert answer.status == 200
    assert "Nothing is changed" in answer.text
    assert "The server would load these files." in answer.text
    assert "the same access as before" in answer.text


def test_a_change(site: StoredSite) -> None:
    """Who gains and loses what, with an example; and nothing is written. docs/design/threats.md#threat-174"""
    before = files(site.folder / "policies")
    browser = administrator(site)
    changed = TEAM.replace("writer", "reader").replace("\n", "\r\n")
    answer = sent(browser, browser.get(PATH), text_1=changed)
    assert "Changed: teams/web.yaml" in answer.text
    assert "The server would load these files." in answer.text
    assert "only less access (1 lost)" in answer.text
    assert "user:zo\u00eb push web/** always web/x as zo\u00eb web (teams/web.yaml:3)" in answer.text
    assert answer.forms[-1].fields["text.1"] == changed.replace("\r\n", "\n")
    assert files(site.folder / "policies") == before
    assert site.parts.live.look() is False


def test_an_administrator_more(site: StoredSite) -> None:
    """Power over others is named apart."""
    browser = administrator(site)
    page = browser.get(PATH)
    text = page.forms[-1].fields["text.0"].replace('["group:ops"]', '["group:ops", "user:ann"]')
    answer = sent(browser, page, text_0=text)
    assert "user:ann becomes an administrator, by user:ann" in answer.text
    removed = sent(browser, page, text_0=page.forms[-1].fields["text.0"].replace('["group:ops"]', '["user:ann"]'))
    assert "user:root-ann is no longer an administrator, by group:ops" in removed.text


def test_faults(site: StoredSite) -> None:
    """Each with file, line and fix, escaped; the text stays in the form."""
    browser = administrator(site)
    answer = sent(browser, browser.get(PATH), text_1="version: 1\nallow: <script>{x}\n")
    assert "The server would reject these files" in answer.text
    assert "teams/web.yaml:2: allow: must be a list, not text" in answer.text
    assert "<script>" not in answer.html
    assert answer.forms[-1].fields["text.1"] == "version: 1\nallow: <script>{x}\n"


def test_a_failing_test(site: StoredSite) -> None:
    """Of a file at the top, it keeps the files from being loaded."""
    browser = administrator(site)
    page = browser.get(PATH)
    test = "tests:\n  - {as: {user: ann}, cannot: [push team/x]}\n"
    answer = sent(browser, page, text_0=page.forms[-1].fields["text.0"] + test)
    assert "The server would reject these files, because a test fails." in answer.text
    assert "expected that user ann cannot push team/x" in answer.text


def test_a_failing_test_of_a_team(site: StoredSite) -> None:
    """It holds back the change of that file."""
    browser = administrator(site)
    answer = sent(browser, browser.get(PATH), text_1=TEAM + "tests:\n  - {as: {user: ann}, can: [push web/x]}\n")
    assert "The server would load these files." in answer.text
    assert "Tests of teams/web.yaml fail." in answer.text


def test_a_file_less_and_a_new_one(site: StoredSite) -> None:
    """As if the file were not there, and the other one were."""
    browser = administrator(site)
    page = browser.get(PATH)
    answer = sent(browser, page, remove_1="1")
    assert "there is no file 'teams/web.yaml' in the policy folder" in answer.text
    rule = "version: 1\nallow:\n  - {id: new, to: ['user:ann'], repositories: [new], role: reader}\n"
    added = sent(browser, page, name_new="new.yaml", text_new=rule)
    assert "Changed: new.yaml" in added.text
    assert "user:ann pull new always new as ann new (new.yaml:3)" in added.text
    wrong = sent(browser, page, name_new="../new.yaml", text_new=rule)
    assert "../new.yaml: has a part that is empty or hidden" in wrong.text


def test_chosen_files(site: StoredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large tree, only the chosen ones are open, and the others stay as they are."""
    monkeypatch.setattr(playground, "OPEN_AT_ONCE", 10)
    browser = administrator(site)
    assert "name.0" not in browser.get(PATH).forms[-1].fields
    page = browser.get(f"{PATH}?file=teams/web.yaml&file=none.yaml")
    assert page.forms[-1].fields["name.0"] == "teams/web.yaml"
    assert "name.1" not in page.forms[-1].fields
    assert "only less access" in sent(browser, page, text_0=TEAM.replace("writer", "reader")).text


def test_without_the_token_of_the_form(site: StoredSite) -> None:
    """A form of another site is not examined. docs/design/threats.md#threat-174"""
    browser = administrator(site)
    fields = browser.get(PATH).forms[-1].fields
    assert browser.post(PATH, {**fields, "form": ""}).status == 403
    assert browser.post(PATH, fields, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    other = Browser(site.client)
    other.client.delete_cookie("tokenserver")
    assert other.post(PATH, fields).status == 303


def test_too_large(site: StoredSite) -> None:
    """A form beyond the limit is not read; one within it that makes the tree too large is answered."""
    browser = administrator(site)
    page = browser.get(PATH)
    assert "bytes, and the playground takes" in sent(browser, page, text_new="x" * 2**20, name_new="x.yaml").text
    assert sent(browser, page, text_new="x" * 2**21, name_new="x.yaml").status == 413


def test_busy(site: StoredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another examination goes on: nothing that was typed is lost."""

    def busy(*_: object) -> None:
        raise PlaygroundBusy("another one")

    monkeypatch.setattr(Playground, "examine", busy)
    browser = administrator(site)
    answer = sent(browser, browser.get(PATH), text_1="typed")
    assert (answer.status, "Another change is being examined." in answer.text) == (503, True)
    assert answer.forms[-1].fields["text.1"] == "typed"


def test_files_behind_links() -> None:
    """Their text is not shown. docs/design/threats.md#threat-172"""
    assert shown_texts({"a.yaml": "x\r\ny\rz", "b.yaml": LinkedText("secret", "/srv/key")}) == {"a.yaml": "x\ny\nz"}


def test_a_file_behind_a_link(site: StoredSite) -> None:
    """It is named, and cannot be opened. docs/design/threats.md#threat-172"""
    outside = site.folder / "outside.yaml"
    outside.write_text(TEAM.replace("web/**", "web/hidden/**"), "utf-8")
    team = site.folder / "policies" / "teams" / "web.yaml"
    team.unlink()
    team.symlink_to(outside)
    live = site.parts.live
    assert [live.look(), live.look()] == [False, True]
    page = administrator(site).get(f"{PATH}?file=teams/web.yaml&file=policy.yaml")
    assert "teams/web.yaml is behind a link, so its text is not shown" in page.text
    assert "web/hidden" not in page.html
    assert page.forms[-1].fields["name.0"] == "policy.yaml"
    assert "name.1" not in page.forms[-1].fields


def test_surroundings(site: StoredSite) -> None:
    """The playground loads and lints as this server does."""
    found = surroundings_of(site.parts.settings)
    assert found.services == frozenset({"reg", "other", "without"})
    assert (found.anonymous, found.have_groups, found.access_keys) == (False, False, True)
    assert found.presets == {"ci": "github_actions"}
    assert found.workload_sources is not None
    assert frozenset({"repository_id"}) in found.workload_sources["ci"].anchors
