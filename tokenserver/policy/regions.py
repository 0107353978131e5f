"""The circumstances that conditions tell apart: registry, address, time and kind of credential, and how to spell them.

Every condition holds, or not, throughout one cell of circumstances, so that one context out of each cell stands for
all contexts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import groupby, product
from typing import Any, TypeVar

from tokenserver.identity import Kind
from tokenserver.policy.conditions import Network, spell_moment
from tokenserver.policy.model import Context, Rule

OTHER_SERVICE = "\0"
"""A registry that no rule names."""

UNKNOWN = "unknown"
"""How a client address that is not known is spelled among networks."""

_ROOTS: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_MAPPED = IPv6Network("::ffff:0:0/96")

_Client = IPv4Address | IPv6Address | None
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Cell:
    """One context and kind of credential, standing for all that no condition tells from it."""

    kind: Kind
    context: Context


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All cells that a set of rules distinguishes, from a moment on. Made by `Circumstances.of`."""

    kinds: tuple[Kind, ...]
    services: tuple[str, ...]
    moments: tuple[datetime, ...]
    clients: Mapping[Network | None, _Client]

    @classmethod
    def of(cls, rules: Iterable[Rule], kinds: Iterable[Kind], since: datetime) -> Circumstances:
        """The cells that `rules` distinguish from the moment `since` on, for credentials of these kinds."""
        services: set[str] = set()
        moments = {since}
        networks: set[Network] = set()
        for rule in rules:
            services |= rule.services or set()
            if rule.condition is not None:
                edges = (rule.condition.since, rule.condition.until)
                moments |= {edge for edge in edges if edge is not None and edge > since}
                networks |= set(rule.condition.networks)
        return cls(
            tuple(kinds),
            (*sorted(services), OTHER_SERVICE),
            tuple(sorted(moments)),
            _clients(networks) if networks else {None: None},
        )

    def cells(self) -> list[Cell]:
        """Every cell."""
        parts = product(self.kinds, self.services, self.moments, self.clients.values())
        return [Cell(kind, Context(service, client, now)) for kind, service, now, client in parts]

    def regions(self, found: Mapping[Cell, _Found]) -> list[tuple[dict[str, Any], Cell, _Found]]:
        """The cells of `found` in as few pieces as can be spelled, each spelled and with one cell that lies in it."""
        by_run: dict[tuple[tuple[str, Any], ...], dict[str, dict[Kind, Cell]]] = {}
        spelled: dict[tuple[tuple[str, Any], ...], dict[str, Any]] = {}
        for service, kind in product(self.services, self.kinds):
            for facts, cell in self._runs(service, kind, found):
                key = tuple((name, str(value)) for name, value in facts.items())
                spelled[key] = facts
                by_run.setdefault(key, {}).setdefault(service, {})[kind] = cell
        regions: list[tuple[dict[str, Any], Cell, _Found]] = []
        for key, by_service in by_run.items():
            for kinds in dict.fromkeys(tuple(by_kind) for by_kind in by_service.values()):
                chosen = [service for service, by_kind in by_service.items() if tuple(by_kind) == kinds]
                cell = by_service[chosen[0]][kinds[0]]
                facts = {**self._services(chosen), **spelled[key]}
                if len(kinds) < len(self.kinds):
                    facts["kind"] = sorted(kinds)
                regions.append((facts, cell, found[cell]))
        return regions

    def _services(self, chosen: Sequence[str]) -> dict[str, Any]:
        if len(chosen) == len(self.services):
            return {}
        if OTHER_SERVICE in chosen:
            return {"not_service": [service for service in self.services if service not in chosen]}
        return {"service": list(chosen)}

    def _runs(self, service: str, kind: Kind, found: Mapping[Cell, _Found]) -> Iterable[tuple[dict[str, Any], Cell]]:
        """The times in a row in which the same clients are concerned, for one registry and kind of credential."""

        def clients_at(place: int) -> tuple[Network | None, ...]:
            now = self.moments[place]
            return tuple(
                network
                for network, client in self.clients.items()
                if Cell(kind, Context(service, client, now)) in found
            )

        for networks, places in groupby(range(len(self.moments)), clients_at):
            run = list(places)
            if not networks:
                continue
            facts = self._addresses(networks)
            if run[0] > 0:
                facts["since"] = spell_moment(self.moments[run[0]])
            if run[-1] + 1 < len(self.moments):
                facts["until"] = spell_moment(self.moments[run[-1] + 1])
            yield facts, Cell(kind, Context(service, self.clients[networks[0]], self.moments[run[0]]))

    def _addresses(self, chosen: Sequence[Network | None]) -> dict[str, Any]:
        """`from` and `not_from`, of which for every address the narrowest network that holds it counts."""
        if len(chosen) == len(self.clients):
            return {}
        within: list[str] = []
        outside: list[str] = []
        from_anywhere = all(root in chosen for root in _ROOTS)
        for network in self.clients:
            if network is None:
                continue
            parent = _parent(network, self.clients)
            is_parent_chosen = from_anywhere if parent is None else parent in chosen
            if network in chosen and not is_parent_chosen:
                within.append(str(network))
            elif network not in chosen and is_parent_chosen:
                outside.append(str(network))
        if None in chosen and not from_anywhere:
            within.append(UNKNOWN)
        if None not in chosen and from_anywhere:
            outside.append(UNKNOWN)
        return {name: listed for name, listed in (("from", within), ("not_from", outside)) if listed}


def _clients(networks: Iterable[Network]) -> dict[Network | None, _Client]:
    """For each network an address that lies in it and in none within it, and the client whose address is not known."""
    every = sorted({*networks, *_ROOTS}, key=lambda one: (one.version, one.network_address.packed, one.prefixlen))
    clients: dict[Network | None, _Client] = {}
    for network in every:
        inner = [other for other in (*every, _MAPPED) if _is_within(other, network) and other != network]
        candidates = [int(network.network_address), *(int(other.broadcast_address) + 1 for other in inner)]
        kind = type(network.network_address)
        for number in sorted(candidates):
            if number <= int(network.broadcast_address):
                address = kind(number)
                if not any(address in other for other in inner):
                    clients[network] = address
                    break
    clients[None] = None
    return clients


def _is_within(one: Network, other: Network) -> bool:
    return one.version == other.version and one.network_address in other and one.prefixlen >= other.prefixlen


def _parent(network: Network, others: Iterable[Network | None]) -> Network | None:
    """The narrowest of `others` around the network; None around the whole of the internet."""
    around = [other for other in others if other is not None and other != network and _is_within(network, other)]
    return max(around, key=lambda one: one.prefixlen, default=None)
