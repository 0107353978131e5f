"""Our own side for the doctor: settings and keys as facts."""

from __future__ import annotations

from pathlib import Path

from tokenserver.config.load import config_path
from tokenserver.config.settings import Registry, Settings
from tokenserver.doctor.facts import OurKey, OurRegistry, Ours
from tokenserver.doctor.trust import ring_certificates
from tokenserver.keys.ring import KeyRing


def our_side(settings: Settings, ring: KeyRing, config: Path | None) -> Ours:
    """What this installation says and signs with."""
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
        registries=tuple(our_registry(settings, registry) for registry in settings.registries),
        ca=ca,
        keys=tuple(keys[:signing]),
        retired=tuple(keys[signing:]),
    )


def our_registry(settings: Settings, registry: Registry) -> OurRegistry:
    """One entry of `registries`."""
    return OurRegistry(registry.service, settings.issuer, registry.compat, registry.token_lifetime, registry.url)
