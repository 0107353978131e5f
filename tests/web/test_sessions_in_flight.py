"""Sessions of workloads: all logins of one end between the verification of its token and the row that is stored.

The same in the storage alone: tests/storage/people/test_epochs.py; docs/design/threats.md#threat-247.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ended_logins import elsewhere, meanwhile, storage_of
from stored_logins_server import StoredSite, stored_site
from tests_web_server import server_folder
from werkzeug.test import TestResponse

from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.selection import LOGINS, DeclaredSessions, Selection

__all__ = ["server_folder"]

OUTDATED = "the logins of the user were ended after this one was verified"

JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": JWT_TYPE,
    "requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token",
}


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[StoredSite]:
    """A running server that caches logins."""
    with stored_site(server_folder, tmp_path / "site") as found:
        yield found


def docker(site: StoredSite, token: str) -> TestResponse:
    """`docker login` with a JWT as the password."""
    return site.get("ci", token, "&offline_token=true")


def exchanged(site: StoredSite, token: str) -> TestResponse:
    """A session in exchange for a JWT."""
    return site.post(subject_token=token, **EXCHANGE)


WAYS = pytest.mark.parametrize("log_in", [docker, exchanged])


def _is_job(session: StoredCredential) -> bool:
    return session.claims is not None and ("repository_id", "74") in session.claims


def end(site: StoredSite, selection: Selection) -> None:
    """What a command in another process does."""
    store = elsewhere(site)
    store.end(selection, by="root", reason="lost")
    store.database.close()


ENDS = {
    "--workload job": Selection(forms=LOGINS, workload=DeclaredSessions("job", _is_job)),
    "--all-before": Selection(forms=LOGINS, before=int(time.time()) + 3600),
    "its subject": Selection(forms=LOGINS, owner="workload:ci:repo:o/web"),
}
OTHERS = {
    "--workload other": Selection(forms=LOGINS, workload=DeclaredSessions("other", lambda _: False)),
    "--user ann": Selection(forms=LOGINS, owner="ann"),
}


def live(site: StoredSite) -> int:
    """How many sessions there are."""
    return len([one for one in storage_of(site).listed(Selection(forms=LOGINS)) if one.ended is None])


@WAYS
@pytest.mark.parametrize("name", ENDS)
def test_a_session_that_is_being_stored(site: StoredSite, log_in: Callable[..., TestResponse], name: str) -> None:
    """There is none: its token is from before the end, and stays so when it is verified again."""
    token = site.jwt()
    meanwhile(storage_of(site), "create_in_place", lambda: end(site, ENDS[name]))
    refused = 401 if log_in is docker else 400  # as each kind of request is refused
    assert log_in(site, token).status_code == refused
    assert (site.last["outcome"], site.last["reason"]) == ("invalid_credentials", OUTDATED)
    assert live(site) == 0
    assert log_in(site, token).status_code == refused
    assert live(site) == 0


@WAYS
@pytest.mark.parametrize("name", OTHERS)
def test_a_session_of_another_workload(site: StoredSite, log_in: Callable[..., TestResponse], name: str) -> None:
    """It is stored, and works."""
    meanwhile(storage_of(site), "create_in_place", lambda: end(site, OTHERS[name]))
    answer = log_in(site, site.jwt())
    assert (answer.status_code, live(site)) == (200, 1)


@WAYS
@pytest.mark.parametrize("name", ENDS)
def test_a_newer_token(site: StoredSite, log_in: Callable[..., TestResponse], name: str) -> None:
    """What its issuer makes after the end is good for a session, also if that was not known when it was verified."""
    end(site, ENDS[name])
    answer = log_in(site, site.jwt(iat=int(time.time()) + 5))
    assert (answer.status_code, live(site)) == (200, 1)


def test_a_token_of_before_works_until_it_expires(site: StoredSite) -> None:
    """The end is one of what is stored: the issuer vouches for the workload all the same."""
    token = site.jwt()
    end(site, ENDS["--workload job"])
    assert site.get("ci", token).status_code == 200


def test_a_cached_login_is_verified_again(site: StoredSite) -> None:
    """A newer token that was verified before the end was known here is no reason to refuse a session."""
    token = site.jwt(iat=int(time.time()) + 5)
    assert site.get("ci", token).status_code == 200
    end(site, ENDS["--all-before"])
    assert docker(site, token).status_code == 200
