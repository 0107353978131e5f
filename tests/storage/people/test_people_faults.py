"""Faults under people, browser sessions, logins in progress and what is used once: each statement fails once.

Nothing is half done, and the same change works immediately afterwards. For credentials: storage/test_faults.py.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from failing_statements import Failing, error_of
from sqlalchemy import Connection, select
from stored_credentials import NOW, STATE_KEYS, Clock, new_database, store_of

from tokenserver.credentials import Secret
from tokenserver.identity import Kind
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.database import Database
from tokenserver.storage.people import browser_sessions, openid_people
from tokenserver.storage.people.browser_sessions import BrowserSession, BrowserSessions
from tokenserver.storage.people.code_guesses import CodeGuesses
from tokenserver.storage.people.device_flow import DeviceApproval, DeviceCodes, DeviceRequest
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.people.flow_limits import LIFETIME_SECONDS
from tokenserver.storage.people.flows import Flows
from tokenserver.storage.people.openid_people import OpenIdPeople
from tokenserver.storage.people.openid_person import OpenIdPerson
from tokenserver.storage.people.remembered_answers import RememberedAnswers
from tokenserver.storage.people.seen_tokens import SeenTokens
from tokenserver.storage.people.used_forms import UsedForms
from tokenserver.storage.tables import metadata
from tokenserver.storage.upkeep.restoring import end_restored

APPROVAL = DeviceApproval("sso", "ann", Kind.OIDC, b"p", 0)
LOGIN: dict[str, Any] = {"subject": "ann", "groups": frozenset({"web"}), "upstream": Secret("refresh")}
ANN: dict[str, Any] = {"source": "sso", "subject": "ann"}


class World:
    """A database in which everything is there once."""

    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self._open(database)
        self.person: OpenIdPerson = self.people.log_in("sso", sub="1", **LOGIN)
        self.cookie: Secret
        self.session: BrowserSession
        self.cookie, self.session = self._session()
        self.codes: DeviceCodes = self._codes()
        self.guess: tuple[bytes, ...] = self.guesses.begin({"session": 5})
        self.answers.begin(b"r", b"c")

    def in_copy(self, database: Database) -> World:
        """The same in a copy of the database, as another process finds it."""
        other = copy(self)
        other.clock = Clock(self.clock.now)
        other._open(database)
        return other

    def _open(self, database: Database) -> None:
        self.database = database
        self.people = OpenIdPeople(database, STATE_KEYS, now=self.clock)
        self.sessions = BrowserSessions(database, STATE_KEYS, now=self.clock)
        self.flows = Flows(database, Boxes(STATE_KEYS), now=self.clock)
        self.answers = RememberedAnswers(database, STATE_KEYS, now=self.clock)
        self.guesses = CodeGuesses(database, now=self.clock)
        self.seen = SeenTokens(database)
        self.forms = UsedForms(self.seen, now=self.clock)

    def approved(self) -> None:
        """Approve the login on a device."""
        assert self.flows.approve(self.codes.flow, APPROVAL)
        found = self.flows.by_device_code(self.codes.device_code)
        assert found is not None
        self.codes = self.codes._replace(flow=found)

    def taken(self) -> None:
        """Give the device what was approved."""
        self.approved()
        assert self.flows.take(self.codes.flow)

    def _session(self) -> tuple[Secret, BrowserSession]:
        return self.sessions.begin(kind=Kind.OIDC, sub="1", sid="s", verified=self.database.revision(), **ANN)

    def _codes(self) -> DeviceCodes:
        return self.flows.begin(DeviceRequest("tokenserver-helper", "192.0.2.1", "", ("reg",)), place="p")

    def later(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.now += seconds

    def content(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table but the revision, which a change that fails may have used up."""
        return self.database.read(_rows)


def _rows(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    tables = {name: table for name, table in metadata.tables.items() if name != "revision"}
    return {name: sorted(map(tuple, connection.execute(select(table))), key=repr) for name, table in tables.items()}


Change = Callable[[World], object]


def nothing(_: World) -> None:
    """No preparation."""


CHANGES: dict[str, tuple[Change, Change]] = {
    "log in": (nothing, lambda one: one.people.log_in("sso", sub="2", **{**LOGIN, "subject": "bob"})),
    "log in again": (lambda one: one.later(9), lambda one: one.people.log_in("sso", sub="1", **LOGIN)),
    "claim": (nothing, lambda one: one.people.claim(one.person)),
    "answered": (
        lambda one: one.later(9),
        lambda one: one.people.answered(one.person, frozenset({"ops"}), Secret("r2")),
    ),
    "end a person": (nothing, lambda one: one.people.end(one.person)),
    "unpin": (nothing, lambda one: one.people.unpin("sso", "ann")),
    "begin a session": (nothing, World._session),
    "use a session": (lambda one: one.later(90), lambda one: one.sessions.find(one.cookie)),
    "end a session": (nothing, lambda one: one.sessions.end(one.session.id, **ANN)),
    "end all sessions": (nothing, lambda one: one.sessions.end_all(Whose("sso", "subject", "ann"))),
    "end all sessions by sid": (nothing, lambda one: one.sessions.end_all(Whose("sso", "sid", "s"))),
    "begin on a device": (nothing, World._codes),
    "approve": (nothing, lambda one: one.flows.approve(one.codes.flow, APPROVAL)),
    "deny": (nothing, lambda one: one.flows.deny(one.codes.flow)),
    "take": (World.approved, lambda one: one.flows.take(one.codes.flow)),
    "give back": (World.taken, lambda one: one.flows.give_back(one.codes.flow)),
    "forget": (lambda one: one.later(LIFETIME_SECONDS), lambda one: one.flows.forget(one.codes.flow)),
    "ask": (nothing, lambda one: one.flows.is_early(one.codes.flow)),
    "guess": (nothing, lambda one: one.guesses.begin({"session": 5, "address": 50})),
    "guess right": (nothing, lambda one: one.guesses.was_right(one.guess)),
    "begin a request": (nothing, lambda one: one.answers.begin(b"r2", b"c")),
    "keep an answer": (nothing, lambda one: one.answers.kept(b"r", b"c", b"answer")),
    "drop a request": (nothing, lambda one: one.answers.dropped(b"r")),
    "use a token": (nothing, lambda one: one.seen.is_new("i", "j", NOW + 9)),
    "use a form": (nothing, lambda one: one.forms.use("form")),
    "end what was restored": (nothing, lambda one: end_restored(store_of(one.database), logs=[], keep=False, by="ops")),
}
"""What comes before, and the change itself."""


@pytest.mark.parametrize("name", CHANGES)
def test_every_statement_fails_once(name: str, tmp_path: Path) -> None:
    """The caller gets the one error, no table has changed, and the same change works immediately afterwards."""
    before, change = CHANGES[name]
    first = World(new_database(tmp_path))
    before(first)
    first.database.close()
    number = 0
    while True:
        world = first.in_copy(new_database(tmp_path, f"{number}.db", tmp_path / "state.db"))
        content, failing = world.content(), Failing(world.database.engine)
        failing.at = number
        error = error_of(partial(change, world))
        failing.at = -1
        if error is None:
            break
        assert "interrupted" in error.reason
        assert world.content() == content
        change(world)
        assert world.content() != content
        world.database.close()
        number += 1
    world.database.close()
    assert number >= 1


NOT_SEALED = {
    "people": {
        "upstream": "a box, which opens for this person alone",
        "claimed": "when somebody began to ask the provider: others ask a minute later",
        "rev": "orders changes",
    },
    "browser_sessions": {
        "made_from": "is shown",
        "client": "is shown",
        "seen": "the end of a session that is not used; its absolute end is sealed",
        "state": "ends it; as with credentials, a row that is put back as it was works until its end",
    },
}
"""What writers to the database can change without breaking a seal, and why that grants nothing."""


@pytest.mark.parametrize(
    ("table", "sealed"), [("people", openid_people._SEALED), ("browser_sessions", browser_sessions._SEALED)]
)
def test_every_column_is_sealed_or_grants_nothing(table: str, sealed: tuple[str, ...]) -> None:
    """A new column is one or the other; `pepper` names the key of the seal."""
    columns = {column.name for column in metadata.tables[table].columns}
    assert columns == {*sealed, *NOT_SEALED[table], "pepper", "seal"}
    assert not set(sealed) & NOT_SEALED[table].keys()
