"""Certificate expiry: the remaining time for metrics, and warnings for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tokenserver.keys.ring import KeyRing

SIGNING_WARNING = timedelta(days=30)
SIGNING_URGENT = timedelta(days=7)
CA_WARNING = timedelta(days=180)
"""A new CA has to be deployed to every registry, so its expiry is announced early."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Seconds until the certificates of the active key and of the token CA expire; negative after that.

    `begins` is the time until the certificate of the active key becomes valid; negative after that.
    """

    active: float
    ca: float
    begins: float = -1.0

    @property
    def problem(self) -> str | None:
        """Why registries reject every token now; None if they do not."""
        if self.active <= 0:
            return "the signing certificate has expired, so registries refuse every token"
        if self.ca <= 0:
            return "the token CA has expired, so registries refuse every token"
        if self.begins > 0:
            return "the signing certificate is not valid yet, by this clock; is it right?"
        return None


def expiry(ring: KeyRing, now: datetime) -> Expiry:
    """The remaining validity of the certificates of `ring`."""
    return Expiry(
        active=(ring.active.not_after - now).total_seconds(),
        ca=(ring.ca_not_after - now).total_seconds(),
        begins=(ring.active.not_before - now).total_seconds(),
    )


def key_warnings(ring: KeyRing, now: datetime) -> list[str]:
    """Warnings about certificates that expire soon; those within a week begin with `urgent`."""
    found = []
    for key in (ring.active, *ring.next):
        left = key.not_after - now
        if left <= SIGNING_WARNING:
            urgent = "urgent: " if left <= SIGNING_URGENT else ""
            found.append(
                f"{urgent}the certificate of the signing key {key.id} {_ends(key.not_after, now)};"
                " registries then refuse every token that it signs: replace the keys before"
            )
    if ring.ca_not_after - now <= CA_WARNING:
        found.append(
            f"the token CA {_ends(ring.ca_not_after, now)}; every registry that trusts it needs a new one before"
        )
    return found


def _ends(not_after: datetime, now: datetime) -> str:
    days = (not_after - now).days
    return f"expires on {not_after:%Y-%m-%d}, in {days} days" if days >= 0 else f"expired on {not_after:%Y-%m-%d}"
