"""Progress of long work: a line on a terminal's standard error, shown after a second and cleared at the end.

A thread draws it from what the work counts anyway, so the work itself does nothing for it. Without a terminal, in pipes
and log files, there is no thread and no output. The line has no colours.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tokenserver.policy.budget import Budget
from tokenserver.printable import one_line

DELAY_SECONDS = 1.0
"""Work that takes less shows nothing."""

REDRAW_SECONDS = 0.2

NARROW = 80
"""Columns of a terminal that does not say how wide it is."""


@contextmanager
def progress(what: str, done: Callable[[], str] | None = None) -> Iterator[None]:
    """Show `what` is going on, for how long, and how much is `done`, while the block runs.

    `done` is called by another thread; if it raises an error, nothing is shown for it.
    """
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield
        return
    line = _ProgressLine(stream, what, done)
    try:
        line.start()
        yield
    finally:
        line.stop()


def steps_of(budget: Budget) -> Callable[[], str]:
    """How many steps of this budget have been spent."""
    whole = budget.left
    return lambda: f"{whole - budget.left:,} steps"


class _ProgressLine:
    """The line on one terminal, drawn by a thread of its own."""

    def __init__(self, stream: TextIO, what: str, done: Callable[[], str] | None) -> None:
        self._stream = stream
        self._what = what
        self._done = done
        self._width = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Clear the line, also what the terminal itself has put behind it: ^C."""
        self._ended.set()
        if self._thread.ident is not None:  # else it has not run yet, after Ctrl-C at its start, and will draw nothing
            self._thread.join()
        if self._width:
            self._write(f"\r{' ' * min(self._width + 2, self._columns())}\r")

    def _run(self) -> None:
        start = time.monotonic()
        wait = DELAY_SECONDS
        while not self._ended.wait(wait):
            self._draw(time.monotonic() - start)
            wait = REDRAW_SECONDS

    def _draw(self, seconds: float) -> None:
        parts = [f"{seconds:.0f} s"]
        if self._done is not None:
            try:
                parts.append(self._done())
            except Exception:  # the count is a courtesy, and the work goes on
                parts.append("...")
        text = one_line(f"{self._what} ({', '.join(parts)})")[: self._columns()]
        self._write(f"\r{text.ljust(self._width)}")
        self._width = len(text)

    def _columns(self) -> int:
        """The last column stays free, so that the terminal does not wrap."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return (columns or NARROW) - 1

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._ended.set()  # the terminal is gone
