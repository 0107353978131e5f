"""Differences between what this server and the shadow peer answer to the same question. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenserver.exchange.peer.answer import Grants
from tokenserver.printable import cut, one_line
from tokenserver.scopes import Resource, in_order

_MAX_RESOURCE = 300


@dataclass(frozen=True, slots=True)
class LoginDifference:
    """One server accepts the login, and the other one refuses it."""

    is_accepted_here: bool

    @property
    def members(self) -> dict[str, Any]:
        """The members of an event."""
        here, peer = ("accepted", "refused") if self.is_accepted_here else ("refused", "accepted")
        return {"difference": "login", "here": here, "peer": peer}


@dataclass(frozen=True, slots=True)
class AccessDifference:
    """The two servers grant different actions on a resource."""

    resource: Resource
    here: frozenset[str]
    peer: frozenset[str]

    @property
    def members(self) -> dict[str, Any]:
        """The members of an event. The name may be the peer's, and so is made safe to print."""
        return {
            "difference": "access",
            "resource": cut(one_line(str(self.resource)), _MAX_RESOURCE),
            "here": in_order(self.here),
            "peer": in_order(self.peer),
            "peer_more": in_order(self.peer - self.here),
            "peer_less": in_order(self.here - self.peer),
        }


Difference = LoginDifference | AccessDifference


def differences(here: Grants | None, peer: Grants | None, *, has_login: bool = True) -> list[Difference]:
    """What differs between two answers, by resource; None is a refused login.

    Without a login (`has_login`), a refusal is the same as an answer that grants nothing: token servers differ in how
    they answer anonymous clients, and the client gets nothing either way.
    """
    if has_login or here or peer:
        if here is None and peer is None:
            return []
        if here is None or peer is None:
            return [LoginDifference(is_accepted_here=peer is None)]
    ours, theirs = here or {}, peer or {}
    found = [
        AccessDifference(resource, ours.get(resource, frozenset()), theirs.get(resource, frozenset()))
        for resource in sorted({*ours, *theirs})
    ]
    return [one for one in found if one.here != one.peer]
