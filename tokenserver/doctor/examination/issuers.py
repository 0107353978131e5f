"""Examination of the issuers of workloads: their keys are fetched from here, as the server fetches them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.authn.workload.key_origins import KeyOrigin, KeysNotFetched
from tokenserver.config.settings import Settings
from tokenserver.config.sources.workload import WorkloadSettings
from tokenserver.doctor.checks.vouching.issuers import FoundKeys, OurIssuer, check_issuer, fix_of
from tokenserver.doctor.findings import Finding
from tokenserver.policy.model import PolicySet
from tokenserver.server.sources.workload_sources import key_origin

_SIDE_BY_SIDE = 16


def examine_issuers(
    settings: Settings,
    config: str,
    policies: PolicySet,
    *,
    origin_of: Callable[[WorkloadSettings], KeyOrigin] = key_origin,
) -> list[Finding]:
    """Fetch the keys of every workload source, side by side. `config` is the path of the settings.

    Raises:
        LoadError: a file of a source cannot be used.
    """
    declared = {one.source for one in policies.groups.workloads.by_name.values()}

    def examined(source: WorkloadSettings) -> list[Finding]:
        ours = _ours(source, settings.server.url, config, is_declared=bool(declared & {"", source.name}))
        try:
            keys = origin_of(source)().keys
        except KeysNotFetched as error:
            return check_issuer(ours, error.obstacle, str(error))
        usable = tuple(frozenset(filter(key.suits, ALGORITHMS)) for key in keys.keys)
        return check_issuer(ours, FoundKeys(usable, keys.skipped))

    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as requests:
        return [finding for findings in requests.map(examined, settings.workload_sources) for finding in findings]


def key_advice(source: WorkloadSettings, server: str, config: str, obstacle: Obstacle) -> str:
    """What to do so that the keys of a source can be fetched; `server` is the URL, `config` names the settings."""
    return fix_of(_ours(source, server, config, is_declared=True), obstacle)


def _ours(source: WorkloadSettings, server: str, config: str, *, is_declared: bool) -> OurIssuer:
    keys = source.keys
    token_file = None if keys is None else keys.token_file
    return OurIssuer(
        source.name,
        config,
        source.issuer_name,
        tuple(sorted(source.audiences(server))),
        source.audiences(server) == {server},
        source.algorithms or source.kind.algorithms,
        source.kind.algorithms,
        is_declared,
        source.preset == "kubernetes",
        None if keys is None else keys.url,
        None if token_file is None else str(token_file),
        None if source.ca_file is None else str(source.ca_file),
    )
