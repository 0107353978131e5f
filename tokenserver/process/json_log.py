"""The log on standard error: one line of ASCII JSON per record, or a readable line at a terminal.

Nothing in a line could forge another one.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from tokenserver.exchange.sink_state import SinkState
from tokenserver.runtime.tracing.spans import current


def logging_config(state: SinkState | None, *, console: bool = False, color: bool = False) -> dict[str, Any]:
    """The `logging.config` dictionary of every process of a server; they share `state` for their log lines.

    With `console`, lines are for a person at a terminal, in colour with `color`.

    Only audit events go to standard output, so that it can be piped; everything else goes to standard error.
    """
    handler = {"class": "tokenserver.process.outputs.LogHandler", "formatter": "line", "state": state}
    line: dict[str, Any] = {"()": "tokenserver.process.json_log.JsonFormatter"}
    if console:
        line = {"()": "tokenserver.process.console.ConsoleFormatter", "color": color}
        handler["encoding"] = "utf-8"
    granian = {"handlers": ["stderr"], "level": "INFO", "propagate": False, "filters": ["advice"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"advice": {"()": "tokenserver.process.json_log.WithoutThreadAdvice"}},
        "formatters": {"line": line},
        "handlers": {"stderr": handler},
        "loggers": {"_granian": granian, "granian.access": {"handlers": [], "propagate": False}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }


class WithoutThreadAdvice(logging.Filter):
    """Drops granian's warning about many threads: most of ours only wait, and their number is bounded."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        return not record.getMessage().startswith("Configuration allows spawning up to")


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, message, and the trace id of a request that has one.

    An exception is named by its type only: its text may hold anything.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of ASCII JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
        trace = current()
        if trace is not None:
            line["trace_id"] = trace.trace_id
        return json.dumps(line)
