"""When certificates end: as numbers for whoever measures, and as sentences for whoever reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tokenserver.keys.ring import KeyRing

SIGNING_WARNING = timedelta(days=30)
SIGNING_URGENT = timedelta(days=7)
CA_WARNING = timedelta(days=180)
"""A new CA has to be brought to every registry, so its end is announced long before."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """The seconds until the certificate of the active key and that of the token CA end; below zero: since then.

    `begins` is how long it is until the certificate of the active key begins, below zero since it has.
    """

    active: float
    ca: float
    begins: float = -1.0

    @property
    def problem(self) -> str | None:
        """Why registries take no token at all now, or None where nothing has ended."""
        if self.active <= 0:
            return "the signing certificate has expired, so registries refuse every token"
        if self.ca <= 0:
            return "the token CA has expired, so registries refuse every token"
        if self.begins > 0:
            return "the signing certificate is not valid yet, by this clock; is it right?"
        return None


def expiry(ring: KeyRing, now: datetime) -> Expiry:
    """How long the certificates of `ring` are still valid."""
    return Expiry(
        active=(ring.active.not_after - now).total_seconds(),
        ca=(ring.ca_not_after - now).total_seconds(),
        begins=(ring.active.not_before - now).total_seconds(),
    )


def key_warnings(ring: KeyRing, now: datetime) -> list[str]:
    """What works now but will not for long, as sentences; what ends within a week begins with `urgent`."""
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
