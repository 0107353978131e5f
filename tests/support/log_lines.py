"""Lines of the log that a server writes for programs: JSON, one object a line."""

from __future__ import annotations

import json


def messages_in(log: str) -> list[str]:
    """The messages of the log, of which each line is JSON, in their order."""
    return [json.loads(line)["message"] for line in log.splitlines()]
