"""The columns that a query for users can return, and how much of each is read. Pure."""

from __future__ import annotations

from collections.abc import Sequence

REQUIRED, SUBJECT, GROUPS, LABELS = "password_hash", "subject", "groups", "labels"
ENABLED, DISABLED = "enabled", "disabled"

LIMITS = {REQUIRED: 512, SUBJECT: 255, GROUPS: 65_536, LABELS: 65_536, ENABLED: 16, DISABLED: 16}
"""Characters of each column; of a longer value, one more is read, so that it can be refused."""


def columns_problem(names: Sequence[str]) -> str | None:
    """Why a query that returns these columns cannot be used, with the fix; None if it can."""
    lower = [name.lower() for name in names]
    if REQUIRED not in lower:
        found = ", ".join(names)
        return f"the query returns no column {REQUIRED} (but {found}); fix: SELECT … AS {REQUIRED}"
    repeated = next((name for name in LIMITS if lower.count(name) > 1), None)
    if repeated is not None:
        return f"the query returns the column {repeated} twice; fix: return one of them"
    return None
