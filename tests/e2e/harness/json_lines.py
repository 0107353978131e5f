"""What a program writes line by line in JSON, read while it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def whole_lines(written: Path | bytes) -> list[dict[str, Any]]:
    """The lines of a file, or of what was read of it. The last one is left out if only its beginning is there yet."""
    data = written if isinstance(written, bytes) else written.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
