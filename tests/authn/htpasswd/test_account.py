"""The state of an account: dates and instants, and the comment that keeps it in an htpasswd file."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.htpasswd.account import (
    ACTIVE,
    DISABLED,
    Account,
    parse_end,
    read_comment,
    spell_comment,
)
from tokenserver.authn.usernames import name_problem


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("2027-01-31", "2027-02-01T00:00:00Z", id="the end of the day"),
        pytest.param("2028-02-29", "2028-03-01T00:00:00Z", id="a leap day"),
        pytest.param("2027-01-31T18:00:00Z", "2027-01-31T18:00:00Z", id="an instant"),
        pytest.param("2027-01-31t18:00:00z", "2027-01-31T18:00:00Z", id="in small letters"),
        pytest.param("2027-01-31T18:00:00+02:00", "2027-01-31T16:00:00Z", id="east"),
        pytest.param("2027-01-31T18:00:00-05:30", "2027-01-31T23:30:00Z", id="west"),
        pytest.param("2027-01-31T18:00:00.25Z", "2027-01-31T18:00:00Z", id="a fraction"),
    ],
)
def test_ends(text: str, instant: str) -> None:
    """A date includes that day, in UTC, wherever the server is; an instant is meant as it is written (RFC 3339)."""
    end = parse_end(text)
    assert end.instant == instant
    assert parse_end(end.text) == end


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("tomorrow", id="a word"),
        pytest.param("31.01.2027", id="another order"),
        pytest.param("2027-02-30", id="a day that does not exist"),
        pytest.param("2027-1-31", id="one digit"),
        pytest.param("20270131", id="the basic form"),
        pytest.param("2027-W01-1", id="a week"),
        pytest.param("2027-01-31T18:00:00", id="no offset"),
        pytest.param("2027-01-31 18:00:00Z", id="a blank"),
        pytest.param("2027-01-31T25:00:00Z", id="hour 25"),
        pytest.param("2027-01-31T18:00:60Z", id="a leap second"),
        pytest.param("2027-01-31T18:00:00+99:00", id="an impossible offset"),
        pytest.param("9999-12-31", id="the end of the calendar"),
        pytest.param("0001-01-01T00:00:00+05:00", id="before the calendar"),
        pytest.param("\uff12\uff10\uff12\uff17-01-31", id="other digits"),
        pytest.param("2027-01-31\n", id="a newline"),
    ],
)
def test_no_ends(text: str) -> None:
    """Anything else is rejected, with an example of each form."""
    with pytest.raises(ValueError, match="is neither a date such as 2027-01-31 nor an instant such as 2027-01-31T18"):
        parse_end(text)


END = parse_end("2027-01-31")


@pytest.mark.parametrize(
    ("account", "seconds", "problem"),
    [
        pytest.param(ACTIVE, 0, None, id="active"),
        pytest.param(DISABLED, 0, "the account is disabled", id="disabled"),
        pytest.param(Account(until=END), -0.001, None, id="the last moment"),
        pytest.param(Account(until=END), 0, "the account has expired (until 2027-01-31)", id="the end"),
        pytest.param(Account(until=END), 9e9, "the account has expired (until 2027-01-31)", id="long after"),
        pytest.param(Account(True, END), -9e8, "the account is disabled", id="disabled before its end"),
    ],
)
def test_problem(account: Account, seconds: float, problem: str | None) -> None:
    """An account with an end can be used before it, and not at it."""
    assert account.problem(END.moment + seconds) == problem


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("# tokenserver-account: ann: disabled", ("ann", DISABLED), id="disabled"),
        pytest.param("# tokenserver-account: ann: until 2027-01-31", ("ann", Account(until=END)), id="until"),
        pytest.param("# tokenserver-account: ann: disabled, until 2027-01-31", ("ann", Account(True, END)), id="both"),
        pytest.param("#tokenserver-account:ann:until 2027-01-31,disabled", ("ann", Account(True, END)), id="no blanks"),
        pytest.param("#\tTokenserver-Account : ann smith :  disabled ", ("ann smith", DISABLED), id="more blanks"),
        pytest.param("# ann: disabled", None, id="another comment"),
        pytest.param("# tokenserver: ann: disabled", None, id="another comment of ours"),
        pytest.param("# see tokenserver-account: ann: disabled", None, id="in the middle"),
        pytest.param("ann:x", None, id="a user"),
        pytest.param("", None, id="empty"),
        pytest.param("# tokenserver-account: ann", ("", None), id="no state"),
        pytest.param("# tokenserver-account ann: disabled", ("", None), id="no colon"),
        pytest.param("# tokenserver-account ann: x: disabled", ("", None), id="a word before the colon"),
        pytest.param("# tokenserver-account: : disabled", ("", None), id="no name"),
        pytest.param("# tokenserver-account: everyone: disabled", ("", None), id="a name that nobody can have"),
        pytest.param("# tokenserver-account: ann: ", ("ann", None), id="an empty state"),
        pytest.param("# tokenserver-account: ann: disable", ("ann", None), id="misspelled"),
        pytest.param("# tokenserver-account: ann: DISABLED", ("ann", None), id="in capitals"),
        pytest.param("# tokenserver-account: ann: disabled, disabled", ("ann", None), id="twice"),
        pytest.param("# tokenserver-account: ann: disabled,", ("ann", None), id="a comma too many"),
        pytest.param("# tokenserver-account: ann: until", ("ann", None), id="no date"),
        pytest.param("# tokenserver-account: ann: until 2027-02-30", ("ann", None), id="no such date"),
        pytest.param("# tokenserver-account: ann: until 2027-01-31, until 2028-01-31", ("ann", None), id="two dates"),
    ],
)
def test_comments(line: str, expected: tuple[str, Account | None] | None) -> None:
    """A comment that begins like ours and cannot be read is recognised as damaged, never as an ordinary comment."""
    assert read_comment(line) == expected


_INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
_ACCOUNTS = st.builds(
    Account, st.booleans(), st.none() | _INSTANTS.map(lambda one: parse_end(one.isoformat(timespec="seconds")))
).filter(lambda account: account != ACTIVE)


@given(st.text(min_size=1, max_size=40).filter(lambda name: name_problem(name) is None), _ACCOUNTS)
def test_what_is_written_is_read(name: str, account: Account) -> None:
    """For every legal name and every account."""
    assert read_comment(spell_comment(name, account)) == (name, account)


@given(st.text())
def test_any_text(text: str) -> None:
    """No text raises an error; what is read has a legal name."""
    said = read_comment(f"# tokenserver-account{text}")
    assert said is None or not said[0] or name_problem(said[0]) is None
