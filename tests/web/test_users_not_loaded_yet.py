"""The users' file has changed, and a process knows the end of all logins, but not the new users: nothing is stored.

The same with real processes: tests/e2e/test_ended_logins.py; docs/design/threats.md#threat-245.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_calls import ApiSite, api_site
from ended_logins import change_users, disabled, live, load_users, meanwhile, storage_of
from page_visits import Browser
from stored_logins_server import StoredSite, stored_site
from tests_web_server import server_folder

from tokenserver.credentials import AccessKeyForm, Password

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


def removed(text: str) -> str:
    """There is no ann."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("ann:"))


@pytest.mark.parametrize("change", [disabled, removed])
@pytest.mark.parametrize("is_in_flight", [False, True], ids=["later", "in flight"])
def test_users_that_are_not_loaded_yet(site: StoredSite, change: Callable[[str], str], is_in_flight: bool) -> None:
    """The old password is still right in this process, and stores nothing; others are given refresh tokens."""
    assert site.login().status_code == 200
    if is_in_flight:
        meanwhile(storage_of(site), "create_in_place", lambda: change_users(site, change))
    else:
        change_users(site, change)
    answer = site.login()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert (site.last["outcome"], "not loaded yet" in site.last["reason"]) == ("unavailable", True)
    assert live(site) == []
    assert "refresh_token" in site.login("zoë").get_json()
    load_users(site)
    assert site.login().status_code == 401
    assert live(site) == []


def test_a_login_without_a_refresh_token_does_not_wait(site: StoredSite) -> None:
    """What is stored nowhere ends with its token."""
    change_users(site, lambda text: text + "# \n")
    assert site.login(query="").status_code == 200


def test_users_that_cannot_be_loaded(site: StoredSite) -> None:
    """Whose logins have not ended since then is given refresh tokens, for as long as the file has a fault."""
    file = site.folder / "users.htpasswd"
    file.write_text(file.read_text("utf-8") + "fault\n", "utf-8")
    assert [site.parts.live.look(), site.parts.live.look()] == [False, False]
    assert "refresh_token" in site.login().get_json()


def test_a_browser_with_users_that_are_not_loaded_yet(site: StoredSite) -> None:
    """There is no session, neither now nor once the account is enabled again."""
    change_users(site, disabled)
    assert Browser(site.client).log_in().status == 503
    assert site.parts.storage is not None
    assert site.parts.storage.sessions.listed(source="htpasswd", subject="ann") == []


@pytest.mark.parametrize("change", [disabled, removed])
def test_a_key_with_users_that_are_not_loaded_yet(api: ApiSite, change: Callable[[str], str]) -> None:
    """The old password makes none."""
    api.new_key(name="first")
    change_users(api.stored, change)
    assert api.call("POST", "/access-keys", {"name": "second"}).status_code == 409
    assert live(api.stored) == []


def test_a_key_by_a_login_from_the_cache(api: ApiSite) -> None:
    """The password is verified again for a change: what was remembered may be older than the end of all logins."""
    chain = api.stored.parts.live.snapshot().chain
    source = chain.authenticators[0]

    def nobody(_: Password) -> None:
        return None

    assert api.call("GET", "/whoami").status_code == 200
    source.authenticate = nobody  # type: ignore[method-assign, assignment]
    try:
        assert api.call("GET", "/whoami").status_code == 200
        assert api.call("POST", "/access-keys", {"name": "second"}).status_code == 401
    finally:
        del source.authenticate
    assert live(api.stored) == []


def test_a_refresh_token_of_a_new_account_does_not_end(site: StoredSite) -> None:
    """Another process has loaded the new password already, and gave one for it: here it has to wait."""
    file = site.folder / "users.htpasswd"
    text = file.read_text("utf-8")
    change_users(site, disabled)
    load_users(site)
    enabled = site.stored(AccessKeyForm.REFRESH, proof=proof_of_ann(text))
    file.write_text(text, "utf-8")
    assert site.refresh(enabled).status_code == 503
    load_users(site)
    assert site.refresh(enabled).status_code == 200


def proof_of_ann(text: str) -> bytes:
    """What a refresh token of ann says of the password."""
    line = next(line for line in text.splitlines() if line.startswith("ann:"))
    return hashlib.sha256(line.partition(":")[2].encode()).digest()
