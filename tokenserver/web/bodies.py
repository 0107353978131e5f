"""Limits for request bodies in transit: how many are read concurrently, in total and per client, and for how long.

A body that arrives slowly costs its client nothing, so it must not cost other clients their place.
"""

from __future__ import annotations

import threading
from types import TracebackType

from tokenserver.authn.protection.places import place_of
from tokenserver.errors import Overloaded
from tokenserver.exchange.admission import MAX_BODIES, MAX_BODIES_PER_CLIENT
from tokenserver.web.client_address import Address

BODY_SECONDS = 10.0
"""How long a body may take to arrive after its headers."""

RETRY_AFTER = 1


class Place:
    """The right to read one body, until `leave`; also a context manager."""

    __slots__ = ("_client", "_places")

    def __init__(self, places: BodyPlaces, client: str) -> None:
        self._places: BodyPlaces | None = places
        self._client = client

    def leave(self) -> None:
        """Release the place; further calls do nothing."""
        places, self._places = self._places, None
        if places is not None:
            places.release(self._client)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()


class BodyPlaces:
    """`total` places for bodies that are being read, at most `each` of them for one client address.

    Addresses are those that the throttle counts by: an IPv4 address, or the /64 of an IPv6 one. Clients with an unknown
    address share the places of one address.
    """

    def __init__(self, *, total: int = MAX_BODIES, each: int = MAX_BODIES_PER_CLIENT) -> None:
        self._total = total
        self._each = each
        self._taken: dict[str, int] = {}  # no entry for 0
        self._all = 0
        self._lock = threading.Lock()

    def take(self, address: Address | None) -> Place:
        """A place for one body of this client.

        Raises:
            Overloaded: the client's address has all of its places, or all places are taken.
        """
        client = place_of(address)
        with self._lock:
            taken = self._taken.get(client, 0)
            if taken >= self._each or self._all >= self._total:
                raise Overloaded("requests", "too many bodies in transit", RETRY_AFTER)
            self._taken[client] = taken + 1
            self._all += 1
        return Place(self, client)

    @property
    def taken(self) -> int:
        """How many bodies are currently being read."""
        with self._lock:
            return self._all

    def release(self, client: str) -> None:
        """Count one body of this client less; see `Place.leave`."""
        with self._lock:
            self._all -= 1
            taken = self._taken.pop(client)
            if taken > 1:
                self._taken[client] = taken - 1
