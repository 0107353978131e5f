"""Standard output (audit events) and standard error (the log) of a server with several processes.

Each line is written whole and in bounded time (see `audit_sink`). If both lead to the same place (`2>&1`, or a
journal), they share a lock, so that no log line lands between two pieces of an audit event.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import sys
from typing import Any, NamedTuple

from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.audit_chain.state import ChainState
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.sink_state import SinkState
from tokenserver.process.color_choice import wants_color

LOG_WAIT_SECONDS = 0.4
"""How long a log line may block its caller; a line that cannot be written in that time is dropped. So a request that
has waited for the audit log in vain, and logs that, still takes less than two seconds.
"""


class Outputs(NamedTuple):
    """The state that processes share for each output: the same object if both lead to one place, None if unshared."""

    audit: SinkState | None = None
    log: SinkState | None = None


def shared_outputs(*, chained: bool = False) -> Outputs:
    """The outputs of this process and those that it forks later; `chained` if audit events have links.

    Raises:
        LoadError: there is no memory to share, so lines of several processes could mix.
    """
    try:
        audit = ChainState() if chained else SinkState()
        return Outputs(audit, audit if _is_same_file() else SinkState())
    except OSError as error:
        message = f"there is no memory for what processes share about it: {error.strerror}"
        raise LoadError([Fault("standard output", 0, "", message)]) from error


class Appearance(NamedTuple):
    """How output looks: `log` and `audit` in words instead of JSON, and which of the two are coloured."""

    log: bool = False
    audit: bool = False
    log_color: bool = False
    audit_color: bool = False


def appearance(wanted: str | None) -> Appearance:
    """The appearance of the log and of audit events.

    Args:
        wanted: `console` or `json`; by default, lines at a terminal are in words. Audit events are so only at a
            terminal, whatever is wanted: what a program reads is always JSON.
    """
    log_terminal, audit_terminal = _is_terminal(sys.stderr), _is_terminal(sys.stdout)
    return Appearance(
        log=log_terminal if wanted is None else wanted == "console",
        audit=audit_terminal and wanted != "json",
        log_color=wants_color(log_terminal),
        audit_color=wants_color(audit_terminal),
    )


def _is_terminal(stream: Any) -> bool:
    return stream is not None and not stream.closed and bool(stream.isatty())


def check_output() -> None:
    """Check that audit events can be written at all.

    Raises:
        LoadError: standard output is closed, or open only for reading.
    """
    is_open = sys.stdout is not None  # Python sets None if the descriptor is closed
    if is_open:
        with contextlib.suppress(io.UnsupportedOperation):  # replaced by an object without a descriptor
            is_open = fcntl.fcntl(sys.stdout.fileno(), fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    if not is_open:
        message = "cannot be written to, but audit events go there; fix: start the server with an open one"
        raise LoadError([Fault("standard output", 0, "", message)])


class LogHandler(logging.Handler):
    """Writes log records to standard error. Dropped records are counted in the next line."""

    def __init__(self, state: SinkState | None = None, encoding: str = "ascii") -> None:
        super().__init__()
        self._encoding = encoding
        # If it is closed, its number may soon be that of a client's connection.
        descriptor = None if sys.stderr is None else sys.stderr.fileno()
        self._sink = None if descriptor is None else DescriptorSink(descriptor, state, wait=LOG_WAIT_SECONDS)
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; never raises, and waits at most `LOG_WAIT_SECONDS`."""
        if self._sink is None:
            return
        try:
            if self._dropped:
                text = f"{self._dropped} log lines could not be written"
                note = logging.LogRecord("tokenserver.log", logging.WARNING, "", 0, text, None, None)
                self._sink.write(self._line(note))
                self._dropped = 0
            self._sink.write(self._line(record))
        except OSError:
            self._dropped += 1
        except Exception:  # a record that cannot be formatted must not fail the request that it is about
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode(self._encoding, "backslashreplace") + b"\n"


def _is_same_file() -> bool:
    if sys.stdout is None or sys.stderr is None:
        return False
    try:
        out, err = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except io.UnsupportedOperation:
        return False
    return (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino)
