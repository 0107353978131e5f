"""A run of lines of one chain with consecutive numbers, and how two runs join."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tokenserver.audit.chain.findings import LogPlace
from tokenserver.exchange.audit_chain.links import Link


@dataclass(slots=True)
class Run:
    """Consecutive lines of a chain. `digest` is that of the last line.

    `suspect` is the line before the last one, if the last one's link does not fit it: one of the two was changed, and
    the next line shows which.
    """

    first: Link
    first_place: LogPlace
    first_digest: str
    first_time: str
    last: int
    place: LogPlace
    digest: str
    time: str
    sealed: int = 0
    is_closed: bool = False
    unsealed_since: str = ""
    suspect: LogPlace | None = None
    suspect_number: int = 0
    is_first_changed: bool = False

    @property
    def is_single(self) -> bool:
        """Whether it is one line."""
        return self.first.number == self.last


Changed = Callable[[Run, LogPlace, int], None]
"""Takes a line that was changed: its run, place and number."""


def compare(run: Run, claimed: str, changed: Changed) -> None:
    """Compare the last line with what the next one claims its digest to be."""
    if claimed == run.digest:
        settle(run, changed)
    elif run.suspect is not None:  # it fits neither of its neighbours
        _blame(run, run.place, run.last, changed)
    else:
        run.suspect, run.suspect_number = run.place, run.last


def settle(run: Run, changed: Changed) -> None:
    """Report the suspect, since what follows it fits."""
    if run.suspect is not None:
        _blame(run, run.suspect, run.suspect_number, changed)


def _blame(run: Run, place: LogPlace, number: int, changed: Changed) -> None:
    run.suspect = None
    if number == run.first.number:
        run.is_first_changed = True
    changed(run, place, number)


def joins(run: Run, link: Link) -> bool:
    """Whether the line of this link may come next: at most lines that were cut off are missing between."""
    return run.last < link.number and link.number - 1 - link.cut <= run.last


def compare_link(run: Run, link: Link, changed: Changed) -> None:
    """Compare the last line with the link of a line that joins."""
    if link.number == run.last + 1:
        compare(run, link.previous, changed)
    elif link.number - 1 - link.cut == run.last:
        compare(run, link.base, changed)
    else:  # the line that proves it was cut off
        settle(run, changed)


def join(run: Run, after: Run, changed: Changed) -> None:
    """Append a run that joins; both are compared where they meet."""
    if after.is_first_changed:
        settle(run, changed)
    else:
        compare_link(run, after.first, changed)
    if run.suspect is not None and not after.is_single:
        if after.suspect is not None and after.suspect_number == after.first.number:  # it fits neither of the two
            run.suspect = after.suspect = None
            changed(run, after.first_place, after.first.number)
        else:
            settle(run, changed)
    if after.suspect is not None:
        run.suspect, run.suspect_number = after.suspect, after.suspect_number
    run.last, run.place, run.digest, run.time = after.last, after.place, after.digest, after.time
    if after.sealed:
        run.sealed, run.is_closed, run.unsealed_since = after.sealed, after.is_closed, after.unsealed_since
    else:
        run.is_closed = False
        run.unsealed_since = run.unsealed_since or after.unsealed_since
