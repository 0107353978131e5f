"""Circumstances that conditions distinguish: cells of registry, address, time and kind of credential.

Every condition has one value throughout a cell, so one context of each cell represents all contexts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import groupby, product
from typing import Any, TypeVar

from tokenserver.identity import PEOPLE, Kind
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.budget import Budget
from tokenserver.policy.model import Context, Rule
from tokenserver.policy.networks import Network

OTHER_SERVICE = "\0"
"""A registry that no rule names."""

UNKNOWN = "unknown"
"""Spelling of an unknown client address in a list of networks."""

CELLS_PER_STEP = 4
"""Number of cells that count as one step."""

_ROOTS: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_MAPPED = IPv6Network("::ffff:0:0/96")

_Client = IPv4Address | IPv6Address | None
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Cell:
    """One context and kind of credential, representing all that no condition distinguishes from it."""

    kind: Kind
    context: Context


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All cells that a set of rules distinguishes from some moment on. Created by `Circumstances.of`."""

    kinds: Mapping[Kind, tuple[Kind, ...]]
    """One kind of credential of those that no condition tells apart, with all of them."""
    services: tuple[str, ...]
    moments: tuple[datetime, ...]
    clients: Mapping[Network | None, _Client]
    parents: Mapping[Network, Network]
    """The narrowest other network that contains each one; the roots have none."""

    @classmethod
    def of(
        cls, rules: Iterable[Rule], kinds: Iterable[Kind], since: datetime, budget: Budget | None = None
    ) -> Circumstances:
        """The cells that `rules` distinguish from the moment `since` on, for credentials of these kinds.

        Raises:
            TooComplex: there are more cells than the budget has steps.
        """
        services: set[str] = set()
        moments = {since}
        networks: set[Network] = set()
        asked: set[frozenset[Kind]] = set()
        for rule in rules:
            services |= rule.services or set()
            if rule.condition is not None:
                asked.add(rule.condition.kinds)
                edges = (rule.condition.since, rule.condition.until)
                moments |= {edge for edge in edges if edge is not None and edge > since}
                networks |= {*rule.condition.networks, *rule.condition.outside}
        clients, parents = _clients(networks) if networks else ({None: None}, {})
        found = cls(_alike(kinds, asked), (*sorted(services), OTHER_SERVICE), tuple(sorted(moments)), clients, parents)
        parts = (found.kinds, found.services, found.moments, found.clients)
        (budget or Budget()).spend(math.prod(map(len, parts)) // CELLS_PER_STEP)
        return found

    def cells(self) -> list[Cell]:
        """Every cell."""
        parts = product(self.kinds, self.services, self.moments, self.clients.values())
        return [Cell(kind, Context(service, client, now)) for kind, service, now, client in parts]

    def merged(self, found: Mapping[Cell, _Found]) -> list[tuple[dict[str, Any], Cell, _Found]]:
        """The cells of `found`, merged into as few conditions as possible; each with one of its cells and values."""
        by_run: dict[tuple[tuple[str, Any], ...], dict[str, dict[Kind, Cell]]] = {}
        spelled: dict[tuple[tuple[str, Any], ...], dict[str, Any]] = {}
        for service, kind in product(self.services, self.kinds):
            for facts, cell in self._runs(service, kind, found):
                key = tuple((name, str(value)) for name, value in facts.items())
                spelled[key] = facts
                by_run.setdefault(key, {}).setdefault(service, {})[kind] = cell
        pieces: list[tuple[dict[str, Any], Cell, _Found]] = []
        for key, by_service in by_run.items():
            for kinds in dict.fromkeys(tuple(by_kind) for by_kind in by_service.values()):
                chosen = [service for service, by_kind in by_service.items() if tuple(by_kind) == kinds]
                cell = by_service[chosen[0]][kinds[0]]
                facts = {**self._services(chosen), **spelled[key]}
                if len(kinds) < len(self.kinds):
                    facts["kind"] = sorted(one for kind in kinds for one in self.kinds[kind])
                pieces.append((facts, cell, found[cell]))
        return pieces

    def _services(self, chosen: Sequence[str]) -> dict[str, Any]:
        if len(chosen) == len(self.services):
            return {}
        if OTHER_SERVICE in chosen:
            return {"not_service": [service for service in self.services if service not in chosen]}
        return {"service": list(chosen)}

    def _runs(self, service: str, kind: Kind, found: Mapping[Cell, _Found]) -> Iterable[tuple[dict[str, Any], Cell]]:
        """Runs of consecutive time spans with the same clients, for one registry and kind of credential."""

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

    def _addresses(self, chosen: Collection[Network | None]) -> dict[str, Any]:
        """`from` (without it: from anywhere) and `not_from`; the narrowest network that contains an address counts."""
        if len(chosen) == len(self.clients):
            return {}
        chosen = frozenset(chosen)
        within: list[str] = []
        outside: list[str] = []
        from_anywhere = all(root in chosen for root in _ROOTS)
        for network in self.clients:
            if network is None:
                continue
            parent = self.parents.get(network)
            is_parent_chosen = from_anywhere if parent is None else parent in chosen
            if network in chosen and not is_parent_chosen:
                within.append(str(network))
            elif network not in chosen and is_parent_chosen:
                outside.append(str(network))
        if from_anywhere and within:
            within = [*map(str, _ROOTS), *within]  # otherwise these would seem to be all
        if None in chosen and (within or not from_anywhere):
            within.append(UNKNOWN)
        if None not in chosen and not within:
            outside.append(UNKNOWN)
        return {name: listed for name, listed in (("from", within), ("not_from", outside)) if listed}


def _alike(kinds: Iterable[Kind], asked: Collection[frozenset[Kind]]) -> dict[Kind, tuple[Kind, ...]]:
    """The kinds of people that are in the same of these sets, under the first of them; each other kind alone."""
    found: dict[tuple[object, ...], list[Kind]] = {}
    for kind in kinds:
        # Rules tell machines and anonymous clients from people without a condition.
        other = None if kind in PEOPLE else kind
        found.setdefault((other, *(kind in one for one in asked)), []).append(kind)
    return {alike[0]: tuple(alike) for alike in found.values()}


def _clients(networks: Iterable[Network]) -> tuple[dict[Network | None, _Client], dict[Network, Network]]:
    """For each network, an address in it that no narrower one contains; and None for the unknown address.

    The second result is the narrowest other network that contains each one.
    """
    wanted = {*networks, *_ROOTS}
    # IPv4-mapped addresses are not IPv6 clients.
    every = sorted({*wanted, _MAPPED}, key=lambda one: (one.version, one.network_address.packed, one.prefixlen))
    free = {network: int(network.network_address) for network in every}
    parents: dict[Network, Network] = {}
    enclosing: list[Network] = []
    for network in every:
        while enclosing and not _is_within(network, enclosing[-1]):
            enclosing.pop()
        for parent in enclosing[-1:]:
            parents[network] = next(one for one in reversed(enclosing) if one in wanted)
            if free[parent] == int(network.network_address):
                free[parent] = int(network.broadcast_address) + 1
        enclosing.append(network)
    clients: dict[Network | None, _Client] = {
        network: type(network.network_address)(free[network])
        for network in every
        if network in wanted and free[network] <= int(network.broadcast_address)
    }
    clients[None] = None
    return clients, parents


def _is_within(one: Network, other: Network) -> bool:
    return one.version == other.version and one.network_address in other and one.prefixlen >= other.prefixlen
