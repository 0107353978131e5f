"""The reporter of changes: an audit event for each version of policies, users, keys and configuration in force.

The event is written before the version is in force. An audit trail that takes no events holds nothing back: a rule that
was taken away must not stay in force because a disk is full, and no token leaves meanwhile, since its event could not
be written either. The event of the change waits, and is written when the trail takes events again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from tokenserver.config.changes.differences import changed_keys
from tokenserver.config.settings import Settings
from tokenserver.errors import AuditUnavailable, Fault
from tokenserver.exchange.audit_events import cut, shown, spell_time
from tokenserver.policy.model import PolicySet
from tokenserver.server.changes.checkout import checkout_of
from tokenserver.server.changes.facts import (
    differences,
    digest_of,
    digest_of_settings,
    listed_members,
    state_of,
)
from tokenserver.server.changes.journal import NOWHERE, ChangeJournal
from tokenserver.server.reload.changes import files_of_states
from tokenserver.server.reload.configuration import ConfigurationNotice
from tokenserver.server.reload.parts import PoliciesPart
from tokenserver.server.reload.watch import FileStates, ReloadablePart

logger = logging.getLogger("tokenserver.audit")

CHANGE = "change"
"""The value of `event`."""

MAX_WAITING = 1000
"""Changes that wait for the audit trail; of more, the oldest are lost."""

MAX_PROBLEMS = 20

LATE_SECONDS = 2.0
"""An event that is written later than this has the moment of the change in `at`."""

DEFER_SECONDS = 4.0
"""How long a worker that replaces another leaves it to the others to report a version that it has started with."""

IN_FORCE = "in_force"
REJECTED = "rejected"

_CONFIGURATION = "configuration"
_NOTICE = "configuration notice"

Facts = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A change that may have to be written; `facts` are looked up only if no other process has reported it."""

    subject: str
    state: bytes
    digest: str | None
    head: dict[str, Any]
    facts: Facts
    outcome: str
    moment: float


class KnownVersions(Protocol):
    """What was in force before this start, as far as something outlived it."""

    def before(self, subject: str) -> tuple[str, str] | None:
        """The last digest and since when it was in force (RFC 3339); None if that is not known."""

    def came(self, subject: str, digest: str, moment: float) -> None:
        """A version has come into force, at `moment` in seconds since the epoch. Must not wait."""


class ChangeReporter:
    """Reports the changes of one process. `record` writes an event, `journal` knows what other workers have reported.

    `versions` knows what was in force before the server started.
    `is_down` is whether the audit trail takes no events, as far as is known. `now`
    gives seconds since the epoch. No method raises.
    """

    def __init__(
        self,
        record: Callable[[dict[str, Any]], None],
        journal: ChangeJournal,
        *,
        is_down: Callable[[], bool],
        now: Callable[[], float] = time.time,
        versions: KnownVersions | None = None,
    ) -> None:
        self._record = record
        self._journal = journal
        self._is_down = is_down
        self._now = now
        self._versions = versions
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque(maxlen=MAX_WAITING)
        self._deferred: dict[str, tuple[float, _Waiting]] = {}
        self._positions: dict[str, int] = {}
        self._states: dict[str, bytes] = {}
        self._notice: ConfigurationNotice | None = None

    def started(self, part: ReloadablePart, value: object) -> None:
        """See `ReloadObserver`. Parts without a digest have no event at the start."""
        digest = digest_of(value)
        if digest is not None:
            self._start(_subject(part), state_of(value, {}), digest, _head(part, "start"), _Origin(part, value))

    def started_with(self, settings: Settings) -> None:
        """The process has started with these settings."""
        digest = digest_of_settings(settings)
        head = {"what": _CONFIGURATION, "cause": "start"}
        self._start(_CONFIGURATION, bytes.fromhex(digest), digest, head, dict)

    def going_live(
        self, part: ReloadablePart, before: object, after: object, files: tuple[FileStates, FileStates]
    ) -> None:
        """See `ReloadObserver`."""
        origin = _Origin(part, after)
        differing = files_of_states(*files)
        outcome = REJECTED if after is None else IN_FORCE  # shadow policies, of which none are compared then

        def facts() -> dict[str, Any]:
            return {**origin(), **differences(before, after, differing)}

        self._report(_subject(part), state_of(after, files[1]), digest_of(after), _head(part), facts, outcome)

    def rejected(self, part: ReloadablePart, value: object, fault: str, faults: Sequence[Fault]) -> None:
        """See `ReloadObserver`."""
        problems = [str(one) for one in faults] or [fault]
        origin = _Origin(part, None)

        def facts() -> dict[str, Any]:
            listed = [shown(cut(one)) for one in problems[:MAX_PROBLEMS]]
            omitted = len(problems) - MAX_PROBLEMS
            return {**origin(), "problems": listed, **({"problems_omitted": omitted} if omitted > 0 else {})}

        state = hashlib.sha256(f"rejected\n{fault}".encode("utf-8", "surrogateescape")).digest()
        self._report(_subject(part), state, digest_of(value), _head(part), facts, REJECTED)

    def reconfigured(self, before: Settings, after: Settings) -> None:
        """Other settings are about to be in force."""

        def facts() -> dict[str, Any]:
            return listed_members("keys", (change.key for change in changed_keys(before, after)))

        head = {"what": _CONFIGURATION, "cause": "reload"}
        digest = digest_of_settings(after)
        self._report(_CONFIGURATION, bytes.fromhex(digest), digest, head, facts, IN_FORCE)

    def noticed(self, notice: ConfigurationNotice, settings: Settings) -> None:
        """How the configuration file compares with the settings in force; call it once a second."""
        if notice == self._notice:
            return
        is_first, self._notice = self._notice is None, notice
        if is_first and notice.state == "in force":
            return
        outcome = {"in force": IN_FORCE, "restart": "waits", "rejected": REJECTED}[notice.state]
        head = {"what": _CONFIGURATION, "cause": "reload"}
        state = hashlib.sha256(json.dumps(notice).encode()).digest()
        problems = [notice.text] if notice.text else []
        digest = digest_of_settings(settings)
        self._report(_NOTICE, state, digest, head, lambda: listed_members("problems", problems), outcome)

    def retry(self) -> None:
        """Write what waits, if the audit trail takes events again; call it once a second."""
        with self._lock:
            for subject in [one for one, (due, _) in self._deferred.items() if due <= self._now()]:
                self._waiting.append(self._deferred.pop(subject)[1])
        if self._waiting:
            self._flush()

    def _start(self, subject: str, state: bytes, digest: str, head: dict[str, Any], facts: Facts) -> None:
        """Report what a worker has started with.

        One that replaces another may be the first to have a new version; the others know how it differs.
        """
        if not self._journal.has(subject):
            self._report(subject, state, digest, head, facts, IN_FORCE)
            return
        with self._lock:
            self._states[subject] = state
            now = self._now()
            self._deferred[subject] = now + DEFER_SECONDS, _Waiting(subject, state, digest, head, facts, IN_FORCE, now)

    def _report(  # noqa: PLR0917 - one event
        self, subject: str, state: bytes, digest: str | None, head: dict[str, Any], facts: Facts, outcome: str
    ) -> None:
        with self._lock:
            if self._states.get(subject) == state:
                return
            self._states[subject] = state
            if subject in self._deferred:
                self._waiting.append(self._deferred.pop(subject)[1])
            once = cache(facts)
            self._waiting.append(_Waiting(subject, state, digest, head, once, outcome, self._now()))
            if self._is_down():
                once()  # as it is now, and not when the event can be written
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            while self._waiting and not self._is_down():
                try:
                    self._write(self._waiting[0])
                except AuditUnavailable:
                    return
                except Exception as error:  # no change may stop the server; only the type is safe to log
                    logger.error("a change could not be reported: unexpected %s", type(error).__name__)  # noqa: TRY400 - as said
                self._waiting.popleft()

    def _write(self, change: _Waiting) -> None:
        subject, after = change.subject, self._positions.get(change.subject, NOWHERE)
        # Looked up beforehand, since it takes a while and other workers wait during the report.
        facts = {} if self._journal.is_known(subject, change.state, after) else change.facts()
        digest = None if change.digest is None else bytes.fromhex(change.digest)
        versions = None if subject == _NOTICE else self._versions
        is_first = change.head["cause"] == "start" and not self._journal.has(subject)
        stored = versions.before(subject) if versions is not None and is_first else None

        def write(before: bytes | None) -> None:
            if before is None and stored is not None and change.outcome == IN_FORCE:
                digests = {"old": stored[0], "old_at": stored[1], "new": change.digest}
            elif change.outcome == IN_FORCE:
                digests = {"old": None if before is None else before.hex(), "new": change.digest}
            else:
                digests = {"in_force": change.digest}
            known = {name: one for name, one in digests.items() if one is not None}
            late = {"at": spell_time(change.moment)} if self._now() - change.moment > LATE_SECONDS else {}
            self._record({"event": CHANGE, **change.head, **known, **facts, **late, "outcome": change.outcome})
            if versions is not None and change.outcome == IN_FORCE and change.digest is not None:
                versions.came(subject, change.digest, change.moment)

        self._positions[subject] = self._journal.report(subject, change.state, digest, after, write)


class _Origin:
    """Where a version comes from: the checkout of policies, as it is when the version goes live or is rejected.

    The value is None if the files could not be loaded.
    """

    def __init__(self, part: ReloadablePart, value: object) -> None:
        self._part = part
        self._value = value

    def __call__(self) -> dict[str, Any]:
        if isinstance(self._part, PoliciesPart) and (self._value is None or isinstance(self._value, PolicySet)):
            texts = None if self._value is None else self._value.texts
            return dict(checkout_of(self._part.folder, texts).members)
        return {}


def _subject(part: ReloadablePart) -> str:
    return f"{part.kind}/{part.name}"


def _head(part: ReloadablePart, cause: str = "reload") -> dict[str, Any]:
    return {"what": part.kind, **({"name": part.name} if part.name else {}), "cause": cause}
