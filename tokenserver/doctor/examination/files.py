"""Examination of a registry by its files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokenserver.doctor.checks.mirror import check_mirror
from tokenserver.doctor.checks.setup import check_setup, find_registry, kinds_for
from tokenserver.doctor.checks.trust import RegistryTrust
from tokenserver.doctor.checks.uses import check_uses
from tokenserver.doctor.examination.token import Baseline
from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.findings import Finding
from tokenserver.scopes import Scope


def examine_files(baseline: Baseline, wanted: Sequence[Scope]) -> list[Finding]:
    """Compare a registry's configuration and trusted keys with our side. `wanted` is what its users want to do."""
    files, ours, kind = baseline.files, baseline.ours, baseline.kind
    assert files is not None  # noqa: S101 - the caller has read some
    setup = files.setup
    registry = baseline.registry or find_registry(ours, setup.service)
    software = (RegistryKind.DISTRIBUTION3,) if setup.only_in_3 else ()
    mirror = check_mirror(setup, ours, software if kind is None else (kind,))
    if registry is None:
        return [*check_setup(setup, ours, (), None), *mirror, *check_uses(setup, None, wanted)]
    ours = replace(baseline, registry=registry).ours
    kinds = kinds_for(setup, registry, kind)
    found = check_setup(setup, ours, kinds, registry)
    if setup.auth == "token" or (setup.empty and "cert" not in setup.empty):
        trust = RegistryTrust(
            setup=setup, ours=ours, registry=registry, kinds=kinds, bundle=files.bundle, jwks=files.jwks, at=baseline.at
        )
        found += trust.check()
    return [*found, *mirror, *check_uses(setup, registry, wanted)]
