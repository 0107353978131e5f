"""The reporter of changes: what its events say, and what becomes of them while the audit trail takes none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from configuration import MINIMAL, folder, load

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import HtpasswdEntry
from tokenserver.credentials import Secret
from tokenserver.errors import AuditUnavailable, Fault
from tokenserver.server.changes.facts import MAX_NAMES
from tokenserver.server.changes.journal import ChangeJournal
from tokenserver.server.changes.reporter import DEFER_SECONDS, LATE_SECONDS, MAX_PROBLEMS, ChangeReporter
from tokenserver.server.reload.configuration import IN_FORCE, ConfigurationNotice
from tokenserver.server.reload.parts import FilesPart, PoliciesPart

__all__ = ["folder"]

PART = FilesPart("users", "local", lambda _: None, list)
LDAP = FilesPart("users", "corp", lambda _: None, list)
NOTHING: tuple[dict[str, tuple[object, ...]], dict[str, tuple[object, ...]]] = ({}, {})
FILE = (1, 1, 1, 1, 1, 1)


def users(*names: str, digest: str = "a", mark: str = ".") -> Htpasswd:
    entries = [HtpasswdEntry(name, 1, Secret(f"$2b$04${'.' * 52}{mark}")) for name in names]
    return Htpasswd("local", "users", entries, digest=digest * 64)


class Versions:
    """What outlives a start: digests by subject, all of the same moment; `asked` counts the questions."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, float]] = {}
        self.asked: list[str] = []

    def before(self, subject: str) -> tuple[str, str] | None:
        self.asked.append(subject)
        return (self.kept[subject][0], "2027-01-31T12:00:00.000Z") if subject in self.kept else None

    def came(self, subject: str, digest: str, moment: float) -> None:
        self.kept[subject] = (digest, moment)


@dataclass
class Server:
    """The workers of a server, and what they write."""

    events: list[dict[str, Any]] = field(default_factory=list)
    journal: ChangeJournal = field(default_factory=lambda: ChangeJournal(shared=False))
    is_full: bool = False
    is_known_down: bool = False
    time: float = 1000.0
    versions: Versions | None = None

    def worker(self) -> ChangeReporter:
        return ChangeReporter(
            self.record,
            self.journal,
            is_down=lambda: self.is_known_down,
            now=lambda: self.time,
            versions=self.versions,
        )

    def record(self, event: dict[str, Any]) -> None:
        if self.is_full:
            raise AuditUnavailable("full")
        self.events.append(event)


def test_a_change_of_users() -> None:
    """Old and new digest, and who came, went or changed; of two workers one writes it."""
    server = Server()
    one, two = server.worker(), server.worker()
    before, after = users("ann", "bob"), users("ann", "eve", digest="b", mark="O")
    for worker in (one, two):
        worker.started(PART, before)
    for worker in (two, one):
        worker.going_live(PART, before, after, NOTHING)
    head = {"event": "change", "what": "users", "name": "local"}
    names = {"added": ["eve"], "removed": ["bob"], "changed": ["ann"]}
    assert server.events == [
        {**head, "cause": "start", "new": "a" * 64, "outcome": "in_force"},
        {**head, "cause": "reload", "old": "a" * 64, "new": "b" * 64, **names, "outcome": "in_force"},
    ]


def test_many_names() -> None:
    """A list has an end, and says how many are missing."""
    server = Server()
    worker = server.worker()
    worker.going_live(PART, users(), users(*(f"u{n:03}" for n in range(MAX_NAMES + 5)), digest="b"), NOTHING)
    (event,) = server.events
    assert (len(event["added"]), event["added_omitted"]) == (MAX_NAMES, 5)


def test_files_without_a_digest() -> None:
    """A password of a directory has none, since it could be guessed; the file is named, and the start is silent."""
    server = Server()
    worker = server.worker()
    worker.started(LDAP, object())
    worker.going_live(LDAP, object(), object(), ({"/e/pw": FILE}, {"/e/pw": (*FILE[:5], 2)}))
    head = {"event": "change", "what": "users", "name": "corp", "cause": "reload"}
    assert server.events == [{**head, "changed": ["pw"], "outcome": "in_force"}]


def test_rejected_and_corrected() -> None:
    """The faults, and what stays in force; going back to that is an event, too. The same fault is reported once."""
    server = Server()
    worker = server.worker()
    before = users("ann")
    worker.started(PART, before)
    for _ in range(2):
        worker.rejected(PART, before, "text", [Fault("users", 3, "", "is wrong")] * (MAX_PROBLEMS + 1))
    worker.going_live(PART, before, before, NOTHING)
    worker.going_live(PART, before, before, NOTHING)
    _, rejected, corrected = server.events
    assert (rejected["outcome"], rejected["in_force"], rejected["problems_omitted"]) == ("rejected", "a" * 64, 1)
    assert rejected["problems"] == ["users:3: is wrong"] * MAX_PROBLEMS
    assert (corrected["outcome"], corrected["old"], corrected["new"]) == ("in_force", "a" * 64, "a" * 64)


def test_a_rejected_commit(tmp_path: Path) -> None:
    """The event has the commit that was rejected, and says nothing of its files."""
    revision = "0123456789abcdef0123456789abcdef01234567"
    (tmp_path / ".worktrees" / revision / "policies").mkdir(parents=True)
    (tmp_path / "current").symlink_to(f".worktrees/{revision}")
    part = PoliciesPart("policies", tmp_path / "current" / "policies", services=frozenset())
    server = Server()
    server.worker().rejected(part, users("ann"), "text", [Fault("p.yaml", 3, "", "is wrong")])
    (event,) = server.events
    assert (event["outcome"], event["revision"], "clean" in event) == ("rejected", revision, False)
    assert event["problems"] == ["p.yaml:3: is wrong"]


def test_a_fault_that_quotes_a_key_or_token() -> None:
    """A secret that was typed into a file does not get into the trail."""
    server = Server()
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln"
    server.worker().rejected(PART, users("ann"), f"{token} is no user", [])
    assert "eyJ" not in str(server.events)
    assert server.events[0]["problems"] == ["<JWT>"]


def test_an_audit_trail_that_is_full() -> None:
    """No call fails; what waits is written in its order when there is room, with the moment of the change."""
    server = Server(is_full=True)
    worker = server.worker()
    worker.started(PART, users("ann"))
    worker.going_live(PART, users("ann"), users("eve", digest="b"), NOTHING)
    worker.retry()
    assert server.events == []
    server.is_full, server.time = False, server.time + LATE_SECONDS + 1
    worker.retry()
    assert [(event["new"], event["at"]) for event in server.events] == [
        ("a" * 64, "1970-01-01T00:16:40.000Z"),
        ("b" * 64, "1970-01-01T00:16:40.000Z"),
    ]
    worker.retry()
    assert len(server.events) == 2


def test_an_outage_that_is_known() -> None:
    """Nothing is tried while the trail is known to take nothing, since each attempt would count as a lost event."""
    server = Server(is_known_down=True)
    worker = server.worker()
    worker.started(PART, users("ann"))
    worker.retry()
    assert server.events == []
    server.is_known_down = False
    worker.retry()
    assert [event["new"] for event in server.events] == ["a" * 64]


def test_one_worker_writes_after_an_outage() -> None:
    """All workers wait with the same change; it is written once, whichever of them is still there."""
    server = Server(is_full=True)
    workers = [server.worker() for _ in range(3)]
    for worker in workers:
        worker.started(PART, users("ann"))
    server.is_full = False
    for worker in workers[1:]:
        worker.retry()
    assert len(server.events) == 1


def test_a_worker_that_replaces_another() -> None:
    """It leaves a new version to the others, who know how it differs; if there is no other, it reports it itself."""
    server = Server()
    before, after = users("ann"), users("ann", "eve", digest="b")
    old, new = server.worker(), server.worker()
    old.started(PART, before)
    new.started(PART, after)
    old.going_live(PART, before, after, NOTHING)
    server.time += DEFER_SECONDS
    new.retry()
    assert [event.get("added") for event in server.events] == [None, ["eve"]]
    last = server.worker()
    last.started(PART, users("zoe", digest="c"))
    last.retry()
    assert len(server.events) == 2
    server.time += DEFER_SECONDS
    last.retry()
    assert (server.events[-1]["cause"], server.events[-1]["old"], server.events[-1]["new"]) == (
        "start",
        "b" * 64,
        "c" * 64,
    )


def test_a_change_right_after_the_start_of_a_successor() -> None:
    """What it has started with comes first."""
    server = Server()
    server.worker().started(PART, users("ann"))
    new = server.worker()
    new.started(PART, users("bob", digest="b"))
    new.going_live(PART, users("bob", digest="b"), users("eve", digest="c"), NOTHING)
    assert [event["new"][0] for event in server.events] == ["a", "b", "c"]


def test_policies_that_are_only_compared() -> None:
    """Shadow policies with faults are not compared any more, which is an event of its own."""
    server = Server()
    worker = server.worker()
    shadow = FilesPart("shadow_policies", "", lambda _: None, list)
    worker.going_live(shadow, object(), None, NOTHING)
    assert server.events == [{"event": "change", "what": "shadow_policies", "cause": "reload", "outcome": "rejected"}]


def test_the_configuration(folder: Path) -> None:
    """The keys by name, and both digests; of two workers one writes it."""
    server = Server()
    worker, other = server.worker(), server.worker()
    before = load(folder, MINIMAL)
    after = before.model_copy(update={"anonymous": not before.anonymous})
    worker.started_with(before)
    for one in (worker, other):
        one.reconfigured(before, after)
    _, event = server.events
    assert (event["what"], event["keys"]) == ("configuration", ["anonymous"])
    assert event["old"] != event["new"]


@pytest.mark.parametrize(
    ("notice", "outcome"),
    [
        pytest.param(ConfigurationNotice("rejected", "is faulty"), "rejected", id="a faulty file"),
        pytest.param(ConfigurationNotice("restart", "has changed (issuer)"), "waits", id="what waits for a restart"),
    ],
)
def test_a_notice(folder: Path, notice: ConfigurationNotice, outcome: str) -> None:
    """What the file says is not in force: one event for all workers, and one when it is as before."""
    server = Server()
    settings = load(folder, MINIMAL)
    workers = [server.worker(), server.worker()]
    for current in (IN_FORCE, notice, notice, IN_FORCE):
        for worker in workers:
            worker.noticed(current, settings)
    first, second = server.events
    assert (first["outcome"], first["problems"], second["outcome"]) == (outcome, [notice.text], "in_force")
    assert first["in_force"] == second["new"]


def test_what_changed_while_no_server_ran() -> None:
    """The event of a start has the digest that was in force last, and since when; that of the first start has none."""
    versions = Versions()
    for digest, old in (("a", {}), ("a", {"old": "a" * 64}), ("b", {"old": "a" * 64}), ("c", {"old": "b" * 64})):
        server = Server(versions=versions)
        one, two = server.worker(), server.worker()
        for worker in (one, two):
            worker.started(PART, users("ann", digest=digest))
        since = {"old_at": "2027-01-31T12:00:00.000Z"} if old else {}
        head = {"event": "change", "what": "users", "name": "local", "cause": "start"}
        assert server.events == [{**head, **old, **since, "new": digest * 64, "outcome": "in_force"}]
        assert versions.kept == {"users/local": (digest * 64, 1000.0)}
    assert versions.asked == ["users/local"] * 4


def test_what_changes_while_it_runs_is_kept() -> None:
    """Once it is written; what was rejected, and what the configuration file says meanwhile, is not."""
    versions = Versions()
    server = Server(versions=versions)
    worker = server.worker()
    before, after = users("ann"), users("bob", digest="b")
    worker.started(PART, before)
    server.is_full, server.time = True, 1005.0
    worker.going_live(PART, before, after, NOTHING)
    assert versions.kept == {"users/local": ("a" * 64, 1000.0)}
    server.is_full, server.time = False, 1050.0
    worker.retry()
    worker.rejected(PART, after, "broken", [])
    assert versions.kept == {"users/local": ("b" * 64, 1005.0)}
    assert [event.get("old") for event in server.events] == [None, "a" * 64, None]
