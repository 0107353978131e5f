"""When keys change their states: each moment, and that no sequence of moments harms anybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.keys.certificates import generate_p256, issue_certificate, make_ca, signing_key
from tokenserver.keys.ring import Algorithm, KeyRing, SigningKey
from tokenserver.keys.schedule import LEEWAY, RotationStep, Schedule, due

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)

SCHEDULE = Schedule(publish_ahead=HOUR, longest_token=HOUR, rotate_every=30 * DAY)
BY_HAND = replace(SCHEDULE, rotate_every=None)
PINNED = replace(SCHEDULE, pinned=True)


def _key() -> SigningKey:
    ca_key, key = generate_p256(), generate_p256()
    ca = make_ca(ca_key, issuer="a", now=NOW)
    certificate = issue_certificate(key, ca=ca, ca_key=ca_key, issuer="a", now=NOW)
    return signing_key("first", Algorithm.ES256, key, certificate)


KEY = _key()
RING = KeyRing("", NOW + 3650 * DAY, KEY)


def key(name: str, since: datetime, *, until: datetime | None = None, valid_from: datetime | None = None) -> SigningKey:
    not_after = until or since + 825 * DAY
    return replace(KEY, id=name, since=since, not_after=not_after, not_before=valid_from or since - HOUR)


def ring(active: timedelta = 0 * DAY, **others: timedelta) -> KeyRing:
    """A ring whose states began that long before NOW."""
    return replace(
        RING,
        active=key("active", NOW - active),
        next=tuple(key(name, NOW - age) for name, age in others.items() if name.startswith("next")),
        retired=tuple(key(name, NOW - age) for name, age in others.items() if name.startswith("retired")),
    )


@pytest.mark.parametrize(
    ("found", "schedule", "expected"),
    [
        pytest.param(ring(), SCHEDULE, None, id="new"),
        pytest.param(ring(30 * DAY - HOUR - SECOND), SCHEDULE, None, id="not yet time for a new key"),
        pytest.param(ring(30 * DAY - HOUR), SCHEDULE, RotationStep.PREPARE, id="in time to be known when it signs"),
        pytest.param(ring(400 * DAY), SCHEDULE, RotationStep.PREPARE, id="long overdue"),
        pytest.param(ring(400 * DAY), BY_HAND, None, id="nothing says how often"),
        pytest.param(ring(30 * DAY), PINNED, RotationStep.PREPARE, id="pinned: prepared all the same"),
        pytest.param(ring(30 * DAY, next=HOUR - SECOND), SCHEDULE, None, id="not known for long enough"),
        pytest.param(ring(30 * DAY, next=HOUR), SCHEDULE, RotationStep.SWITCH, id="known for long enough"),
        pytest.param(ring(3 * DAY, next=HOUR), BY_HAND, RotationStep.SWITCH, id="made by hand, switched by itself"),
        pytest.param(ring(30 * DAY, next=9 * DAY), PINNED, None, id="pinned: people switch"),
        pytest.param(ring(30 * DAY, next=-DAY), SCHEDULE, None, id="published in the future: a clock was ahead"),
        pytest.param(ring(-DAY), SCHEDULE, None, id="active in the future: a clock was ahead"),
        pytest.param(ring(HOUR, retired=HOUR + LEEWAY - SECOND), SCHEDULE, None, id="a token of it may still live"),
        pytest.param(ring(HOUR, retired=HOUR + LEEWAY), SCHEDULE, RotationStep.FORGET, id="its last token is over"),
        pytest.param(ring(HOUR, retired=-DAY), SCHEDULE, None, id="retired in the future: it stays"),
        pytest.param(ring(40 * DAY, next=DAY, retired=DAY), SCHEDULE, RotationStep.FORGET, id="one step at a time"),
        pytest.param(ring(DAY, retired1=HOUR, retired2=DAY), BY_HAND, RotationStep.FORGET, id="one of several"),
    ],
)
def test_what_is_due(found: KeyRing, schedule: Schedule, expected: RotationStep | None) -> None:
    """Each state ends when its time has come, and not a second earlier."""
    assert due(found, schedule, NOW) is expected


@pytest.mark.parametrize(
    ("active", "ca_ends", "expected"),
    [
        pytest.param(31 * DAY + HOUR + SECOND, 900 * DAY, None, id="more than a month is left"),
        pytest.param(30 * DAY + HOUR, 900 * DAY, RotationStep.PREPARE, id="a month is left"),
        pytest.param(-DAY, 900 * DAY, RotationStep.PREPARE, id="it is over"),
        pytest.param(10 * DAY, 10 * DAY, None, id="the CA ends as well: a new one would not last longer"),
        pytest.param(10 * DAY, 41 * DAY, RotationStep.PREPARE, id="the CA ends later"),
    ],
)
def test_a_certificate_is_replaced_before_its_end(
    active: timedelta, ca_ends: timedelta, expected: RotationStep | None
) -> None:
    """However young the key is, its certificate is renewed in time; for ever the same CA's end is no reason."""
    found = replace(RING, active=key("active", NOW, until=NOW + active), ca_not_after=NOW + ca_ends)
    assert due(found, SCHEDULE, NOW) is expected


def test_a_certificate_of_the_future_waits() -> None:
    """A clock was ahead when the key was made: registries would refuse it now."""
    waiting = key("next", NOW - DAY, valid_from=NOW + SECOND)
    found = replace(RING, next=(waiting,))
    assert [due(found, SCHEDULE, NOW), due(found, SCHEDULE, NOW + SECOND)] == [None, RotationStep.SWITCH]


@pytest.mark.parametrize(
    ("rotate_every", "days"),
    [
        pytest.param(None, 825, id="without rotation"),
        pytest.param(30 * DAY, 120, id="every month"),
        pytest.param(DAY, 62, id="every day"),
        pytest.param(730 * DAY, 825, id="hardly ever"),
    ],
)
def test_a_certificate_does_not_live_for_much_longer_than_its_key(rotate_every: timedelta | None, days: int) -> None:
    """Nobody can revoke one, so with rotation a stolen key is of no use after a while."""
    assert replace(SCHEDULE, rotate_every=rotate_every).certificate_lifetime.days == days


def test_what_people_are_told() -> None:
    """The moments by name: when a key may sign, is to be replaced, is gone."""
    found = ring(DAY, next=DAY)
    assert SCHEDULE.switch_at(found.next[0]) == NOW - DAY + HOUR
    assert SCHEDULE.gone_at(found.active) == NOW - DAY + HOUR + LEEWAY
    assert (SCHEDULE.rotate_at(found), BY_HAND.rotate_at(found)) == (NOW + 29 * DAY, None)
    assert (SCHEDULE.prepare_at(found), BY_HAND.prepare_at(ring())) == (None, None)
    assert SCHEDULE.prepare_at(ring()) == NOW + 30 * DAY - HOUR


# --- timelines -------------------------------------------------------------------------------------------------------


def _prepare(found: KeyRing, number: int, now: datetime) -> KeyRing:
    return replace(found, next=(*found.next, key(f"key{number}", now)))


def _switch(found: KeyRing, _number: int, now: datetime) -> KeyRing:
    first, *rest = found.next
    old = replace(found.active, since=now)
    return replace(found, active=replace(first, since=now), next=tuple(rest), retired=(*found.retired, old))


def _forget(found: KeyRing, _number: int, now: datetime) -> KeyRing:
    return replace(found, retired=tuple(one for one in found.retired if SCHEDULE.gone_at(one) > now))


APPLY: dict[RotationStep, Callable[[KeyRing, int, datetime], KeyRing]] = {
    RotationStep.PREPARE: _prepare,
    RotationStep.SWITCH: _switch,
    RotationStep.FORGET: _forget,
}

GAPS = st.lists(st.integers(min_value=1, max_value=40 * 86400), min_size=1, max_size=60)


@given(gaps=GAPS)
def test_no_timeline_harms_anybody(gaps: list[int]) -> None:
    """At any time, a key signs only after verifiers had time to learn of it, and is removed only after its last token
    has expired; there is at most one next key."""
    found, now = ring(), NOW
    published: dict[str, datetime] = {}
    signed_until: dict[str, datetime] = {}
    for number, gap in enumerate(gaps):
        now += timedelta(seconds=gap)
        step = due(found, SCHEDULE, now)
        if step is None:
            continue
        before, found = found, APPLY[step](found, number, now)
        for one in found.next:
            published.setdefault(one.id, now)
        if found.active.id != before.active.id:
            signed_until[before.active.id] = now
            assert now - published[found.active.id] >= SCHEDULE.publish_ahead
        for gone in {one.id for one in before.published()} - {one.id for one in found.published()}:
            assert now >= signed_until[gone] + SCHEDULE.longest_token
        assert len(found.next) <= 1
