"""Races between logins and what ends all logins of a person, for every database: which ends, and what logins store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from stored_credentials import DAY, NOW, PLAIN, STATE_KEYS, Clock, store_of

from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import OutdatedLogin
from tokenserver.identity import Kind, Sort
from tokenserver.storage.changes import ActingLogin
from tokenserver.storage.credential import StoredCredential, WorkloadProof
from tokenserver.storage.database import Database
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import LOGINS, DeclaredSessions, Selection

REFRESH = replace(PLAIN, form=AccessKeyForm.REFRESH)


def sessions_of(database: Database) -> BrowserSessions:
    """The browser sessions in it."""
    return BrowserSessions(database, STATE_KEYS, now=Clock())


def _ended(selection: Selection) -> Callable[[Database], object]:
    return lambda database: store_of(database).end(selection, by="root", reason="lost")


def _logged_out(whose: Whose) -> Callable[[Database], object]:
    return lambda database: sessions_of(database).end_all(whose)


ENDS: dict[str, Callable[[Database], object]] = {
    "a person": _ended(Selection(owner="ann", source="local")),
    "a person's refresh tokens": _ended(
        Selection(owner="ann", source="local", forms=frozenset({AccessKeyForm.REFRESH}))
    ),
    "a name in any source": _ended(Selection(owner="ann")),
    "all before a moment": _ended(Selection(before=NOW + DAY)),
    "everything": _ended(Selection()),
    "browser sessions": _logged_out(Whose("local", "subject", "ann")),
    "browser sessions of any source": _logged_out(Whose("", "subject", "ann")),
}
"""What ends all logins of ann of the source local, also those in flight."""

OTHER_ENDS: dict[str, Callable[[Database], object]] = {
    "somebody else": _ended(Selection(owner="bob", source="local")),
    "another source": _ended(Selection(owner="ann", source="corp")),
    "one credential": _ended(Selection(ids=frozenset({"0" * 12}))),
    "a state key": _ended(Selection(state_key=7)),
    "a session of a provider": _logged_out(Whose("local", "sid", "other")),
    "a person of a provider": _logged_out(Whose("local", "sub", "ann")),
}
"""What is none of ann's business."""


def rotated(database: Database, verified: int | None) -> None:
    """A successor of a key of ann's."""
    store = store_of(database)
    key, _ = store.create(PLAIN, at_most=99)
    store.rotate(key.id, ends=NOW + DAY, overlap=0, by="ann", verified=verified)


STORED: dict[str, Callable[[Database, int | None], object]] = {
    "a refresh token": lambda database, verified: store_of(database).create_in_place(
        REFRESH, at_most=1, by="server", reason="limit", verified=verified
    ),
    "an access key": lambda database, verified: store_of(database).create(PLAIN, at_most=99, verified=verified),
    "a newer access key": rotated,
    "a browser session": lambda database, verified: sessions_of(database).begin(
        source="local", subject="ann", kind=Kind.PASSWORD, sub="1", sid="s", verified=verified
    ),
}
"""What a login stores."""


SESSION = replace(
    PLAIN,
    form=AccessKeyForm.SESSION,
    owner="workload:ci:repo:o/web",
    sort=Sort.WORKLOAD,
    source="ci",
    claims=frozenset({("repository_id", "74")}),
)


def begin_session(database: Database, verified: int | None, *, issued: int = NOW + 60) -> object:
    """A session of a workload, which is the declared ones `web` and `all`, by a token that was made at this moment."""
    proof = WorkloadProof(issued, ("all", "web"))
    return store_of(database).create_in_place(
        SESSION, at_most=9, by="server", reason="limit", verified=verified, proof=proof
    )


def _of_web(credential: StoredCredential) -> bool:
    return credential.claims is not None and ("repository_id", "74") in credential.claims


WEB = Selection(forms=frozenset({AccessKeyForm.SESSION}), workload=DeclaredSessions("web", _of_web))
"""What `logins revoke --workload web` ends."""

SESSION_ENDS: dict[str, Callable[[Database], object]] = {
    "a subject": _ended(Selection(owner=SESSION.owner, source="ci")),
    "a subject of any source": _ended(Selection(owner=SESSION.owner, forms=LOGINS)),
    "a declared workload": _ended(WEB),
    "all before a moment": _ended(Selection(before=NOW + DAY, forms=LOGINS)),
    "all in browsers, too": lambda database: sessions_of(database).end_everybody(before=NOW + DAY),
    "everything": _ended(Selection()),
}
"""What ends all logins of the workload, also those in flight."""

OTHER_SESSION_ENDS: dict[str, Callable[[Database], object]] = {
    "another workload": _ended(Selection(workload=DeclaredSessions("api", lambda _: False))),
    "a person": _ended(Selection(owner="ann", source="local")),
    "another subject": _ended(Selection(owner="workload:ci:repo:o/api", source="ci")),
    "one session": _ended(Selection(ids=frozenset({"0" * 12}))),
    "a workload as a person": _ended(Selection(owner="web", source="")),
}
"""What is none of its business."""


def is_refused(store: Callable[[Database, int | None], object], database: Database, verified: int | None) -> bool:
    """Whether nothing is stored for a login that was verified at this revision."""
    try:
        store(database, verified)
    except OutdatedLogin as error:
        return error.revision <= database.revision()
    return False


def race(
    first: Database, second: Database, end: Selection, store: Callable[[Database, int | None], object]
) -> tuple[bool, bool]:
    """A login that is verified before all ends, and stored while the transaction of the end is open.

    Whether it waited for that transaction, and whether it was refused.
    """
    return _race(lambda hold: store_of(first).end(end, by="root", reason="lost", recorded=hold), second, store)


def _session_of_root(database: Database) -> ActingLogin:
    cookie, session = sessions_of(database).begin(source="local", subject="root", kind=Kind.PASSWORD)
    assert sessions_of(database).find(cookie) is not None
    return ActingLogin("local", "root", database.revision(), session=session.id)


def _secret_of_robot(database: Database) -> ActingLogin:
    secret = replace(PLAIN, form=AccessKeyForm.ROBOT, owner="robot:terraform", sort=Sort.ROBOT, source="")
    key, _ = store_of(database).create(secret, at_most=1)
    return ActingLogin("", "robot:terraform", database.revision(), credential=key.id)


def _end_session(database: Database, login: ActingLogin, hold: Callable[..., None]) -> object:
    return sessions_of(database).end(login.session, source="local", subject="root", recorded=hold)


def _end_credentials(database: Database, selection: Selection, hold: Callable[..., None]) -> object:
    return store_of(database).end(selection, by="root", reason="lost", recorded=hold)


ACTORS: dict[str, tuple[Callable[[Database], ActingLogin], Callable[[Database, ActingLogin, Any], object]]] = {
    "a browser session": (_session_of_root, _end_session),
    "all logins": (_session_of_root, lambda one, _, hold: _end_credentials(one, Selection(owner="root"), hold)),
    "a secret": (
        _secret_of_robot,
        lambda one, login, hold: _end_credentials(one, Selection(ids=frozenset({login.credential})), hold),
    ),
}
"""How an administrator logs in who makes a key for ann, and what ends that."""


def actor_race(name: str, first: Database, second: Database) -> tuple[bool, bool]:
    """As `race`, for a key that one of `ACTORS` makes while the transaction is open that ends its own login."""
    log_in, end = ACTORS[name]
    login = log_in(first)

    def make(database: Database, _: int | None) -> object:
        return store_of(database).on_behalf_of(login).create(PLAIN, at_most=9)

    assert not is_refused(make, second, None)
    return _race(lambda hold: end(first, login, hold), second, make)


def _race(
    end: Callable[[Callable[..., None]], object],
    second: Database,
    store: Callable[[Database, int | None], object],
) -> tuple[bool, bool]:
    verified, is_open, goes_on = second.revision(), threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        is_open.set()
        assert goes_on.wait(20)

    with ThreadPoolExecutor(2) as pool:
        ending = pool.submit(end, hold)
        assert is_open.wait(20)
        storing = pool.submit(is_refused, store, second, verified)
        has_waited = not _is_done_soon(storing)
        goes_on.set()
        ending.result()
        return has_waited, storing.result()


def _is_done_soon(storing: Any) -> bool:
    try:
        storing.result(timeout=0.2)
    except TimeoutError:
        return False
    return True
