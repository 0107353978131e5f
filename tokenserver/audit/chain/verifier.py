"""Verification of chains over any number of files, line by line, in memory that depends on their faults alone.

The lines of a chain come in runs of consecutive numbers. A run ends where its file does, or where something is wrong;
at the end of each file, runs that fit are joined, whichever order the files have. What is left between runs is missing.
A digest is compared as soon as all lines that it is about are known.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from tokenserver.audit.chain.event_text import ChainedEvent, EventTexts, LooseEvent
from tokenserver.audit.chain.findings import ChainFinding, ChainSummary, FindingKind, LogPlace
from tokenserver.audit.chain.recorded import FoundChain
from tokenserver.audit.chain.run import LineGroup, Run, append, begin, join, join_overlapping, joins, proves
from tokenserver.audit.chain.seal_events import is_seal_event, seal_of_event, time_of_event
from tokenserver.audit.chain.statements import Statements
from tokenserver.audit.chain.window import Window
from tokenserver.audit.chain.wording import seconds_between, span, unproven
from tokenserver.exchange.audit_chain.links import GROUP, Link
from tokenserver.exchange.audit_chain.seal_text import NotASeal, Seal, UnknownSealKey

UNSEALED_SECONDS = 180
"""For how long lines may be unsealed: a server seals every minute, unless it is ended by force."""

MAX_HELD = 256 * 1024 * 1024
"""Bytes of lines in memory. Only chains whose lines are scattered over files one by one have more: of others, the lines
since the last digest are held."""


class TooScattered(ValueError):
    """The lines of a chain are scattered over the files in a way that no collector does."""


class ChainVerifier:
    """Takes the lines of files with `read`, file by file, and reports with `finish`.

    `open_seal` gives a seal whose signature is right; it raises `UnknownSealKey` or `NotASeal`. Findings and notes are
    handed to `report` and `note` as soon as they are known. With a `window`, other lines are passed over.
    """

    def __init__(
        self,
        open_seal: Callable[[str], Seal],
        report: Callable[[ChainFinding], None],
        note: Callable[[str], None],
        window: Window | None = None,
    ) -> None:
        self.lines = 0
        self.events = 0
        self.loose = 0
        """Events without a link, before the first one that has one."""
        self._open_seal = open_seal
        self._report = report
        self._note = note
        self._window = window
        self._file = ""
        self._line = 0
        self._texts = EventTexts()
        self._current: dict[str, Run] = {}
        self._highest: dict[str, tuple[int, LogPlace]] = {}
        self._runs: dict[str, list[Run]] = {}
        self._held = 0
        self._statements = Statements()

    def begin(self, file: str) -> None:
        """Begin a file."""
        self._file, self._line, self._texts = file, 0, EventTexts()

    def read(self, line: bytes) -> None:
        """Take the next line of the file, without its newline.

        Raises:
            TooScattered: there are more lines without their neighbours than can be held.
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
        for chain, runs in self._runs.items():
            self._runs[chain] = self._joined(runs)
        self._held = sum(run.held for runs in self._runs.values() for run in runs)
        self._check_size()

    def finish(self) -> list[ChainSummary]:
        """Report what only the whole shows, such as missing lines; the chains in the order of their beginnings."""
        window, outside = self._window, set[str]()
        if window is not None:
            spans = [(chain, runs[0].first.number, runs[-1].last, runs[-1].time) for chain, runs in self._runs.items()]
            outside = {one[0] for one in spans if not window.concerns(*one)}
        summaries = [self._finish(chain, runs) for chain, runs in self._runs.items() if chain not in outside]
        last = {chain: found.last for chain, found in self.found().items()}
        self._statements.finish(last, self._report, self._note)
        for text in () if window is None else window.notes(outside):
            self._note(text)
        return sorted(summaries, key=lambda summary: summary.since)

    def found(self) -> dict[str, FoundChain]:
        """What the files have of each chain, also outside of the window."""
        beyond: dict[str, int] = {} if self._window is None else self._window.beyond
        since = self._statements.since
        return {
            chain: FoundChain(max(runs[-1].last, beyond.get(chain, 0)), since.get(chain, ""))
            for chain, runs in self._runs.items()
        }

    def _chained(self, event: ChainedEvent) -> None:
        link, text = event.link, event.text
        if self._window is not None and not self._window.has(link):
            return
        self.events += 1
        run = self._current.get(link.chain)
        place = LogPlace(self._file, self._line)
        time = time_of_event(text)
        if run is None or not joins(run, link):
            run = self._begin_run(begin(link, text, place, time))
        else:
            if link.number != run.last + 1:
                self._cut(run, run.last + 1, link.number - 1)
            if link.digest or len(run.group.texts) >= GROUP:
                append(run, link, text, place, self._check)
            else:
                run.group.texts.append(text)
            run.last, run.place, run.time = link.number, place, time
        if is_seal_event(text):
            self._seal(run, event)
        elif not run.unsealed_since:
            run.unsealed_since, run.is_closed = time, False

    def _begin_run(self, run: Run) -> Run:
        link, place = run.first, run.first_place
        before = self._current.get(link.chain)
        if before is not None:
            self._runs.setdefault(link.chain, []).append(before)
            self._held += before.held
            self._check_size()
            highest, at = self._highest.get(link.chain, (0, place))
            if before.last > highest:
                highest, at = self._highest[link.chain] = (before.last, before.place)
            if link.number < highest and not self._is_known(link.chain, link.number):
                self._found(
                    FindingKind.REORDERED, place, link.chain, f"number {link.number:,} comes after {highest:,} ({at})"
                )
        self._current[link.chain] = run
        return run

    def _is_known(self, chain: str, number: int) -> bool:
        """Whether the number was met before; only asked where the order is wrong."""
        return any(run.first.number <= number <= run.last for run in self._runs[chain])

    def _seal(self, run: Run, event: ChainedEvent) -> None:
        try:
            seal = self._open_seal(seal_of_event(event.text))
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
            self._statements.add(event.link.chain, seal, run.place)

    def _loose(self, event: LooseEvent) -> None:
        place = LogPlace(self._file, self._line)
        if self._window is not None and not self._window.span.has(event.time):
            return
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
            whole = kept[-1] if kept else None
            if whole is None or whole.last + 1 < run.first.number - run.first.cut:
                kept.append(run)
            elif joins(whole, run.first):
                if run.first.number > whole.last + 1:
                    self._cut(whole, whole.last + 1, run.first.number - 1)
                join(whole, run, self._check)
            else:
                self._overlap(whole, run)
                if run.last > whole.last:
                    join_overlapping(whole, run, self._check)
        return kept

    def _finish(self, chain: str, runs: list[Run]) -> ChainSummary:
        first, last = runs[0], runs[-1]
        for before, after in pairwise(runs):
            self._missing(before, after)
        link = first.first
        if link.number <= 1 + link.cut:
            self._check(first, LineGroup(1, first.first_place, []), link, first.first_place)
            if link.number > 1:
                self._cut(first, 1, link.number - 1)
        elif self._window is None or not self._window.begins_with(chain, link.number):
            self._note(
                f"chain {chain} begins with number {link.number:,} ({first.first_place}): earlier lines are not in"
                f" these files{unproven(first)}"
            )
        sealed = max(run.sealed for run in runs)
        if self._window is None or not self._window.ends_with(chain, last.last):
            self._unsealed(chain, last, is_known=sealed > 0)
        return ChainSummary(chain, link.number, last.last, sealed, last.is_closed, first.first_time, last.time)

    def _unsealed(self, chain: str, run: Run, *, is_known: bool) -> None:
        if not run.unsealed_since:
            if not run.is_closed:
                self._note(
                    f"chain {chain} ends with number {run.last:,} ({run.place}) without its closing seal: the server "
                    "still runs, or it was ended by force; lines after it would not be missed"
                )
            return
        count = run.last - run.sealed if run.sealed else run.last - run.first.number + 1
        message = f"the last {count:,} lines, until number {run.last:,}, are not sealed"
        if not is_known:
            message += "; it has no seal at all, so nothing proves that the server wrote it"
        if seconds_between(run.unsealed_since, run.time) > UNSEALED_SECONDS:
            self._found(FindingKind.UNSEALED, run.place, chain, message)
        else:
            self._note(
                f"chain {chain}: {message} ({run.place}): the server still runs, or it was ended by force; no digest "
                f"proves {span(run.group.number, run.last)} yet"
            )

    def _overlap(self, whole: Run, run: Run) -> None:
        first, last = run.first.number, min(whole.last, run.last)
        numbers = span(first, last)
        pairs = ((whole.text(number), run.text(number)) for number in range(max(first, last - 2 * GROUP), last + 1))
        if any(one != other for one, other in pairs if one and other):
            message = f"{numbers} is there twice, and not the same ({whole.place})"
            self._found(FindingKind.CHANGED, run.first_place, run.first.chain, message)
        else:
            verb = "is" if first == last else "are"
            self._found(FindingKind.DUPLICATED, run.first_place, run.first.chain, f"{numbers} {verb} there once more")

    def _missing(self, before: Run, after: Run) -> None:
        first, last = before.last + 1, after.first.number - 1 - after.first.cut
        verb = "is" if first == last else "are"
        until = after.claim.number - 1 if after.claim else after.last
        message = (
            f"{span(first, last)} {verb} missing between here and {after.first_place}, so no digest proves"
            f" {span(before.group.number, until)}"
        )
        self._found(FindingKind.REMOVED, before.place, before.first.chain, message)

    def _cut(self, run: Run, first: int, last: int) -> None:
        where = f"after {run.place}" if first > 1 else f"before {run.first_place}"
        self._note(
            f"chain {run.first.chain}: {span(first, last)} {where} could not be written as a whole, as the server says"
            " itself (a full disk, a reader that was gone)"
        )

    def _check(self, run: Run, group: LineGroup, link: Link, place: LogPlace) -> None:
        """Compare a group with the digest after it."""
        chain = run.first.chain
        end = group.number + len(group.texts)
        if not proves(group, link):
            message = f"one of the {span(group.number, link.number)} (until {place}) is not what the server wrote"
            self._report(ChainFinding(FindingKind.CHANGED, group.place, chain, message, place))
        elif end > link.number - link.cut:
            numbers = span(max(group.number, link.number - link.cut), end - 1)
            self._note(
                f"chain {chain}: {numbers} before {place} could not be written in one go, as the server says itself,"
                " and no digest proves what is there"
            )

    def _check_size(self) -> None:
        if self._held > MAX_HELD:
            raise TooScattered

    def _found(self, kind: FindingKind, place: LogPlace, chain: str, message: str) -> None:
        self._report(ChainFinding(kind, place, chain, message))
