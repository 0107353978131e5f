"""Requests at the boundaries of all patterns of a configuration, and random combinations of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from tokenserver.importers.docker_auth.model import AclEntry, DockerAuthConfig, Labels, PeerRequest
from tokenserver.importers.docker_auth.translation.name_readings import PLACEHOLDER
from tokenserver.scopes import ACTIONS, is_repository_name

_WORDS = re.compile(r"[A-Za-z0-9@._-]+", re.ASCII)
_MAX_VALUES = 2_000
STRANGER = "someone-else"

Choose = Callable[[int], int]
"""A number below the given one."""


@dataclass(frozen=True, slots=True)
class BoundaryValues:
    """The values that matter for each part of a request. `clients` are accounts with their labels."""

    clients: tuple[tuple[str, Labels], ...]
    names: tuple[str, ...]
    services: tuple[str, ...]
    addresses: tuple[str | None, ...]

    def any_request(self, choose: Choose) -> PeerRequest:
        """A combination that `choose` selects."""
        account, labels = self.clients[choose(len(self.clients))]
        is_catalog = not choose(12)
        actions = _ACTION_SETS[choose(len(_ACTION_SETS))]
        return PeerRequest(
            account=account,
            name="catalog" if is_catalog else self.names[choose(len(self.names))],
            actions=("*",) if is_catalog else actions,
            type="registry" if is_catalog else "repository",
            service=self.services[choose(len(self.services))],
            ip=self.addresses[choose(len(self.addresses))],
            labels=labels,
        )


_ACTION_SETS: tuple[tuple[str, ...], ...] = (ACTIONS, ("pull",), ("pull", "push"), ("delete",), ("*",))


def values_of(config: DockerAuthConfig, services: Iterable[str], more_names: Iterable[str] = ()) -> BoundaryValues:
    """The values at the boundaries of the patterns of a configuration."""
    users = config.users or {}
    clients: list[tuple[str, Labels]] = [(name, user.labels) for name, user in users.items()]
    if config.backends:
        clients += [one for one in _strangers(config.acl or ()) if one[0] not in users]
    labels = sorted({value for _, held in clients for values in held.values() for value in values})
    accounts = [account for account, _ in clients]
    names: dict[str, None] = dict.fromkeys(one for one in more_names if is_repository_name(one))
    for entry in config.acl or ():
        if entry.match is not None and entry.match.name is not None:
            names.update(dict.fromkeys(_near(entry.match.name, accounts, labels)))
        if len(names) > _MAX_VALUES:
            break
    names.update(dict.fromkeys(["x", "x/y", "x/y/z"]))
    return BoundaryValues(
        clients=tuple(clients or [("", {})]),
        names=tuple(names),
        services=tuple(sorted(services)),
        addresses=tuple(_addresses(config.acl or ())),
    )


def _strangers(acl: Sequence[AclEntry]) -> Iterator[tuple[str, Labels]]:
    """Accounts of other sources that the entries are about, and one that none is about."""
    yield STRANGER, {}
    for entry in acl[:_MAX_VALUES]:
        match = entry.match
        if match is None:
            continue
        account = "".join(_WORDS.findall(match.account or "")) or STRANGER
        yield account, {label: tuple(_WORDS.findall(pattern)[:3]) for label, pattern in match.labels}
        for found in PLACEHOLDER.finditer(match.name or ""):
            if found[3] is not None:
                yield account, {found[3]: ("some", "value")}


def _near(pattern: str, accounts: Sequence[str], labels: Sequence[str]) -> Iterator[str]:
    """Names that a pattern matches, or nearly."""
    texts = [pattern]
    if "${" in pattern:
        used = [*dict.fromkeys((*accounts[:8], *labels[:12]))] or ["x"]
        texts = [PLACEHOLDER.sub(value.replace("\\", ""), pattern) for value in used if is_repository_name(value)]
        texts += [
            PLACEHOLDER.sub(lambda found, one=one, other=other: one if found[3] is None else other, pattern)  # type: ignore[misc]
            for one in accounts[:8]
            for other in labels[:12]
        ]
    for text in texts:
        branches = text.strip("/").strip("^$").replace("\\", "").split("|") if text.startswith("/") else [text]
        for branch in branches:
            for filling in ("x", "ab", ""):
                base = re.sub(r"\[[^]]*\][*+]?|\.[*+]|\(|\)|[*?+]|\*\*", filling, branch).strip("/^$")
                for name in (base, f"{base}/x", f"{base}/x/y", f"x/{base}", f"{base}s", f"x{base}"):
                    if is_repository_name(name):
                        yield name


def _addresses(acl: Iterable[AclEntry]) -> Iterator[str | None]:
    """Addresses at both ends of every network, and one that is in none; docker_auth knows the address always."""
    found = {"192.0.2.77": None, "2001:db8::77": None}
    for entry in acl:
        if entry.match is None or not entry.match.ip:
            continue
        network = ip_network(entry.match.ip, strict=False)
        for address in (network.network_address, network.broadcast_address):
            found[str(address)] = None
            if int(address) + 1 < 1 << network.max_prefixlen:
                found[str(address + 1)] = None
        if len(found) > _MAX_VALUES:
            break
    yield from found
