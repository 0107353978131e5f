"""The row of a user: from the texts of its columns to who the user is, and whether the account may be used. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tokenserver.authn.sql.columns import DISABLED, ENABLED, GROUPS, LABELS, LIMITS, REQUIRED, SUBJECT
from tokenserver.authn.sql.group_values import UnreadableGroups, groups_in, groups_of_labels
from tokenserver.authn.usernames import name_problem
from tokenserver.credentials import Secret

Row = Mapping[str, str | None]
"""A row by its columns, all as text; None for NULL. There is a column only if the query returns it."""

_YES = frozenset({"1", "true", "t", "yes", "y", "on", "\x01"})
_NO = frozenset({"0", "false", "f", "no", "n", "off", "\x00"})
"""Truth as databases spell it; the last one of each is a BIT of MariaDB."""


class UnusableRow(Exception):
    """The row identifies nobody. The text is the reason for the audit event, and repeats no value but a name."""


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user. `hashed` has no text if no password is set; `problem` is why the account cannot be used, or None."""

    subject: str
    hashed: Secret
    groups: frozenset[str]
    problem: str | None


def read_row(row: Row, name: str, plain_labels: Collection[str] = ()) -> UserRow:
    """The user in a row that was found by `name`, which is the subject if the row has no column for it.

    Raises:
        UnusableRow: a value is too long, or not what its column has to hold.
    """
    for column, text in row.items():
        if text is not None and len(text) > LIMITS[column]:
            raise UnusableRow(f"the column {column} has more than {LIMITS[column]} characters")
    subject = unicodedata.normalize("NFC", (row[SUBJECT] or "") if SUBJECT in row else name)
    problem = name_problem(subject)
    if problem is not None:
        raise UnusableRow(f"the column {SUBJECT} cannot be a user name: {problem}")
    try:
        column = GROUPS
        groups = groups_in(row.get(GROUPS))
        column = LABELS
        groups |= groups_of_labels(row.get(LABELS), plain_labels)
    except UnreadableGroups as error:
        raise UnusableRow(f"the column {column} {error}") from None
    return UserRow(subject, Secret(row.get(REQUIRED) or ""), groups, _account_problem(row))


def _account_problem(row: Row) -> str | None:
    """NULL, and whatever is neither true nor false, refuses."""
    for column, allowed, forbidden in ((ENABLED, _YES, _NO), (DISABLED, _NO, _YES)):
        if column not in row:
            continue
        text = (row[column] or "").lower()
        if text in forbidden:
            return "the account is disabled"
        if text not in allowed:
            what = "NULL" if row[column] is None else "neither true nor false"
            return f"the account counts as disabled: the column {column} is {what}"
    return None
