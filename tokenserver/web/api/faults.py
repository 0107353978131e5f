"""What is wrong with a request to the API, part by part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tokenserver.errors import InvalidRequest, RequestError


class RequestFault(NamedTuple):
    """What is wrong with one part of a request: `body.networks[1]`, `query.cursor`, `header.Idempotency-Key`."""

    place: str
    message: str


class BadRequest(InvalidRequest):
    """The request is wrong. `faults` has all that is wrong with it."""

    def __init__(self, faults: Iterable[RequestFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.place}: {fault.message}" for fault in self.faults))

    @classmethod
    def at(cls, place: str, message: str) -> BadRequest:
        """One fault."""
        return cls([RequestFault(place, message)])


class UnknownPath(RequestError):
    """Nothing is at this path of the API."""


class MethodNotOffered(RequestError):
    """The path has no such method. `allowed` are those that it has."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = tuple(sorted(allowed))
        super().__init__(f"the method is not offered here; use {', '.join(self.allowed)}")


class CrossSiteRequest(RequestError):
    """A page of another site sent the request, or the header that proves the opposite is missing."""


class KeyReused(RequestError):
    """The idempotency key was used for another request."""


class StillInProgress(RequestError):
    """A request with this idempotency key is in progress."""
