"""The repeated use of a workload's token: found by its tag, as long as the login cache has what it proved."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from tokenserver.authn.authenticator import WorkloadAuthenticator
from tokenserver.identity import Identity, Kind


class TokenUse:
    """A `KeyUse` of a verified token. `recall` returns its identity from the login cache, as `Guard.recalling` does.

    Policies are those of one snapshot, so each identity from the cache is looked up in them once.
    """

    __slots__ = ("_declared", "_recall", "_workloads")

    def __init__(self, recall: Callable[[], Identity | None], workloads: WorkloadAuthenticator) -> None:
        self._recall = recall
        self._workloads = workloads
        self._declared: Identity | None = None

    def again(self, _client: IPv4Address | IPv6Address | None, _now: float, /) -> Identity | None:
        """The workload, whatever the address of the client; None if its token has to be verified (again).

        Raises:
            InvalidCredentials: it is not declared any more.
        """
        found = self._recall()
        if found is self._declared:
            return found
        if found is None or found.kind is not Kind.WORKLOAD:
            return None
        self._workloads.require_declared(found)
        self._declared = found
        return found
