"""Changes in flight: the login of whoever asks for a change ends between its verification and the change.

Every operation of the API is tried, with each kind of login and of end: nothing is changed, and nobody gets a secret.
The same with forms: test_forms_in_flight.py; docs/design/threats.md#threat-248.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from api_calls import ApiSite, api_site
from ended_logins import elsewhere, meanwhile, sessions_of, storage_of
from page_visits import Browser
from stored_logins_server import StoredSite
from tests_web_server import server_folder
from werkzeug.test import TestResponse

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Kind
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import LOGINS, DeclaredSessions, Selection
from tokenserver.web.api.authentication import CSRF_HEADER
from tokenserver.web.api.operations.table import OPERATIONS

__all__ = ["server_folder"]

ADMIN = "root-ann"
WHY = {"reason": "lost laptop"}


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[ApiSite]:
    """A running server, where a workload administers, too."""
    with api_site(server_folder, tmp_path / "site") as found:
        file = found.stored.folder / "policies" / "policy.yaml"
        file.write_text(file.read_text("utf-8").replace('"robot:terraform"]', '"robot:terraform", "workload:job"]'))
        assert [found.stored.parts.live.look(), found.stored.parts.live.look()] == [False, True]
        yield found


# --- the logins, and what ends them ----------------------------------------------------------------------------------


@dataclass
class Login:
    """A login of an administrator, by which requests are sent; `facts` is what ends it."""

    site: ApiSite
    name: str
    password: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any, **headers: str) -> TestResponse:
        """One request."""
        user = None if self.headers else self.name
        return self.site.call(method, path, body, user=user, password=self.password, headers=self.headers | headers)


def password(site: ApiSite) -> Login:
    """A person, by Basic."""
    return Login(site, ADMIN)


def browser(site: ApiSite) -> Login:
    """A person, by the session of a browser."""
    visit = Browser(site.stored.client)
    assert visit.log_in(ADMIN).status == 303
    token = site.call("GET", "/whoami", user=None).headers[CSRF_HEADER]
    (session,) = sessions_of(site.stored).listed(source="htpasswd", subject=ADMIN)
    return Login(site, ADMIN, headers={CSRF_HEADER: token}, facts={"id": session.id})


def robot(site: ApiSite) -> Login:
    """A robot, by a stored secret."""
    text = site.stored.stored(AccessKeyForm.ROBOT, "robot:terraform")
    return Login(site, "terraform", text, facts={"id": text[5:17]})


def workload(site: ApiSite) -> Login:
    """A workload, by a token of its issuer."""
    return Login(site, "ci", site.stored.jwt())


def stored(**facts: Any) -> Callable[[Login], object]:
    """The end of the credentials of a selection by a command."""
    return lambda login: elsewhere(login.site.stored).end(Selection(**facts), by="root", reason="lost")


def one_session(login: Login) -> object:
    """A logout, or the end of one login."""
    return sessions_of(login.site.stored).end(login.facts["id"], source="htpasswd", subject=ADMIN)


def all_sessions(login: Login) -> object:
    """As a provider, or an administrator, does."""
    return sessions_of(login.site.stored).end_all(Whose("htpasswd", "subject", ADMIN))


def one_secret(login: Login) -> object:
    """The end of a secret of the robot."""
    return stored(ids=frozenset({login.facts["id"]}))(login)


JOB = DeclaredSessions("job", lambda one: one.claims is not None)
ENDS: list[tuple[Callable[[ApiSite], Login], str, Callable[[Login], object]]] = [
    (password, "all logins", stored(owner=ADMIN, source="htpasswd", forms=LOGINS)),
    (password, "logins of everybody", stored(before=1)),
    (browser, "all logins", stored(owner=ADMIN, forms=LOGINS)),
    (browser, "all sessions", all_sessions),
    (browser, "this session", one_session),
    (robot, "this secret", one_secret),
    (robot, "all secrets", stored(owner="robot:terraform")),
    (workload, "all sessions of the workload", stored(forms=LOGINS, workload=JOB)),
    (workload, "all sessions of the subject", stored(forms=LOGINS, owner="workload:ci:repo:o/web")),
]


# --- the operations --------------------------------------------------------------------------------------------------


def key_of(site: ApiSite, owner: str) -> str:
    """The id of a key."""
    return site.stored.stored(AccessKeyForm.PERSONAL, owner)[5:17]


Call = tuple[str, str, Any]


def create_key(_: ApiSite) -> Call:
    """For somebody else."""
    return "POST", "/access-keys?user=ann", {"name": "new", **WHY}


def end_key(site: ApiSite) -> Call:
    """That of somebody else."""
    return "DELETE", f"/access-keys/{key_of(site, 'ann')}?reason=lost+laptop", None


def rename_key(site: ApiSite) -> Call:
    """The own one."""
    return "PATCH", f"/access-keys/{key_of(site, ADMIN)}", {"name": "other"}


def rotate_key(site: ApiSite) -> Call:
    """The own one."""
    return "POST", f"/access-keys/{key_of(site, ADMIN)}/rotate", {}


def create_secret(_: ApiSite) -> Call:
    """Of a robot."""
    return "POST", "/robots/ci/secrets", {}


def rotate_secret(site: ApiSite) -> Call:
    """Of a robot."""
    return "POST", f"/robots/ci/secrets/{site.stored.stored(AccessKeyForm.ROBOT, 'robot:ci')[5:17]}/rotate", {}


def end_secret(site: ApiSite) -> Call:
    """Of a robot."""
    return "DELETE", f"/robots/ci/secrets/{site.stored.stored(AccessKeyForm.ROBOT, 'robot:ci')[5:17]}", None


def end_login(site: ApiSite) -> Call:
    """The refresh token of somebody else."""
    return "DELETE", f"/logins/{site.stored.stored(AccessKeyForm.REFRESH)[5:17]}?user=ann", None


def end_browser_login(site: ApiSite) -> Call:
    """The browser session of somebody else."""
    _, session = sessions_of(site.stored).begin(source="htpasswd", subject="ann", kind=Kind.PASSWORD)
    return "DELETE", f"/logins/{session.id}?user=ann", None


def end_logins(site: ApiSite) -> Call:
    """All of somebody else."""
    site.stored.stored(AccessKeyForm.REFRESH)
    return "POST", "/people/ann/end-logins", WHY


CHANGES: dict[str, list[Callable[[ApiSite], Call]]] = {
    "createAccessKey": [create_key],
    "endAccessKey": [end_key],
    "renameAccessKey": [rename_key],
    "rotateAccessKey": [rotate_key],
    "createRobotSecret": [create_secret],
    "rotateRobotSecret": [rotate_secret],
    "endRobotSecret": [end_secret],
    "endLogin": [end_login, end_browser_login],
    "endLogins": [end_logins],
}
"""All operations that change something, by their names."""

OF_PEOPLE = {rename_key, rotate_key}
"""What machines cannot ask for: they have no keys."""

EACH = [
    pytest.param(log_in, end, change, id=f"{change.__name__}, {log_in.__name__}: {name}")
    for log_in, name, end in ENDS
    for several in CHANGES.values()
    for change in several
    if change not in OF_PEOPLE or log_in in {password, browser}
]


def state_of(site: StoredSite) -> list[object]:
    """Everything that an operation could change, but for the login that asks."""
    listed = storage_of(site).listed(Selection())
    stored = [(one.credential, one.ended) for one in listed if one.credential.owner != "robot:terraform"]
    return [*stored, *sessions_of(site).listed(source="htpasswd", subject="ann")]


def test_all_operations_are_tried() -> None:
    """A new one has to be here, too."""
    changing = [one for one in OPERATIONS if one.method not in {"GET", "HEAD"}]
    assert set(CHANGES) == {one.name for one in changing}
    assert all(409 in one.problems for one in changing)


@pytest.mark.parametrize(("log_in", "end", "change"), EACH)
def test_a_login_that_ends_meanwhile(
    site: ApiSite,
    log_in: Callable[[ApiSite], Login],
    end: Callable[[Login], object],
    change: Callable[[ApiSite], Call],
) -> None:
    """Nothing is changed, and the audit log says why."""
    login = log_in(site)
    asked = change(site)
    before, database = state_of(site.stored), storage_of(site.stored).database
    after: list[object] = []

    def ended() -> None:
        end(login)
        after.extend(state_of(site.stored))

    meanwhile(database, "write", ended)
    answer = login.call(*asked)
    problem = answer.get_json()
    assert (answer.status_code, problem["code"], "secret" in problem) == (409, "conflict", False)
    assert "ended a moment ago; fix: log in again" in problem["detail"]
    assert (after, state_of(site.stored)) == (before, before)
    assert (site.audit[-1]["outcome"], site.audit[-1]["problem"]) == ("refused", problem["detail"])
    assert [event["outcome"] for event in site.audit] == ["refused"]


@pytest.mark.parametrize("log_in", [password, browser, robot, workload])
@pytest.mark.parametrize("change", [create_key, end_browser_login, end_logins, create_secret])
def test_the_logins_of_others_end_meanwhile(
    site: ApiSite, log_in: Callable[[ApiSite], Login], change: Callable[[ApiSite], Call]
) -> None:
    """That is no reason to refuse a change, however it is asked for."""
    login, asked = log_in(site), change(site)
    meanwhile(storage_of(site.stored).database, "write", lambda: stored(owner="zoë")(login))
    assert login.call(*asked).status_code < 300
    assert [event["outcome"] for event in site.audit] == ["done"]


@pytest.mark.parametrize(("log_in", "end"), [(log_in, end) for log_in, _, end in ENDS])
def test_a_repeated_answer(site: ApiSite, log_in: Callable[[ApiSite], Login], end: Callable[[Login], object]) -> None:
    """A secret that was made before the end is not sent again after it."""
    login, key = log_in(site), {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    first = login.call(*create_key(site), **key)
    assert site.stored.parts.storage is not None
    meanwhile(site.stored.parts.storage.answers, "begin", lambda: end(login))
    again = login.call(*create_key(site), **key)
    assert (first.status_code, again.status_code, again.get_json()["code"]) == (201, 409, "conflict")
