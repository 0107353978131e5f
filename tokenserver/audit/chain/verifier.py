"""Verification of chains over any number of files, line by line, in memory that depends on their faults alone.

The lines of a chain come in runs of consecutive numbers. A run ends where its file does, or where something is wrong;
at the end of each file, runs that fit are joined, whichever order the files have. What is left between runs is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from tokenserver.audit.chain.event_text import ChainedEvent, EventTexts, LooseEvent
from tokenserver.audit.chain.findings import ChainFinding, ChainSummary, FindingKind, LogPlace
from tokenserver.audit.chain.run import Run, compare, compare_link, join, joins, settle
from tokenserver.exchange.audit_chain.links import digest_of
from tokenserver.exchange.audit_chain.seal_text import EVENT, NotASeal, Seal, UnknownSealKey, seal_of_members

UNSEALED_SECONDS = 180
"""For how long lines may be unsealed: a server seals every minute, unless it is ended by force."""

MAX_RUNS = 200_000
"""The most runs in memory. Only a chain whose lines are scattered over files one by one has more."""

_TIME = slice(len('{"time":"'), len('{"time":"2026-01-31T00:00:00.000Z'))
_SEAL = b'","event":"' + EVENT.encode("ascii") + b'",'


class TooScattered(ValueError):
    """The lines of a chain are scattered over the files in a way that no collector does."""


class ChainVerifier:
    """Takes the lines of files with `read`, file by file, and reports with `finish`.

    `open_seal` gives a seal whose signature is right; it raises `UnknownSealKey` or `NotASeal`. Findings and notes are
    handed to `report` and `note` as soon as they are known.
    """

    def __init__(
        self, open_seal: Callable[[str], Seal], report: Callable[[ChainFinding], None], note: Callable[[str], None]
    ) -> None:
        self.lines = 0
        self.events = 0
        self.loose = 0
        """Events without a link, before the first one that has one."""
        self._open_seal = open_seal
        self._report = report
        self._note = note
        self._file = ""
        self._line = 0
        self._texts = EventTexts()
        self._current: dict[str, Run] = {}
        self._highest: dict[str, tuple[int, LogPlace]] = {}
        self._runs: dict[str, list[Run]] = {}
        self._held = 0

    def begin(self, file: str) -> None:
        """Begin a file."""
        self._file, self._line, self._texts = file, 0, EventTexts()

    def read(self, line: bytes) -> None:
        """Take the next line of the file, without its newline.

        Raises:
            TooScattered: there are more runs than can be held.
        """
        self._line += 1
        found = self._texts.read(line)
        if isinstance(found, ChainedEvent):
            self._chained(found)
        elif found is not None:
            self._loose(found)

    def end(self) -> None:
        """End the file: join the runs that fit."""
        for chain, run in self._current.items():
            self._runs.setdefault(chain, []).append(run)
        self.lines += self._line
        self._current.clear()
        self._highest.clear()
        self._held = 0
        for chain, runs in self._runs.items():
            self._runs[chain] = self._joined(runs)
            self._held += len(self._runs[chain])

    def finish(self) -> list[ChainSummary]:
        """Report what only the whole shows, such as missing lines; the chains in the order of their beginnings."""
        summaries = [self._finish(chain, runs) for chain, runs in self._runs.items()]
        return sorted(summaries, key=lambda summary: summary.since)

    def _chained(self, event: ChainedEvent) -> None:
        link = event.link
        text = event.text
        self.events += 1
        digest = digest_of(text).decode("ascii")
        run = self._current.get(link.chain)
        place = LogPlace(self._file, self._line)
        if run is not None and link.number == run.last + 1:
            if link.previous == run.digest and run.suspect is None:
                pass
            else:
                compare(run, link.previous, self._changed)
        elif run is not None and joins(run, link):
            self._cut(run, link.number)
            compare_link(run, link, self._changed)
        else:
            run = self._begin_run(event, digest, place)
        run.last, run.place, run.digest = link.number, place, digest
        run.time = text[_TIME].decode("ascii", "replace")
        if text.startswith(_SEAL, _TIME.stop):
            self._seal(run, event)
        elif not run.unsealed_since:
            run.unsealed_since, run.is_closed = run.time, False

    def _begin_run(self, event: ChainedEvent, digest: str, place: LogPlace) -> Run:
        link = event.link
        before = self._current.get(link.chain)
        if before is not None:
            self._runs.setdefault(link.chain, []).append(before)
            self._held += 1
            if self._held > MAX_RUNS:
                raise TooScattered
            highest, at = self._highest.get(link.chain, (0, place))
            if before.last > highest:
                highest, at = self._highest[link.chain] = (before.last, before.place)
            if link.number < highest and not self._is_known(link.chain, link.number):
                self._found(
                    FindingKind.REORDERED, place, link.chain, f"number {link.number:,} comes after {highest:,} ({at})"
                )
        time = event.text[_TIME].decode("ascii", "replace")
        run = Run(link, place, digest, time, link.number, place, digest, time)
        self._current[link.chain] = run
        return run

    def _is_known(self, chain: str, number: int) -> bool:
        """Whether the number was met before; only asked where the order is wrong."""
        return any(run.first.number <= number <= run.last for run in self._runs[chain])

    def _seal(self, run: Run, event: ChainedEvent) -> None:
        try:
            seal = self._open_seal(_seal_of(event.text))
        except UnknownSealKey as error:
            self._found(FindingKind.UNKNOWN_KEY, run.place, event.link.chain, f"this seal cannot be checked: {error}")
        except NotASeal as error:
            self._found(FindingKind.FORGED_SEAL, run.place, event.link.chain, f"this is no seal of the server: {error}")
        else:
            if seal.link != event.link_text:
                message = "this seal is of another line than the one it is in: the lines before it were written again"
                self._found(FindingKind.FORGED_SEAL, run.place, event.link.chain, message)
                return
            run.sealed, run.is_closed, run.unsealed_since = event.link.number, seal.closes, ""

    def _loose(self, event: LooseEvent) -> None:
        place = LogPlace(self._file, self._line)
        if event.has_link and event.is_encoded_again:
            self._found(FindingKind.ENCODED_AGAIN, place, "", "another program has encoded this event once more")
        elif event.has_link:
            self._found(FindingKind.CHANGED, place, "", "the link of this event cannot be read")
        elif self._current:
            self._found(FindingKind.ADDED, place, "", "this event has no link")
        else:
            self.loose += 1

    def _joined(self, runs: list[Run]) -> list[Run]:
        kept: list[Run] = []
        for run in sorted(runs, key=lambda run: (run.first.number, run.last)):
            if kept and joins(kept[-1], run.first):
                if run.first.number > kept[-1].last + 1:
                    self._cut(kept[-1], run.first.number)
                join(kept[-1], run, self._changed)
            else:
                kept.append(run)
        return kept

    def _finish(self, chain: str, runs: list[Run]) -> ChainSummary:
        whole = runs[0]
        sealed = whole.sealed
        for run in runs[1:]:
            settle(whole, self._changed)
            if run.first.number <= whole.last:
                self._overlap(chain, whole, run)
                if run.last <= whole.last:
                    continue
            else:
                self._missing(chain, whole, run)
            whole = run
            sealed = run.sealed or sealed
        settle(whole, self._changed)
        first = runs[0]
        if first.first.number > 1:
            self._note(
                f"chain {chain} begins with number {first.first.number:,} ({first.first_place}): earlier lines are not"
                " in these files"
            )
        self._unsealed(chain, whole)
        return ChainSummary(
            chain, first.first.number, whole.last, sealed, whole.is_closed, first.first_time, whole.time
        )

    def _unsealed(self, chain: str, run: Run) -> None:
        if not run.unsealed_since:
            if not run.is_closed:
                self._note(
                    f"chain {chain} ends with number {run.last:,} ({run.place}) without its closing seal: the server "
                    "still runs, or it was ended by force; lines after it would not be missed"
                )
            return
        count = run.last - run.sealed if run.sealed else run.last - run.first.number + 1
        message = f"the last {count:,} lines, until number {run.last:,}, are not sealed"
        if _seconds(run.unsealed_since, run.time) > UNSEALED_SECONDS:
            self._found(FindingKind.UNSEALED, run.place, chain, message)
        else:
            self._note(
                f"chain {chain}: {message} ({run.place}): the server still runs, or it was ended by force; they are "
                "linked, but they could still be written again as a whole"
            )

    def _overlap(self, chain: str, whole: Run, run: Run) -> None:
        last = min(whole.last, run.last)
        span = _span(run.first.number, last)
        if run.first.number == whole.last and run.first_digest != whole.digest:
            self._found(
                FindingKind.CHANGED, run.first_place, chain, f"{span} is there twice, and not the same ({whole.place})"
            )
        else:
            verb = "is" if run.first.number == last else "are"
            self._found(FindingKind.DUPLICATED, run.first_place, chain, f"{span} {verb} there once more")

    def _missing(self, chain: str, whole: Run, run: Run) -> None:
        first = max(whole.last + 1, 1)
        last = run.first.number - 1 - run.first.cut
        verb = "is" if first == last else "are"
        self._found(
            FindingKind.REMOVED,
            whole.place,
            chain,
            f"{_span(first, last)} {verb} missing between here and {run.first_place}",
        )

    def _cut(self, run: Run, number: int) -> None:
        self._note(
            f"chain {run.first.chain}: {_span(run.last + 1, number - 1)} after {run.place} could not be written as a "
            "whole, as the server says itself (a full disk, a reader that was gone, a process that was killed)"
        )

    def _changed(self, run: Run, place: LogPlace, number: int) -> None:
        self._found(FindingKind.CHANGED, place, run.first.chain, f"number {number:,} is not what the server wrote")

    def _found(self, kind: FindingKind, place: LogPlace, chain: str, message: str) -> None:
        self._report(ChainFinding(kind, place, chain, message))


def _seal_of(text: bytes) -> str:
    """The text of the seal of an event; empty if it has none."""
    try:
        return seal_of_members(json.loads(text)["seal"])
    except (ValueError, RecursionError, KeyError):
        return ""


def _span(first: int, last: int) -> str:
    return f"number {first:,}" if first == last else f"numbers {first:,} to {last:,}"


def _seconds(since: str, until: str) -> float:
    """Seconds between two times; none if one cannot be read, since a line with such a time is reported anyway."""
    try:
        return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
