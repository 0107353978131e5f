"""The log's form: one JSON line per record, with nothing in it that could forge another line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime


class WithoutThreadAdvice(logging.Filter):
    """Drops granian's advice against many threads: most of ours only wait, and how many may is bounded."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record stays."""
        return not record.getMessage().startswith("Configuration allows spawning up to")


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger and message. Of an exception only its kind: its text may hold anything."""

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
        return json.dumps(line)
