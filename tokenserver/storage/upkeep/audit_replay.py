"""Which credentials an audit log says have ended, so that restoring a backup does not bring them back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_ID = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)


def ended_in(lines: Iterable[bytes]) -> set[str]:
    """The ids in the member `ended` of events, and those of credentials that were refused because they had ended.

    Lines that are no events are skipped: a log may end in the middle of one.
    """
    found: set[str] = set()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            found.update(_ended(event))
    return found


def _ended(event: dict[str, Any]) -> Iterable[str]:
    named = event.get("ended")
    ids = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    reason = event.get("reason")
    if isinstance(reason, str) and " has ended: " in reason:
        ids = [*ids, event.get("credential")]
    return (one for one in ids if isinstance(one, str) and _ID.fullmatch(one))
