"""Windows of verification: nothing in them goes unseen, their borders are no gaps, and they say what they left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_chains import START, Verified, Writer, key, verify

from tokenserver.audit.chain.window import TimeSpan
from tokenserver.exchange.audit_chain.seal_check import SealKeys
from tokenserver.exchange.audit_chain.state import ChainState
from tokenserver.exchange.audit_events import spell_time

SIGNS = key()
MINUTES = 10
PER_MINUTE = 40


def minute(number: float) -> str:
    """A time after the start of the chain."""
    return spell_time(START.timestamp() + 60 * number)


class Hours:
    """Chains of two workers over ten minutes, a seal a minute; one ends in the middle, by force."""

    def __init__(self, path: Path) -> None:
        state = ChainState()
        self.first, self.second = Writer(path, SIGNS, state), Writer(path, SIGNS, state)
        for each in (self.first, self.second):
            each.sealer.check()
        for number in range(1, MINUTES + 1):
            for each in (self.first, self.second)[: 2 if number < 5 else 1]:
                each.write(PER_MINUTE)
                each.now = START.timestamp() + 60 * number
                each.sealer.check()
        self.first.sealer.close()
        self.lines = self.first.lines


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Hours:
    return Hours(tmp_path_factory.mktemp("hours") / "lines")


def at(line: bytes) -> str:
    return line[9:33].decode()


def within(lines: list[bytes], since: float | None, until: float | None) -> Verified:
    return verify(lines, span=TimeSpan("" if since is None else minute(since), "" if until is None else minute(until)))


SPANS = [(None, None), (None, 3), (3, None), (2.5, 3.5), (3, 4), (2.1, 2.2), (4.5, 8), (0, 99), (-9, 5), (9.9, 99)]


@pytest.mark.parametrize(("since", "until"), SPANS)
def test_the_borders_are_no_gaps(hours: Hours, since: float | None, until: float | None) -> None:
    """Wherever they are, and however the lines are distributed over files."""
    found = within(hours.lines, since, until)
    assert found.findings == []
    span = TimeSpan("" if since is None else minute(since), "" if until is None else minute(until))
    inside = sum(span.has(at(line)) for line in hours.lines)
    assert inside <= found.verifier.events <= inside + 2 * 2 * (PER_MINUTE + 2)
    third = len(hours.lines) // 3
    parts = {"b": hours.lines[third : 2 * third], "c": hours.lines[2 * third :], "a": hours.lines[:third]}
    again = verify(parts, span=span)
    assert (again.findings, again.verifier.events) == ([], found.verifier.events)


@pytest.mark.parametrize(("since", "until"), [(2.5, 3.5), (3, 4), (4.5, 8)])
def test_whatever_is_done_inside_is_found(hours: Hours, since: float, until: float) -> None:
    """A line that is removed, or whose time is changed to one outside (docs/design/threats.md#threat-240)."""
    span = TimeSpan(minute(since), minute(until))
    inside = [place for place, line in enumerate(hours.lines) if span.has(at(line))]
    for place in inside[::7]:
        removed = hours.lines[:place] + hours.lines[place + 1 :]
        assert within(removed, since, until).findings, place
        for time in (minute(-5), minute(99)):
            line = hours.lines[place].replace(
                b'{"time":"' + at(hours.lines[place]).encode(), b'{"time":"' + time.encode()
            )
            changed = [*hours.lines[:place], line, *hours.lines[place + 1 :]]
            assert within(changed, since, until).findings, place


def test_a_whole_window_that_is_removed(hours: Hours) -> None:
    """With all seals in it: the numbers of the borders show it."""
    left = [line for line in hours.lines if not TimeSpan(minute(2.9), minute(4.5)).has(at(line))]
    kinds = [one.kind.value for one in within(left, 3, 4).findings]
    assert kinds == ["removed"] * 2


def test_what_is_done_outside_is_not_looked_at(hours: Hours) -> None:
    """That is what a window is for; the note says so."""
    outside = [place for place, line in enumerate(hours.lines) if not TimeSpan(minute(1.9), minute(5.1)).has(at(line))]
    assert len(outside) > 100
    gone = set(outside[5:15] + outside[-15:-5])
    left = [line for place, line in enumerate(hours.lines) if place not in gone]
    assert verify(left).findings
    found = within(left, 3, 4)
    assert found.findings == []
    assert any(
        "lines before the last seal before this time, or after the first seal after it" in one for one in found.notes
    )


def test_borders_that_are_removed(hours: Hours) -> None:
    """Without the seals next to it, the window is wider, and never smaller."""
    place = next(
        place
        for place, line in enumerate(hours.lines)
        if b"audit_seal" in line and f'"chain":"{hours.first.sink.chain}:'.encode() in line and at(line) == minute(3)
    )
    left = hours.lines[:place] + hours.lines[place + 1 :]
    whole, wider = within(hours.lines, 3.5, 4.5), within(left, 3.5, 4.5)
    assert [one.kind.value for one in wider.findings] == ["removed"]
    assert wider.verifier.events > whole.verifier.events


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    """Seals whose times do not fit their numbers narrow nothing."""
    writer = Writer(tmp_path / "lines", SIGNS)
    writer.sealer.check()
    for shift in (0, 600, -590, 600):
        writer.now += shift
        writer.write(5)
        writer.seal()
    writer.sealer.close()
    lines = writer.lines
    writer.close()
    middle = next(place for place, line in enumerate(lines) if at(line) > minute(10))
    left = lines[:middle] + lines[middle + 1 :]
    assert verify(lines, span=TimeSpan(minute(10), minute(13))).findings == []
    assert [one.kind.value for one in verify(left, span=TimeSpan(minute(10), minute(13))).findings] == ["removed"]


def test_chains_that_the_window_does_not_concern(hours: Hours) -> None:
    """They are neither listed nor findings, and the note counts them."""
    found = within(hours.lines, 8, 9)
    assert [one.chain for one in found.chains] == [hours.first.sink.chain]
    assert any("1 chain ended before this time or began after it" in note for note in found.notes)
    later = within(hours.lines, -9, -8)
    assert (later.chains, later.findings) == ([], [])
    assert any("2 chains ended before" in note for note in later.notes)


def test_the_end_of_a_worker_that_was_killed(tmp_path: Path) -> None:
    """Lines that no seal proves are noted if they are of the window, by their times, and else left out."""
    writer = Writer(tmp_path / "lines", SIGNS)
    writer.sealer.check()
    writer.write(5)
    lines = writer.lines
    writer.close()
    inside = verify(lines, span=TimeSpan(minute(0.05), ""))
    assert any("the last 5 lines, until number 6, are not sealed" in note for note in inside.notes)
    outside = verify(lines, span=TimeSpan(minute(5), ""))
    assert outside.chains == []
    assert len(outside.notes) == 1


def test_other_events_count_by_their_time(hours: Hours) -> None:
    """One that somebody added is found if it says a time of the window, or none that can be read."""
    for time, count in ((minute(3.5), 1), (minute(8), 0), ("", 1)):
        added = b'{"time":"' + time.encode() + b'","event":"exchange"}'
        place = len(hours.lines) // 2
        found = within([*hours.lines[:place], added, *hours.lines[place:]], 3, 4)
        assert [one.kind.value for one in found.findings] == ["not in a chain"] * count, time


def test_seals_of_other_lines_are_no_borders(hours: Hours) -> None:
    """Somebody copies a genuine seal into a line with a later number, so that those before would not be looked at."""
    place = max(place for place, line in enumerate(hours.lines) if b"audit_seal" in line and at(line) < minute(3))
    seal, later = hours.lines[place], hours.lines[place + 30 * 2]
    copy = seal[: seal.rindex(b',"chain":"')] + later[later.rindex(b',"chain":"') :]
    left = [line for line in hours.lines if not minute(3) <= at(line) < minute(3.5)]
    assert [one.kind.value for one in within([*left, copy], 3, 4).findings].count("removed") >= 1


def test_seals_of_other_keys_are_no_borders(hours: Hours) -> None:
    """Without a key set that vouches for them, everything is verified."""
    other = verify(hours.lines, keys=SealKeys([]), span=TimeSpan(minute(3), minute(4)))
    assert other.verifier.events == len(hours.lines)
