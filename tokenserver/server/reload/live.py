"""Hot reload: the live snapshot, replaced as a whole when one of its parts has changed.

Users, keys and policies are watched and loaded separately, each kind in its own thread, so that none waits for another.
Each snapshot is composed of the latest good version of every part: a part that does not load keeps its previous
version, and the other parts still go live.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.policy.loading.gating import note_lines
from tokenserver.server.reload.changes import describe_change
from tokenserver.server.reload.observer import UNOBSERVED, ReloadObserver
from tokenserver.server.reload.retiring import retire_all
from tokenserver.server.reload.watch import (
    UNREST_SECONDS,
    Loaded,
    PartWatcher,
    ReloadablePart,
    ReloadDelay,
    describe,
    first_values,
)

logger = logging.getLogger("tokenserver.live")

Key = tuple[str, str]
Values = Mapping[Key, object]
"""The loaded value of each part, by its kind and name."""


class SnapshotComposer(Protocol):
    """Composes snapshots; see `snapshots.Composer`."""

    def faults(self, values: Values) -> list[Fault]:
        """Conflicts between parts; some parts may be missing."""
        ...

    def together(self, newest: Values, live: Values) -> tuple[Values, list[Fault]]:
        """As many of the newest parts as can go live together, the live ones for the rest, and the conflicts."""
        ...

    def snapshot(self, values: Values) -> Snapshot:
        """The snapshot of these parts."""
        ...


class LiveSnapshot:
    """The current snapshot, composed of the parts by `composer`. `monotonic` is in seconds.

    A line of the log is written if `is_first(line)`, since the workers of a server reload or reject the same change.
    `observer` is told of each version before it goes live.

    Raises:
        LoadError: every fault of every part, since at the start there is no previous version to keep.
    """

    def __init__(
        self,
        parts: Iterable[ReloadablePart],
        composer: SnapshotComposer,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        is_first: Callable[[str], bool] = lambda _: True,
        observer: ReloadObserver = UNOBSERVED,
    ) -> None:
        self._is_first = is_first
        self._monotonic = monotonic
        self._watches = tuple(PartWatcher(part, monotonic=monotonic, is_first=is_first) for part in parts)
        self._composer = composer
        self._observer = observer
        self._lock = threading.Lock()
        self._reported: dict[tuple[Key, str], float] = {}
        self._refusal: str | None = None
        self._refused: tuple[Fault, ...] = ()
        self._refusals = 0
        values, faults = first_values(self._watches)
        faults += composer.faults(values)
        if faults:
            raise LoadError(faults)
        self._newest: Values = values
        self._values: Values = values
        self._snapshot = composer.snapshot(values)
        self.reloads = 0
        """Number of changes that went live since the start."""

    def snapshot(self) -> Snapshot:
        """The current snapshot; an exchange fetches it once and uses it throughout."""
        return self._snapshot

    def announce(self) -> None:
        """Tell the observer of the versions that the process has started with."""
        for watch in self._watches:
            self._observer.started(watch.part, self._values[_key(watch)])

    def policy(self) -> str:
        """The digest of the live policies."""
        return self._snapshot.policies.digest

    @property
    def reload_failures(self) -> int:
        """Number of changes that were rejected since the start."""
        return self._refusals + sum(watch.failures for watch in self._watches)

    @property
    def fault(self) -> str | None:
        """Why the current files were rejected; None if the snapshot reflects them."""
        found = [*(watch.fault for watch in self._watches), self._refusal]
        return "\n".join(fault for fault in found if fault is not None) or None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults behind `fault` that have a place in a file."""
        return (*(fault for watch in self._watches for fault in watch.faults), *self._refused)

    def is_refused(self, kind: str) -> bool:
        """Whether the current files of this kind were rejected."""
        return any(watch.fault is not None for watch in self._watches if watch.part.kind == kind)

    def reconfigure(
        self,
        parts: Iterable[ReloadablePart],
        composer: SnapshotComposer,
        *,
        kept: Collection[Key],
        quiesce: Callable[[], None] = lambda: None,
    ) -> None:
        """Replace the parts and the composer, and the snapshot with them; parts in `kept` stay as they are loaded.

        Only the others are loaded. `quiesce` is called when nothing can fail any more, just before the snapshot is
        replaced. Threads that watch keep watching, whatever the parts are by then.

        Raises:
            LoadError: every fault of the new parts; nothing has changed then.
        """
        replaced = self._held()
        current = {(watch.part.kind, watch.part.name): watch for watch in self._watches}
        offered = {(part.kind, part.name): part for part in parts}
        watches = {
            key: current[key]
            if key in kept and key in current
            else PartWatcher(part, monotonic=self._monotonic, is_first=self._is_first)
            for key, part in offered.items()
        }
        loaded, faults = first_values([watch for key, watch in watches.items() if watch is not current.get(key)])
        with self._lock:
            stay = [key for key, watch in watches.items() if watch is current.get(key)]
            values = {**loaded, **{key: self._values[key] for key in stay}}
            faults += composer.faults(values)
            if faults:
                raise LoadError(faults)
            newest = {**loaded, **{key: self._newest[key] for key in stay}}
            chosen, refused = composer.together(newest, values)
            snapshot = composer.snapshot(chosen)
            quiesce()
            self._report_live(watches.values(), chosen)
            self._snapshot, self._values = snapshot, chosen
            gone = [watch for key, watch in current.items() if watch is not watches.get(key)]
            self._refusals += sum(watch.failures for watch in gone)
            if not refused:
                self._refused, self._refusal = (), None
            self._watches, self._composer, self._newest = tuple(watches.values()), composer, newest
            self.reloads += 1
        retire_all(replaced, but=self._held())

    def retire(self) -> None:
        """Release what the parts hold, such as processes, at the end of the server."""
        retire_all(self._held())

    def _held(self) -> list[object]:
        return [*self._values.values(), *self._newest.values()]

    def look(self) -> bool:
        """Check all files once; true if a new snapshot went live."""
        return self._look_at(self._watches)

    def watch(self, stop: threading.Event, *, every: float = 0.5) -> None:
        """Check the files every `every` seconds until `stop` is set, with one thread for each kind. Blocks."""
        threads: dict[str, threading.Thread] = {}
        while True:
            for kind in {watch.part.kind for watch in self._watches} - threads.keys():
                following = (kind, stop, every)
                threads[kind] = threading.Thread(target=self._follow, args=following, name=f"watch-{kind}", daemon=True)
                threads[kind].start()
            if stop.wait(every):
                break
            self.report_delays()
        for thread in threads.values():
            thread.join()

    @property
    def delays(self) -> dict[tuple[str, str], ReloadDelay]:
        """The longest current delay by kind and state (changing or loading), however short."""
        found: dict[tuple[str, str], ReloadDelay] = {}
        for watch in self._watches:
            for delay in watch.delays:
                at = (watch.part.kind, delay.state)
                found[at] = max(found.get(at, delay), delay, key=lambda one: one.seconds)
        return found

    def report_delays(self) -> None:
        """Log each delay once when it exceeds `UNREST_SECONDS`, and once when it ends."""
        for watch in self._watches:
            running = {delay.state: delay for delay in watch.delays if delay.seconds >= UNREST_SECONDS}
            for state in ("changing", "loading"):
                key = ((watch.part.kind, watch.part.name), state)
                delay, before = running.get(state), self._reported.pop(key, None)
                if delay is not None:
                    self._reported[key] = delay.seconds
                    if before is None:
                        self._log(logging.WARNING, f"{watch.part.kind}: {describe(delay)}", f"{key} begins")
                elif before is not None:
                    line = f"{watch.part.kind}: no longer {state}, after {before:.0f} s"
                    self._log(logging.INFO, line, f"{key} ends")

    def _follow(self, kind: str, stop: threading.Event, every: float) -> None:
        while not stop.wait(every):
            self._look_at([watch for watch in self._watches if watch.part.kind == kind])

    def _look_at(self, watches: Iterable[PartWatcher]) -> bool:
        loads: list[tuple[PartWatcher, Loaded]] = []
        for watch in watches:
            failures = watch.failures
            with watch.part.pace.yielding():
                loaded = watch.look()
            if watch.failures != failures:
                self._observer.rejected(watch.part, self._values.get(_key(watch)), watch.fault or "", watch.faults)
            if loaded is not None:
                loads.append((watch, loaded))
        if not loads:
            return False
        replaced = self._held()
        is_new = self._put(loads)
        retire_all(replaced, but=self._held())
        return is_new

    def _put(self, loads: Iterable[tuple[PartWatcher, Loaded]]) -> bool:
        """Compose a snapshot with the parts that were loaded, as far as they are consistent with the others."""
        with self._lock:
            # Those of a configuration that was replaced meanwhile are not wanted any more.
            found = {_key(watch): one for watch, one in loads if watch in self._watches}
            if not found:
                return False
            newest = {**self._newest, **{key: loaded.value for key, loaded in found.items()}}
            try:
                values, refused = self._composer.together(newest, self._values)
                snapshot = self._composer.snapshot(values)
            except Exception as error:  # no file may stop the server; only the type is safe to log
                self._refuse(f"unexpected {type(error).__name__}")
                return False
            self._newest = newest
            if refused:
                self._refuse(str(LoadError(refused)), tuple(refused))
                for watch in (one for one in self._watches if values[_key(one)] is not newest[_key(one)]):
                    self._observer.rejected(watch.part, values[_key(watch)], str(LoadError(refused)), refused)
            else:
                self._refused, self._refusal = (), None
            self._report_live(self._watches, values, found)
            if refused and all(values[key] is self._values[key] for key in values):
                return False
            before, self._snapshot, self._values = self._values, snapshot, values
            self.reloads += 1
            kinds = " and ".join(dict.fromkeys(kind for kind, _ in found))
            changes = [describe_change(before[key], loaded) for key, loaded in found.items()]
            changed = f" ({'; '.join(dict.fromkeys(filter(None, changes)))})" if any(changes) else ""
            self._log(logging.INFO, f"reloaded: new {kinds} are live{changed}, policy {self.policy()[:12]}")
            for line in note_lines(snapshot.policies.notes) if ("policies", "") in found else ():
                self._log(logging.WARNING, f"policies: {line}")
            return True

    def _report_live(self, watches: Iterable[PartWatcher], values: Values, found: Collection[Key] = ()) -> None:
        """Tell the observer which values are about to be in force: other ones, and those that were loaded again."""
        for watch in watches:
            key, value = _key(watch), values[_key(watch)]
            before = self._values.get(key)
            if value is not before or (key in found and value is self._newest[key]):
                self._observer.going_live(watch.part, before, value, watch.states)

    def _refuse(self, refusal: str, faults: tuple[Fault, ...] = ()) -> None:
        """Record that the newest parts cannot all go live together; the same reason is counted once."""
        if refusal != self._refusal:
            self._refusals += 1
            self._log(logging.ERROR, f"reload rejected, keeping the previous configuration: {refusal}")
        self._refusal, self._refused = refusal, faults

    def _log(self, level: int, line: str, event: str = "") -> None:
        """Log a line unless another worker did; `event` identifies it if the workers' lines differ in their seconds."""
        if self._is_first(event or line):
            logger.log(level, "%s", line)


def _key(watch: PartWatcher) -> Key:
    return watch.part.kind, watch.part.name
