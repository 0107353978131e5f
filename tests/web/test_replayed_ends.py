"""Restoring a backup beside a running server: by the audit log that the server wrote, and without a restart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_calls import ApiSite, api_site
from tests_web_server import server_folder

from tokenserver.credentials import AccessKeyForm
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.selection import Selection
from tokenserver.storage.upkeep.backup import back_up
from tokenserver.storage.upkeep.restoring import restore

__all__ = ["server_folder"]


@pytest.fixture
def api(server_folder: Path, tmp_path: Path) -> Iterator[ApiSite]:
    """A server where three refresh tokens of a person may live at a time."""
    sections = "access_keys: {}\nrefresh_tokens: {per_user: 3}"
    with api_site(server_folder, tmp_path / "site", sections=sections) as found:
        yield found


def login(api: ApiSite) -> str:
    """The refresh token of a new login of ann's."""
    answer = api.stored.login()
    assert answer.status_code == 200
    text: str = answer.get_json()["refresh_token"]
    return text


def id_of(text: str) -> str:
    """The id in a credential."""
    return text[5:17]


def ended_by_api(api: ApiSite) -> str:
    key: str = api.new_key(name="a")["id"]
    api.later.append(lambda: api.call("DELETE", f"/access-keys/{key}"))
    return key


def rotated_by_api(api: ApiSite) -> str:
    key: str = api.new_key(name="b")["id"]
    api.later.append(lambda: api.call("POST", f"/access-keys/{key}/rotate", {}))
    return key


def robot_secret(api: ApiSite) -> str:
    secret: str = api.call("POST", "/robots/ci/secrets", {}).get_json()["id"]
    api.later.append(lambda: api.call("DELETE", f"/robots/ci/secrets/{secret}"))
    return secret


def login_of_api(api: ApiSite) -> str:
    text = login(api)
    api.later.append(lambda: api.call("DELETE", f"/logins/{id_of(text)}"))
    return id_of(text)


def all_logins_by_api(api: ApiSite) -> str:
    text = login(api)
    api.later.append(lambda: api.call("POST", "/people/ann/end-logins", {}))
    return id_of(text)


def revoked_by_holder(api: ApiSite) -> str:
    text = login(api)
    api.later.append(lambda: api.stored.post("/revoke", token=text))
    return id_of(text)


def displaced(api: ApiSite) -> str:
    text = login(api)
    # Of those of one second, any is the oldest.
    api.later.append(lambda: soon(lambda: login(api) and api.stored.refresh(text).status_code == 401))
    return id_of(text)


def refused_afterwards(api: ApiSite) -> str:
    """Ended by a command, which writes no event; its use is one."""
    text = api.stored.stored(AccessKeyForm.PERSONAL)
    store = open_store(api.stored.parts.settings)

    def end() -> None:
        store.end(Selection(ids=frozenset({id_of(text)})), by="cli:root", reason="lost")
        soon(lambda: api.stored.get("", text).status_code == 401)

    api.later.append(end)
    return id_of(text)


def soon(condition: Callable[[], object]) -> None:
    """Wait for what a follower does twice a second."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "begin",
    [
        ended_by_api,
        rotated_by_api,
        robot_secret,
        login_of_api,
        all_logins_by_api,
        revoked_by_holder,
        displaced,
        refused_afterwards,
    ],
)
def test_the_server_s_own_events(api: ApiSite, tmp_path: Path, begin: Callable[[ApiSite], str]) -> None:
    """What ended after the backup stays ended by the log alone; another credential of the backup lives."""
    site = api.stored
    other = api.new_key("zoë", name="other")
    ended = begin(api)
    settings = site.parts.settings
    assert settings.storage is not None
    assert settings.storage.file is not None
    back_up(settings.storage.file, tmp_path / "copy.db")
    for step in api.later:
        step()
    log = "".join(json.dumps(event) + "\n" for event in site.audit.events).encode()
    store = open_store(settings)
    # As if the storage could not be read any more, which otherwise knows what has ended.
    restore(store, tmp_path / "copy.db", settings.storage.file, logs=None, keep=True, by="root")
    after = {one.credential.id: one.ended for one in store.listed(Selection())}
    assert after[ended] is None, "the backup knows nothing of it"
    store.database.close()
    store = open_store(settings)
    restore(store, tmp_path / "copy.db", settings.storage.file, logs=[log], keep=False, by="root")
    after = {one.credential.id: one.ended for one in store.listed(Selection())}
    assert after[ended] is not None
    assert after[other["id"]] is None


@pytest.mark.parametrize("keep", [False, True])
def test_a_running_server_takes_it_over(api: ApiSite, tmp_path: Path, keep: bool) -> None:
    """Without a restart: what the backup has not is unknown, what was ended has ended, and what was not works."""
    site = api.stored
    settings = site.parts.settings
    assert settings.storage is not None
    assert settings.storage.file is not None
    before = login(api)
    back_up(settings.storage.file, tmp_path / "copy.db")
    after = login(api)
    assert {site.refresh(one).status_code for one in (before, after)} == {200}
    store = open_store(settings)
    restore(store, tmp_path / "copy.db", settings.storage.file, logs=None, keep=keep, by="root")
    soon(lambda: site.refresh(after).status_code == 401)
    assert site.last["reason"] == "unknown refresh token"
    soon(lambda: (site.refresh(before).status_code == 200) is keep)
    assert site.refresh(login(api)).status_code == 200
