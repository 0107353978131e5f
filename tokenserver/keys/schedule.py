"""When a signing key goes from one state to the next: next -> active -> retired -> gone. Decisions only, no I/O.

Every process and every replica decides by this from the same `ring.json`, so that they agree without talking.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tokenserver.keys.certificates import SIGNING_LIFETIME
from tokenserver.keys.ring import KeyRing, SigningKey

LEEWAY = timedelta(minutes=5)
"""How long after the last token's end its key stays published: registries bear a minute of wrong clocks, and a
replica signs with the old key for the seconds until it has read of the new one."""

RENEW_BEFORE = timedelta(days=30)
"""A certificate is replaced this long before its end, however seldom keys rotate otherwise."""

CERTIFICATE_SLACK = timedelta(days=60)


class RotationStep(StrEnum):
    """One change of the ring."""

    PREPARE = "prepare"
    SWITCH = "switch"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long keys stay in their states.

    A new key is published for `publish_ahead` before it signs. `longest_token` is how long a token may live.
    `rotate_every` is how long a key signs; None: until somebody says so. `pinned`: registries trust single keys, so
    people have to bring them a new one, and only people say when it signs.
    """

    publish_ahead: timedelta
    longest_token: timedelta
    rotate_every: timedelta | None = None
    pinned: bool = False

    @property
    def certificate_lifetime(self) -> timedelta:
        """How long a new signing certificate is valid.

        With rotation not much longer than its key signs, since registries ask nobody whether a certificate still
        counts: a stolen key is of use until its certificate ends.
        """
        if self.rotate_every is None:
            return SIGNING_LIFETIME
        return min(SIGNING_LIFETIME, 2 * self.rotate_every + self.publish_ahead + CERTIFICATE_SLACK)

    def switch_at(self, key: SigningKey) -> datetime:
        """From when on a key that is `next` may sign."""
        return key.since + self.publish_ahead

    def gone_at(self, key: SigningKey) -> datetime:
        """When nobody needs a retired key any more."""
        return key.since + self.longest_token + LEEWAY

    def rotate_at(self, ring: KeyRing) -> datetime | None:
        """When the active key is to be replaced, or None where nothing says so."""
        if self.rotate_every is None:
            return None
        by_age = ring.active.since + self.rotate_every
        if ring.ca_not_after - ring.active.not_after <= RENEW_BEFORE:
            return by_age  # no new certificate would last longer: it is the CA that ends
        return min(by_age, ring.active.not_after - RENEW_BEFORE)

    def prepare_at(self, ring: KeyRing) -> datetime | None:
        """When the next key is to be made, so that it is known in time, or None where nothing says so."""
        rotation = self.rotate_at(ring)
        return None if rotation is None or ring.next else rotation - self.publish_ahead


def due(ring: KeyRing, schedule: Schedule, now: datetime) -> RotationStep | None:
    """The step that is to be done now, without anybody's word; one at a time, or None.

    A key whose certificate is not valid yet does not sign: a clock was ahead when it was made.
    """
    if any(schedule.gone_at(key) <= now for key in ring.retired):
        return RotationStep.FORGET
    if ring.next:
        first = ring.next[0]
        is_time = max(schedule.switch_at(first), first.not_before) <= now
        return RotationStep.SWITCH if is_time and not schedule.pinned else None
    prepare_at = schedule.prepare_at(ring)
    return RotationStep.PREPARE if prepare_at is not None and prepare_at <= now else None
