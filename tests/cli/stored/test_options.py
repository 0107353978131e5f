"""Options of secrets: ends, durations and ids. Limits are tested with the commands that have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from tokenserver.cli.stored.options import now_utc, parse_duration_option, parse_end
from tokenserver.management.wishes import end_after, spell_duration

NOW = datetime(2026, 11, 29, 12, 0, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.mark.parametrize(
    ("value", "end"),
    [
        pytest.param("1h", datetime(2026, 11, 29, 13, 1, tzinfo=UTC), id="duration"),
        pytest.param("365d", datetime(2027, 11, 29, 12, 1, tzinfo=UTC), id="year"),
        pytest.param("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC), id="date"),
        pytest.param("2026-12-01T01:00:00+01:00", datetime(2026, 12, 1, tzinfo=UTC), id="moment"),
    ],
)
def test_ends(value: str, end: datetime) -> None:
    """Durations count from now, and are never cut short."""
    assert parse_end(value, NOW, YEAR) == end


@pytest.mark.parametrize("value", ["59m", "366d", "2026-11-29", "2027-12-01", "soon", "", "999999d", "9999-12-31"])
def test_wrong_ends(value: str) -> None:
    """Too early, too late, and what is neither a duration nor a date."""
    with pytest.raises(click.BadParameter):
        parse_end(value, NOW, YEAR)


@pytest.mark.parametrize(
    ("seconds", "text"), [(90 * 86400, "90d"), (36 * 3600, "36h"), (5400, "90m"), (61, "61s"), (86400, "1d")]
)
def test_durations_in_words(seconds: int, text: str) -> None:
    """In the largest unit that fits."""
    assert spell_duration(timedelta(seconds=seconds)) == text


def test_a_duration_option() -> None:
    """None without a value; at most what is allowed."""
    context, parameter = click.Context(click.Command("x")), click.Option(["--overlap"])
    callback = parse_duration_option(timedelta(days=30))
    assert callback(context, parameter, None) is None
    assert callback(context, parameter, "0s") == timedelta(0)
    assert callback(context, parameter, "30d") == timedelta(days=30)
    for wrong in ("31d", "1", "a day"):
        with pytest.raises(click.BadParameter, match="must be a duration such as 24h, at most 30d"):
            callback(context, parameter, wrong)


def test_a_whole_minute() -> None:
    """Not before the duration has passed."""
    end = end_after(timedelta(days=1), now_utc())
    assert (end.second, end.microsecond) == (0, 0)
    assert timedelta(0) < end - now_utc() - timedelta(days=1) <= timedelta(minutes=1)
