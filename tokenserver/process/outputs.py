"""Standard output (audit events) and standard error (the log) of a server with several processes.

Each line of either is written whole and in bounded time, as `audit_sink` has it. Where both lead to one place (`2>&1`,
or a journal), they are written under one lock, so that no log line comes between two pieces of an audit event.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import sys
from typing import NamedTuple

from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.sink_state import SinkState

LOG_WAIT_SECONDS = 0.4
"""How long a log line may hold up what logs it; one that finds no room in that time is left out. A request that waited
for the audit trail in vain, and logs it, has not waited for two seconds then.
"""


class Outputs(NamedTuple):
    """What processes share about both: one and the same where they lead to one place, None where each has its own."""

    audit: SinkState | None = None
    log: SinkState | None = None


def shared_outputs() -> Outputs:
    """For this process and those that are forked after it was called.

    Raises:
        LoadError: there is no memory for it, and lines of several processes could mix.
    """
    try:
        audit = SinkState()
        return Outputs(audit, audit if _is_one_place() else SinkState())
    except OSError as error:
        message = f"there is no memory for what processes share about it: {error.strerror}"
        raise LoadError([Fault("standard output", 0, "", message)]) from error


def check_output() -> None:
    """See that audit events can be written at all.

    Raises:
        LoadError: standard output is closed, or open for reading alone.
    """
    is_open = sys.stdout is not None  # Python gives none where the descriptor is closed
    if is_open:
        with contextlib.suppress(io.UnsupportedOperation):  # what stands in for it here is no descriptor
            is_open = fcntl.fcntl(sys.stdout.fileno(), fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    if not is_open:
        message = "cannot be written to, but audit events go there; fix: start the server with an open one"
        raise LoadError([Fault("standard output", 0, "", message)])


class LogHandler(logging.Handler):
    """Writes log records to standard error. One that cannot be written is left out, and counted in the next one."""

    def __init__(self, state: SinkState | None = None) -> None:
        super().__init__()
        # Where it is closed, its number may be that of a client's connection soon.
        descriptor = None if sys.stderr is None else sys.stderr.fileno()
        self._sink = None if descriptor is None else DescriptorSink(descriptor, state, wait=LOG_WAIT_SECONDS)
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; never raises and never waits for long."""
        if self._sink is None:
            return
        try:
            if self._left_out:
                text = f"{self._left_out} log lines could not be written"
                note = logging.LogRecord("tokenserver.log", logging.WARNING, "", 0, text, None, None)
                self._sink.write(self._line(note))
                self._left_out = 0
            self._sink.write(self._line(record))
        except OSError:
            self._left_out += 1
        except Exception:  # a record that cannot be spelled must not cost the request that it is about
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode("ascii", "backslashreplace") + b"\n"


def _is_one_place() -> bool:
    if sys.stdout is None or sys.stderr is None:
        return False
    try:
        out, err = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except io.UnsupportedOperation:
        return False
    return (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino)
