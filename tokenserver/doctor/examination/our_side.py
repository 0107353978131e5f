"""Facts about our side: settings and keys, for each registry with the keys that sign for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

from tokenserver.config.load import config_path
from tokenserver.config.registries import RegistrySettings
from tokenserver.config.settings import KeySet, Settings
from tokenserver.doctor.facts import OurKey, OurRegistry, Ours
from tokenserver.doctor.registry.trust_files import ring_certificates
from tokenserver.errors import Fault, LoadError
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.store import load_keys


@dataclass(frozen=True, slots=True)
class Side:
    """The facts about one set of keys, and the keys themselves."""

    ours: Ours
    ring: KeyRing


@dataclass(frozen=True, slots=True)
class Sides:
    """`general` has the server-wide keys; `own` maps each service name to the side whose keys sign for it."""

    general: Side
    own: Mapping[str, Side]

    def of(self, registry: OurRegistry | None) -> Side:
        """The side to compare this registry with."""
        return self.general if registry is None else self.own[registry.service]


def our_sides(settings: Settings, config: Path | None, now: datetime) -> Sides:
    """Load every key folder.

    Raises:
        LoadError: every fault of every folder.
    """
    faults: list[Fault] = []
    sides: list[tuple[KeySet, Side]] = []
    for keys in settings.key_sets():
        try:
            ring = load_keys(keys.folder, now=now)
        except LoadError as error:
            faults.extend(error.faults)
            continue
        sides.append((keys, Side(_ours(settings, keys, ring, config), ring)))
    if faults:
        raise LoadError(faults)
    own = {name: side for keys, side in sides for entry in keys.registries for name in entry.names}
    return Sides(sides[0][1], own)


def _ours(settings: Settings, used: KeySet, ring: KeyRing, config: Path | None) -> Ours:
    ca, certificates = ring_certificates(ring)
    keys = [
        OurKey(key.id, key.algorithm.value, certificate)
        for key, certificate in zip(ring.published(), certificates, strict=True)
    ]
    signing = 1 + len(ring.next)
    return Ours(
        config=str(config_path(config)),
        url=settings.server.url,
        realm=settings.server.realm,
        registries=tuple(_registry(settings, registry) for registry in settings.registries),
        ca=ca,
        keys=tuple(keys[:signing]),
        retired=tuple(keys[signing:]),
        query=_query(settings, used),
    )


def _query(settings: Settings, used: KeySet) -> str:
    """What selects these keys in the URLs of published keys: without it they also give those of other key folders.

    A registry must trust no others, since each CA can sign tokens for every registry that trusts it.
    """
    if len(settings.key_sets()) == 1 or not used.registries:
        return ""
    return f"?{urlencode({'service': used.registries[0].service})}"


def _registry(settings: Settings, entry: RegistrySettings) -> OurRegistry:
    lifetime = entry.token_lifetime.default
    return OurRegistry(
        entry.service, settings.issuer_of(entry), entry.compat, lifetime, entry.url, entry.also, entry.algorithm
    )
