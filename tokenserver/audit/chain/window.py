"""Windows of verification: which lines of each chain have to be verified to know all about a span of time. Pure.

Times of lines are not signed, and lines are not quite in the order of their times, so a window has no border in them.
It begins with the last seal before it and ends with the first seal after it, whose numbers and times are signed: all
that was written meanwhile is between the two. A seal that is missing, or whose time does not fit its neighbours, widens
it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from tokenserver.audit.chain.event_text import ChainedEvent, EventTexts
from tokenserver.audit.chain.seal_events import is_seal_event, seal_of_event
from tokenserver.exchange.audit_chain.links import Link
from tokenserver.exchange.audit_chain.seal_text import NotASeal, Seal, UnknownSealKey

_MARK = b"audit_seal"


class _Borders:
    """The numbers of the seals of a chain, as far as they decide about its borders."""

    def __init__(self) -> None:
        self.before = array("Q")
        self.after = array("Q")
        self.since: int | None = None
        """The first seal that is not before the window."""
        self.until = 0
        """The last seal that is not after the window."""

    def add(self, number: int, time: str, window: TimeSpan) -> None:
        if window.since and time < window.since:
            self.before.append(number)
        else:
            self.since = number if self.since is None else min(self.since, number)
        if window.until and time >= window.until:
            self.after.append(number)
        else:
            self.until = max(self.until, number)

    @property
    def first(self) -> int:
        """The number of the last seal before the window; 0 without one."""
        return max((one for one in self.before if self.since is None or one < self.since), default=0)

    @property
    def last(self) -> int | None:
        """The number of the first seal after the window; None without one."""
        return min((one for one in self.after if one > self.until), default=None)


class TimeSpan(NamedTuple):
    """From `since` on, before `until`: times in UTC as events have them; empty: without a limit."""

    since: str = ""
    until: str = ""

    def has(self, time: str) -> bool:
        """Whether a time is in it. One that is not known is."""
        return not time or (self.since <= time and not (self.until and time >= self.until))


class WindowSeals:
    """Finds the borders: takes all lines of all files with `read`, in any order. `open_seal`: see `ChainVerifier`."""

    def __init__(self, open_seal: Callable[[str], Seal], span: TimeSpan) -> None:
        self._open_seal = open_seal
        self._span = span
        self._chains: dict[str, _Borders] = {}

    def read(self, line: bytes) -> None:
        """Take a line, without its newline."""
        found = EventTexts().read(line) if _MARK in line else None
        if not isinstance(found, ChainedEvent) or not is_seal_event(found.text):
            return
        try:
            seal = self._open_seal(seal_of_event(found.text))
        except (UnknownSealKey, NotASeal):
            return
        if seal.link == found.link_text:
            borders = self._chains.setdefault(found.link.chain, _Borders())
            borders.add(found.link.number, seal.time, self._span)

    def window(self) -> Window:
        """The window, once all lines were read."""
        first = {chain: borders.first for chain, borders in self._chains.items()}
        last = {chain: borders.last for chain, borders in self._chains.items() if borders.last is not None}
        return Window(self._span, first, last)


class Window:
    """The numbers of the first and the last line of each chain that have to be verified; none: there is no border.

    It keeps how far the chains go on behind it.
    """

    def __init__(self, span: TimeSpan, first: Mapping[str, int], last: Mapping[str, int]) -> None:
        self.span = span
        self._first = first
        self._last = last
        self.beyond: dict[str, int] = {}
        """The last number of chains that go on behind the window."""
        self._is_cut: set[str] = set()

    def has(self, link: Link) -> bool:
        """Whether the line of this link has to be verified."""
        chain, number = link.chain, link.number
        last = self._last.get(chain)
        if last is not None and number > last:
            self.beyond[chain] = max(number, self.beyond.get(chain, 0))
        elif number >= self._first.get(chain, 0):
            return True
        self._is_cut.add(chain)
        return False

    def begins_with(self, chain: str, number: int) -> bool:
        """Whether the window begins with this line, which is a seal."""
        return number > 0 and self._first.get(chain) == number

    def ends_with(self, chain: str, number: int) -> bool:
        """Whether the window ends with this line, which is a seal."""
        return self._last.get(chain) == number

    def concerns(self, chain: str, first: int, last: int, time: str) -> bool:
        """Whether a chain has anything in the window, given the numbers of the lines there and the time of the last.

        It has not if there is nothing but a border, or if it ended before by the times of its last lines, which no seal
        proves.
        """
        if first == last and (self.begins_with(chain, first) or (first == 1 and self.ends_with(chain, 1))):
            return False
        return self.ends_with(chain, last) or time >= self.span.since

    def notes(self, outside: Collection[str]) -> list[str]:
        """What was not verified, as sentences; `outside` are the chains that the window does not concern."""
        found = []
        if self._is_cut:
            found.append(
                f"of {_chains(len(self._is_cut))}, lines before the last seal before this time, or after the first seal"
                " after it, were not verified"
            )
        if outside:
            found.append(
                f"{_chains(len(outside))} ended before this time or began after it, by their seals or else by the times"
                f" of their last lines, and {_was(len(outside))} not verified"
            )
        return found


def _chains(count: int) -> str:
    return "1 chain" if count == 1 else f"{count:,} chains"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
