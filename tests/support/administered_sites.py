"""Running servers whose policies name an administrator, for pages about policies."""

from __future__ import annotations

from collections.abc import Callable

from page_visits import Browser
from stored_logins_server import StoredSite

ADMINISTRATOR = "root-ann"
TEAM = """\
version: 1
allow:
  - {id: web, to: ["user:zo\u00eb"], repositories: ["web/**"], role: writer}
"""
DELEGATION = """\
administrators: ["group:ops"]
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push], contact: "#web in the chat"}
"""


def name_administrators(site: StoredSite) -> None:
    """Let the group ops administer, and delegate a file."""
    folder = site.folder / "policies"
    (folder / "teams").mkdir(mode=0o755)
    (folder / "teams" / "web.yaml").write_text(TEAM, "utf-8")
    rewrite_policies(site, lambda text: text + DELEGATION)


def rewrite_policies(site: StoredSite, change: Callable[[str], str]) -> None:
    """Change the text of the root file, which the server loads after it has looked twice."""
    file = site.folder / "policies" / "policy.yaml"
    file.write_text(change(file.read_text("utf-8")), "utf-8")
    live = site.parts.live
    assert [live.look(), live.look()] == [False, True]


def administrator(site: StoredSite) -> Browser:
    """The browser of somebody who administers."""
    browser = Browser(site.client)
    assert browser.log_in(ADMINISTRATOR).status == 303
    return browser
