"""What the policies of this server grant for a request to docker_auth. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.importers.docker_auth.model import PeerRequest
from tokenserver.importers.docker_auth.translation.account_readings import label_group
from tokenserver.policy.decide import decide
from tokenserver.policy.model import Context, PolicySet
from tokenserver.scopes import ACTIONS, TYPES, Resource, Scope, is_repository_name


@dataclass(frozen=True, slots=True)
class OurSide:
    """The policies, the services that tokens are signed for, and the static accounts, whose groups the policies define.

    `rejected` are accounts of docker_auth that cannot log in here.
    """

    policies: PolicySet
    services: Collection[str]
    static: Collection[str]
    now: datetime
    rejected: Collection[str] = ()

    def can_be_asked(self, request: PeerRequest) -> bool:
        """Whether a request has a place here: for an unknown service, type or name nothing is ever granted."""
        return request.service in self.services and request.type in TYPES and is_repository_name(request.name)

    def granted(self, request: PeerRequest) -> frozenset[str]:
        """The actions that are granted of those that are asked for."""
        if not self.can_be_asked(request) or request.account in self.rejected:
            return frozenset()
        resource = Resource(request.type, request.name)
        scope = Scope(resource, frozenset(request.actions).intersection(ACTIONS))
        address = None if request.ip is None else ip_address(request.ip)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        context = Context(request.service, address, self.now)
        return decide(self.policies, self.identity(request), scope, context).granted

    def identity(self, request: PeerRequest) -> Identity:
        """The client: groups of static accounts are in the policies, those of others come from their source."""
        if not request.account:
            return ANONYMOUS
        is_static = request.account in self.static
        groups = frozenset(
            label_group(label, value) for label, values in request.labels.items() for value in values if not is_static
        )
        return Identity(request.account, Kind.PASSWORD, "static" if is_static else "other", groups)
