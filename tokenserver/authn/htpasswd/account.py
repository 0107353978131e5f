"""Accounts of an htpasswd file that are disabled, or end: how the file says so, and when a login is rejected.

A comment carries the state, since every tool keeps comments while it changes a password, and others ignore them:
`# tokenserver-account: ann: disabled, until 2027-01-31`. The hash of such a user is locked with `!` as well, like in
shadow(5), so that it matches no password in any other program; a lock without a comment means disabled. So whichever of
the two is lost, the account does not come back to life.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tokenserver.authn.usernames import name_problem

LOCK = "!"
"""In front of a hash: no program can match it."""

FORM = "# tokenserver-account: NAME: disabled, until DATE"

_COMMENT = re.compile(r"#[ \t]*tokenserver-account\b(?P<rest>.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class End:
    """When an account ends: `moment` is the first one at which it is rejected, in seconds since 1970.

    `text` is what the file says.
    """

    text: str
    moment: float

    @property
    def instant(self) -> str:
        """The moment in RFC 3339, in UTC; rounded down to a second."""
        return datetime.fromtimestamp(self.moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Account:
    """Whether a user with the right password is let in."""

    is_disabled: bool = False
    until: End | None = None

    def problem(self, now: float) -> str | None:
        """Why a login is rejected at `now`, in seconds since 1970; None if the account can be used."""
        if self.is_disabled:
            return "the account is disabled"
        if self.until is not None and now >= self.until.moment:
            return f"the account has expired (until {self.until.text})"
        return None

    def __str__(self) -> str:
        """The state as the comment has it, such as `disabled, until 2027-01-31`; empty for an ordinary account."""
        end = [] if self.until is None else [f"until {self.until.text}"]
        return ", ".join((["disabled"] if self.is_disabled else []) + end)


ACTIVE = Account()
DISABLED = Account(is_disabled=True)


def parse_end(text: str) -> End:
    """A date, which is used up at the end of that day in UTC, or an instant of RFC 3339 with its offset.

    Raises:
        ValueError: it is neither; the text says what would be right.
    """
    try:
        if _DATE.fullmatch(text):
            midnight = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return End(text, (midnight + timedelta(days=1)).timestamp())
        if _INSTANT.fullmatch(text):
            # In capitals, because Python 3.11 reads no other T and Z.
            return End(text.upper(), datetime.fromisoformat(text.upper()).astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        pass  # a 30th of February, or a day beyond the calendar
    problem = "is neither a date such as 2027-01-31 nor an instant such as 2027-01-31T18:00:00Z"
    raise ValueError(problem)


def spell_comment(name: str, account: Account) -> str:
    """The line, without its end, that gives the user `name` this account."""
    return f"# tokenserver-account: {name}: {account}"


def read_comment(line: str) -> tuple[str, Account | None] | None:
    """The user and the account on a line without its end; None if it is no such comment.

    The account is None, and the name may be empty, where the comment is damaged: it must not be ignored then.
    """
    matched = _COMMENT.fullmatch(line)
    if matched is None:
        return None
    colon, name, state = _fields(matched["rest"])
    if not colon or name_problem(name) is not None:
        return "", None
    return name, _account(state)


def _fields(rest: str) -> tuple[bool, str, str]:
    before, first, after = rest.partition(":")
    name, second, state = after.partition(":")
    return bool(first and second and not before.strip(" \t")), name.strip(" \t"), state


def _account(state: str) -> Account | None:
    is_disabled, until = False, None
    for part in state.split(","):
        word, _, value = part.strip(" \t").partition(" ")
        if word == "disabled" and not value and not is_disabled:
            is_disabled = True
        elif word == "until" and until is None:
            try:
                until = parse_end(value.strip(" \t"))
            except ValueError:
                return None
        else:
            return None
    return Account(is_disabled, until)
