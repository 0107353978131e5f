"""Settling: complete contents of files that are never at rest, and nothing that is still being written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.files import stamp_of
from tokenserver.server.reload import settling
from tokenserver.server.reload.settling import STEP_SECONDS, WINDOW_SECONDS, Settled, is_growing, settle

KEPT = Settled(None, ())


class Steps:
    """A clock whose sleep lets a writer do its next step; the files are real."""

    def __init__(self, writer: Callable[[int], None]) -> None:
        self.now = 0.0
        self.turn = 0
        self.writer = writer

    def monotonic(self) -> float:
        """Seconds that pass only in `sleep`."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """The writer's turn."""
        assert seconds == STEP_SECONDS
        self.now += seconds
        self.writer(self.turn)
        self.turn += 1

    def settled(self, *paths: Path) -> dict[str, Settled]:
        """What `settle` finds meanwhile."""
        found = settle(map(str, paths), monotonic=self.monotonic, sleep=self.sleep)
        assert self.turn == pytest.approx(WINDOW_SECONDS / STEP_SECONDS, abs=1)
        return found


def nobody(_turn: int) -> None:
    """Writes nothing."""


def stamped(path: Path, text: str, turn: int, *, other_inode: bool = False) -> None:
    """Write immediately, with a time that differs each turn, however coarse the file system's clock is."""
    if other_inode:
        other = path.with_name(f"new-{turn}")
        other.write_text(text)
        os.replace(other, path)
    else:
        path.write_text(text)
    os.utime(path, (turn, turn))


@pytest.mark.parametrize("other_inode", [pytest.param(False, id="in place"), pytest.param(True, id="by rename")])
@pytest.mark.parametrize("every", [5, 12, 25])
def test_a_file_that_is_rewritten_is_taken_whole(tmp_path: Path, every: int, other_inode: bool) -> None:
    """Every tenth to half of a second: the last content that stood still, with the stamp that it had."""
    path = tmp_path / "file"
    path.write_text("before")
    seen: dict[tuple[int, ...], str] = {}

    def write(turn: int) -> None:
        if turn % every == 0:
            stamped(path, f"rule, {1000 - turn}", turn, other_inode=other_inode)
            seen[stamp_of(str(path))] = path.read_text()

    (found,) = Steps(write).settled(path).values()
    assert found.content is not None
    assert seen[found.stamp] == found.content.decode()


@pytest.mark.parametrize("every", [1, 5, 12, 25])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_file_that_is_written_line_by_line_is_not_taken(tmp_path: Path, every: int, restarts: bool) -> None:
    """While it grows, its content is incomplete; also if the writer starts again (docs/design/threats.md#fault-17)."""
    path = tmp_path / "file"
    path.write_text("the whole\nof it\n")
    lines: list[str] = []

    def write(turn: int) -> None:
        if turn % every == 0:
            if restarts and len(lines) == 3:
                lines.clear()
            lines.append(f"line {len(lines)}\n")
            stamped(path, "".join(lines), turn)

    (found,) = Steps(write).settled(path).values()
    assert found.content is None
    if found.so_far is not None:  # it is for the watch to know whether that is whole
        assert "".join(lines).startswith(found.so_far.decode())


def test_a_file_that_is_added_to_is_given_as_it_is_so_far(tmp_path: Path) -> None:
    """For the watch to know whether it is whole."""
    path = tmp_path / "file"
    path.write_text("ann\n")

    def write(turn: int) -> None:
        if turn % 8 == 0:
            stamped(path, path.read_text() + "#\n", turn)

    (found,) = Steps(write).settled(path).values()
    assert found == Settled(None, (), b"ann\n#\n#\n#\n#\n")


def test_a_file_that_was_just_opened_for_writing_is_not_taken(tmp_path: Path) -> None:
    """It is empty, which for a file of users would mean that there are none."""
    path = tmp_path / "file"
    path.write_text("ann\n")
    assert Steps(lambda turn: stamped(path, "", 1) if turn == 3 else None).settled(path) == {str(path): KEPT}


def test_a_file_that_changes_at_every_look_is_not_taken(tmp_path: Path) -> None:
    """Nothing of it stood for two looks."""
    path = tmp_path / "file"
    path.write_text("x")
    assert Steps(lambda turn: stamped(path, str(1000 - turn), turn)).settled(path) == {str(path): KEPT}


def test_a_file_that_changes_while_it_is_read_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been read half before and half after."""
    path = tmp_path / "file"
    path.write_text("x")
    turns = iter(range(1000))

    def reading(one: Path) -> bytes:
        stamped(one, "y", next(turns))
        return b"torn"

    monkeypatch.setattr(settling, "read_file", reading)
    assert Steps(nobody).settled(path) == {str(path): KEPT}


def unsafe(path: Path) -> None:
    path.chmod(0o666)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("end", [unsafe, a_pipe])
def test_what_is_no_good_file_in_the_end_is_for_the_loader_to_tell(tmp_path: Path, end: Callable[[Path], None]) -> None:
    """Nothing is found of it, and a pipe is not waited for."""
    path = tmp_path / "file"
    path.write_text("x")
    assert Steps(lambda turn: end(path) if turn == 10 else None).settled(path) == {}


def test_a_file_that_is_not_there_is_for_the_loader_to_tell(tmp_path: Path) -> None:
    """It was there at the look before, and never since."""
    assert Steps(nobody).settled(tmp_path / "file") == {}


def test_a_file_that_comes_and_goes_is_taken(tmp_path: Path) -> None:
    """As the last one that stood still."""
    path = tmp_path / "file"

    def write(turn: int) -> None:
        if turn % 8 == 0:
            stamped(path, f"version {1000 - turn}", turn)
        if turn % 8 == 4:
            path.unlink()

    (found,) = Steps(write).settled(path).values()
    assert found.content == b"version 976"


def test_files_are_observed_side_by_side_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the bound is taken to be still written."""
    monkeypatch.setattr(settling, "MAX_FILES", 2)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_text(path.name)
    found = Steps(nobody).settled(*paths)
    assert [one.content for _, one in sorted(found.items())] == [b"a", b"b", None]


@given(st.lists(st.binary(max_size=4), max_size=5))
def test_growing_means_that_one_goes_on_from_the_other(states: list[bytes]) -> None:
    """Held against the definition, spelled in another way."""
    steps = [(states[index], states[index + 1]) for index in range(len(states) - 1)]
    assert is_growing(states) == any(after != before and after[: len(before)] == before for before, after in steps)


@given(st.binary(min_size=1, max_size=30), st.lists(st.integers(0, 30), min_size=2, max_size=6))
def test_every_writer_that_goes_on_is_seen(text: bytes, ends: list[int]) -> None:
    """Whatever the places are at which it is looked at, as soon as two of them differ."""
    states = [text[:end] for end in sorted(ends)]
    assert is_growing(states) == (len(set(states)) > 1)
