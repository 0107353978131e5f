"""Why management refuses something. The texts can be sent to the actor: they reveal only what it may know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tokenserver.errors import InvalidRequest, RequestError


class MayNotManage(RequestError):
    """The actor, or the credential that it used, may not do this, regardless of the target."""


class ProofTooOld(MayNotManage):
    """The login is too old for making a secret; logging in again fixes this."""

    def __init__(self) -> None:
        super().__init__("the login is more than an hour ago; fix: log in again to make a secret")


class NotFoundHere(RequestError):
    """Nothing that the actor may know of has this name or id."""


class Conflict(RequestError):
    """The change conflicts with what exists, such as a third secret of a robot. The text says how to fix it."""


class ActorEnded(Conflict):
    """The login by which the actor asks has ended while its request was in progress. Nothing was changed."""


class WishFault(NamedTuple):
    """What is wrong with one member of a wish. `field` is its name, with the number of an item: `networks[1]`."""

    field: str
    message: str


class InvalidWish(InvalidRequest):
    """Members of a wish are wrong. `faults` has all of them, `field` is that of the first."""

    def __init__(self, faults: Iterable[WishFault]) -> None:
        self.faults = tuple(faults)
        self.field = self.faults[0].field
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in self.faults))

    @classmethod
    def of(cls, field: str, message: str) -> InvalidWish:
        """One fault."""
        return cls([WishFault(field, message)])
