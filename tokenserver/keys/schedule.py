"""Rotation schedule: when a signing key changes its state (next -> active -> retired -> gone). Pure, no I/O.

All processes and replicas decide from the same `ring.json`, so they agree without communicating.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tokenserver.keys.certificates import SIGNING_LIFETIME
from tokenserver.keys.ring import KeyRing, SigningKey

LEEWAY = timedelta(minutes=5)
"""How long a key stays published after its last token has expired: registries tolerate a minute of clock skew, and a
replica signs with the old key for the few seconds until it has loaded the new ring."""

RENEW_BEFORE = timedelta(days=30)
"""A key is replaced at the latest this long before its certificate expires, however rarely keys rotate."""

CERTIFICATE_SLACK = timedelta(days=60)


class RotationStep(StrEnum):
    """One change of the ring."""

    PREPARE = "prepare"
    SWITCH = "switch"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long keys stay in each state.

    A new key is published for `publish_ahead` before it signs. `longest_token` is the maximum lifetime of a token.
    `rotate_every` is how long a key signs; None: until it is rotated by hand. `pinned`: registries trust individual
    keys, so a new one must be deployed to them by hand before it may sign.
    """

    publish_ahead: timedelta
    longest_token: timedelta
    rotate_every: timedelta | None = None
    pinned: bool = False

    @property
    def certificate_lifetime(self) -> timedelta:
        """The lifetime of a new signing certificate.

        With rotation it is not much longer than its key signs, since registries do not check for revocation: a stolen
        key is usable until its certificate expires.
        """
        if self.rotate_every is None:
            return SIGNING_LIFETIME
        return min(SIGNING_LIFETIME, 2 * self.rotate_every + self.publish_ahead + CERTIFICATE_SLACK)

    def switch_at(self, key: SigningKey) -> datetime:
        """The time from which a key in the state `next` may sign."""
        return key.since + self.publish_ahead

    def gone_at(self, key: SigningKey) -> datetime:
        """The time from which a retired key is no longer needed."""
        return key.since + self.longest_token + LEEWAY

    def rotate_at(self, ring: KeyRing) -> datetime | None:
        """When the active key is due to be replaced; None without automatic rotation."""
        if self.rotate_every is None:
            return None
        by_age = ring.active.since + self.rotate_every
        if ring.ca_not_after - ring.active.not_after <= RENEW_BEFORE:
            return by_age  # a new certificate would not last longer, since the CA expires
        return min(by_age, ring.active.not_after - RENEW_BEFORE)

    def prepare_at(self, ring: KeyRing) -> datetime | None:
        """When the next key is due to be created, so that it is published in time; None if none is due."""
        rotation = self.rotate_at(ring)
        return None if rotation is None or ring.next else rotation - self.publish_ahead


def due(ring: KeyRing, schedule: Schedule, now: datetime) -> RotationStep | None:
    """The automatic step that is due now, one at a time; None if there is none.

    A key does not sign before its certificate is valid, which happens if a clock was ahead when it was made.
    """
    if any(schedule.gone_at(key) <= now for key in ring.retired):
        return RotationStep.FORGET
    if ring.next:
        first = ring.next[0]
        is_time = max(schedule.switch_at(first), first.not_before) <= now
        return RotationStep.SWITCH if is_time and not schedule.pinned else None
    prepare_at = schedule.prepare_at(ring)
    return RotationStep.PREPARE if prepare_at is not None and prepare_at <= now else None
