"""The memory that workers share: rows of their own, sums over all of them, and nothing lost with a worker."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tokenserver.metrics.definitions import LabelNames, Layout
from tokenserver.metrics.shared_rows import SPARE_ROWS, Board

CELL = 3


def small_board(workers: int = 2) -> Board:
    return Board(Layout(services=("reg",), sources=(), directories=(), keys=(), issuers=()), workers=workers)


def total(board: Board) -> float:
    return sum(row[CELL] for row in board.rows())


def add(board: Board, amount: float) -> None:
    """What a worker does: take a row, and count."""
    row = board.claim()
    assert row is not None
    row[CELL] += amount


def add_and_stay(board: Board, ready: Any) -> None:
    add(board, 1)
    ready.set()
    signal.pause()


def ended(process: Any) -> int:
    process.start()
    process.join(30)
    assert process.exitcode is not None
    return int(process.exitcode)


@pytest.mark.parametrize("context", [multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")])
def test_workers_of_both_kinds_share_it(context: Any) -> None:
    """Forked workers inherit it; spawned ones, which newer Pythons prefer, are handed it."""
    board = small_board()
    assert [ended(context.Process(target=add, args=(board, amount))) for amount in (2.5, 4.0)] == [0, 0]
    assert total(board) == 6.5


def test_each_worker_has_a_row_of_its_own() -> None:
    """Two concurrent workers never write to one row, and a third finds one as well."""
    board, context = small_board(), multiprocessing.get_context("fork")
    events = [context.Event() for _ in range(3)]
    workers = [context.Process(target=add_and_stay, args=(board, event), daemon=True) for event in events]
    for worker, event in zip(workers, events, strict=True):
        worker.start()
        assert event.wait(30)
    assert sorted(row[CELL] for row in board.rows()) == [0.0, 1.0, 1.0, 1.0]
    for worker in workers:
        worker.kill()
        worker.join(30)


def test_a_row_outlives_its_worker() -> None:
    """What a killed worker counted stays, and its row is free for the next: however many die, there is room."""
    board, context = small_board(workers=1), multiprocessing.get_context("fork")
    for _ in range(3 * (1 + SPARE_ROWS)):
        ready = context.Event()
        worker = context.Process(target=add_and_stay, args=(board, ready), daemon=True)
        worker.start()
        assert ready.wait(30)
        worker.kill()
        worker.join(30)
    assert total(board) == 3 * (1 + SPARE_ROWS)
    assert [row[CELL] > 0 for row in board.rows()] == [True, False, False]


def test_without_a_free_row_there_is_none() -> None:
    """One worker too many gets None, and takes no other's row."""
    board, context = small_board(workers=1), multiprocessing.get_context("fork")
    events = [context.Event() for _ in range(1 + SPARE_ROWS)]
    workers = [context.Process(target=add_and_stay, args=(board, event), daemon=True) for event in events]
    for worker, event in zip(workers, events, strict=True):
        worker.start()
        assert event.wait(30)
    assert board.claim() is None
    for worker in workers:
        worker.kill()
        worker.join(30)


def test_it_leaves_nothing_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no folder that could be full, read-only or stale (docs/design/threats.md#fault-37)."""
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o500)
    add(small_board(), 1)
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_without_memory_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is a file without a name, of which nothing is left behind either."""

    def forbidden(_: str) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", forbidden, raising=False)
    board = small_board()
    add(board, 1)
    assert total(board) == 1


def names(*services: str) -> LabelNames:
    return LabelNames(services, (), (), (), ())


def count_for(board: Board, service: str, ready: Any, go: Any) -> None:
    """A worker that runs already when the name is added."""
    row = board.claim()
    assert row is not None
    ready.set()
    assert go.wait(30)
    for cell in board.layout.of_methods(service, "granted").values():
        row[cell] += 1


def test_a_name_that_is_added_is_known_to_workers_that_run() -> None:
    """They and the master count it in the same cells."""
    layout = Layout(**names("reg").with_spares((1, 0, 0, 0, 0))._asdict())
    board, context = Board(layout, workers=1), multiprocessing.get_context("fork")
    ready, go = context.Event(), context.Event()
    worker = context.Process(target=count_for, args=(board, "new", ready, go), daemon=True)
    worker.start()
    assert ready.wait(30)
    assert board.add(names("new", "reg")) == []
    go.set()
    worker.join(30)
    cells = board.layout.of_methods("new", "granted")
    assert sorted(sum(row[cell] for row in board.rows()) for cell in cells.values()) == [1, 1]
    assert {service for service, _, _ in board.layout.exchanges} == {"reg", "new", ""}


def test_names_for_which_there_is_no_room() -> None:
    """Are returned; a name that was removed keeps its place, so that its counters go on when it comes back."""
    board = Board(Layout(**names("reg").with_spares((1, 0, 0, 0, 0))._asdict()), workers=1)
    assert board.add(names("new")) == []
    assert board.add(names("reg", "other")) == ["other"]
    assert board.add(names("new")) == []
    assert board.layout.names.services == ("reg", "new")
