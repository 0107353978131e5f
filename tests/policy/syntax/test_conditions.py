"""The syntax of `when:`."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.document import parse
from tokenserver.identity import Kind
from tokenserver.policy.analysis.conditions import as_facts
from tokenserver.policy.model import Condition
from tokenserver.policy.syntax.conditions import read_when
from tokenserver.policy.syntax.reader import Reader

DAY = datetime(2027, 1, 31, tzinfo=UTC)


def read(value: Any) -> tuple[Condition, list[str]]:
    """The condition, and the faults with their places."""
    reader = Reader(parse("when: {}\n", "a.yaml"))
    return read_when(reader, value, ("when",)), [f"{fault.path}: {fault.message}" for fault in reader.faults]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"from": ["10.0.0.0/8"]}, Condition((ip_network("10.0.0.0/8"),)), id="networks"),
        pytest.param({"from": "::1"}, Condition((ip_network("::1/128"),)), id="one address"),
        pytest.param({"not_from": "::1"}, Condition(outside=(ip_network("::1/128"),)), id="not from one address"),
        pytest.param(
            {"from": ["10.0.0.0/8"], "not_from": ["10.1.0.0/16", "10.2.0.0/16"]},
            Condition((ip_network("10.0.0.0/8"),), outside=(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))),
            id="from and not from",
        ),
        pytest.param({"since": "2027-01-31"}, Condition(since=DAY), id="since"),
        pytest.param({"until": "2027-01-31T00:00:00Z"}, Condition(until=DAY), id="until"),
        pytest.param({"kind": "password"}, Condition(kinds=frozenset({Kind.PASSWORD})), id="one kind"),
        pytest.param(
            {"kind": ["password", "anonymous"]}, Condition(kinds=frozenset({Kind.PASSWORD, Kind.ANONYMOUS})), id="kinds"
        ),
        pytest.param(
            {"since": "2027-01-31", "until": "2027-01-31T00:00:00.000001Z"},
            Condition(since=DAY, until=DAY.replace(microsecond=1)),
            id="the shortest time",
        ),
    ],
)
def test_a_condition(value: dict[str, Any], expected: Condition) -> None:
    """Each key, alone and together."""
    assert read(value) == (expected, [])


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        pytest.param({}, "when: is empty: leave the key out, or fill it", id="empty"),
        pytest.param([], "when: must be a mapping (key: value), not a list", id="a list"),
        pytest.param({"form": "::1"}, "when.form: unknown key; did you mean 'from'?", id="a misspelt key"),
        pytest.param({"from": []}, "when.from: is an empty list: leave the key out, or fill it", id="no network"),
        pytest.param(
            {"not_from": []}, "when.not_from: is an empty list: leave the key out, or fill it", id="not from nowhere"
        ),
        pytest.param(
            {"not_from": "10.0.0.1/8"},
            "when.not_from: '10.0.0.1/8': has bits set after the prefix; fix: write 10.0.0.0/8",
            id="host bits outside",
        ),
        pytest.param(
            {"from": ["10.1.0.0/16"], "not_from": ["10.0.0.0/9", "10.128.0.0/9"]},
            "when.not_from: excludes all of from, so the rule would never apply",
            id="nothing left of from",
        ),
        pytest.param(
            {"not_from": ["0.0.0.0/0", "::/1", "8000::/1"]},
            "when.not_from: excludes every address, so the rule would never apply",
            id="nothing left",
        ),
        pytest.param(
            {"from": "10.0.0.1/8"},
            "when.from: '10.0.0.1/8': has bits set after the prefix; fix: write 10.0.0.0/8",
            id="host bits",
        ),
        pytest.param(
            {"since": "2027-01-31T18:00"},
            "when.since: '2027-01-31T18:00': has no time zone; fix: write 2027-01-31T18:00Z for UTC",
            id="no zone",
        ),
        pytest.param(
            {"since": "2027-01-31", "until": "2027-01-31"},
            "when.until: is not after since, so the rule would never apply",
            id="a time that never is",
        ),
        pytest.param(
            {"until": 20270101}, "when.until: must be a date, not a number; fix: write 2027-01-01", id="digits"
        ),
        pytest.param(
            {"until": 2027}, "when.until: must be text, not a number; quote it if text is meant", id="a year alone"
        ),
        pytest.param(
            {"kind": "pasword"}, "when.kind: unknown kind of credential 'pasword'; did you mean 'password'?", id="kind"
        ),
    ],
)
def test_no_condition(value: Any, fault: str) -> None:
    """A fault says what would be right: a condition that is read wrongly would open or close everything."""
    assert read(value)[1] == [fault]


moments = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - see timezones
networks = st.sampled_from([*map(ip_network, ("10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "::/0", "2001:db8::/32"))])


@given(
    st.lists(networks, max_size=3, unique=True),
    st.none() | moments,
    st.none() | moments,
    st.frozensets(st.sampled_from(Kind)),
    st.lists(st.just(ip_network("10.1.0.0/16")), max_size=1),
)
def test_what_is_spelled_is_read(
    found: list[IPv4Network | IPv6Network],
    since: datetime | None,
    until: datetime | None,
    kinds: frozenset[Kind],
    outside: list[IPv4Network | IPv6Network],
) -> None:
    """Any condition comes back from the words in which commands print it."""
    condition = Condition(tuple(found), since, until, kinds, tuple(outside))
    facts = as_facts(condition)
    if not facts:
        return
    is_never = since is not None and until is not None and since >= until
    assert read(facts) == (condition, ["when.until: is not after since, so the rule would never apply"] * is_never)
