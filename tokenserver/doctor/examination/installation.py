"""Examination of this installation: files, keys, storage, the server, issuers, providers, and the registries.

Only registries that have a `url` are visited.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tokenserver.config.settings import Settings
from tokenserver.doctor.checks.management import PROBE, OurManagement, check_management
from tokenserver.doctor.checks.token import check_clock
from tokenserver.doctor.commands import check_files
from tokenserver.doctor.examination.issuers import examine_issuers
from tokenserver.doctor.examination.providers import examine_providers
from tokenserver.doctor.examination.storage import examine_stored
from tokenserver.doctor.examination.token import Baseline
from tokenserver.doctor.examination.visiting.requests import Requests, Visit
from tokenserver.doctor.examination.visiting.visit import visit_registry, visit_server
from tokenserver.doctor.facts import OurRegistry
from tokenserver.doctor.findings import Finding, note, passed, warning, without_echoes
from tokenserver.server.compose import load_snapshot, warnings

_VISITS = 32
"""How many registries are visited at the same time."""


def examine_installation(settings: Settings, baseline: Baseline, requests: Requests) -> list[Finding]:
    """Check everything that is visible from this machine, the server and all registries by the deadline of `requests`.

    The server may use half of that time, so that registries are visited even if it does not answer.

    Raises:
        LoadError: the server would not start with these files.
    """
    snapshot = load_snapshot(settings)
    ours = baseline.ours
    rules = snapshot.policies.rule_count
    found = [passed("configuration", f"the server starts with {ours.config}: {rules} rules, all tests pass")]
    for text in warnings(settings, snapshot):
        found.append(
            warning("configuration", text, f"check {ours.config} and its keys; {check_files(ours)} repeats this")
        )
    sides = {id(side): side for side in (baseline.sides.general, *baseline.sides.own.values())}
    for side in sides.values():
        key = side.ours.active
        message = f"{key.algorithm} until {key.certificate.not_after:%Y-%m-%d}"
        found.append(passed("keys", message, ours=key.names.rfc7638))
    with ThreadPoolExecutor(max_workers=3) as beside:  # so that a silent issuer takes no time from the others
        issuers = beside.submit(examine_issuers, settings, ours.config, snapshot.policies)
        providers = beside.submit(examine_providers, settings, ours.config)
        management = beside.submit(_visit_management, settings, ours.config, requests)
        server_findings, skew = visit_server(baseline, Requests(requests.context, requests.deadline.half()))
        others = _visit_registries(baseline, requests, skew)
        stored = examine_stored(settings, ours)
        found += [*issuers.result(), *providers.result(), *stored]
    found += [*server_findings, *management.result()]
    if skew is not None:
        found += check_clock(skew, min(one.lifetime for one in ours.registries), whose="this machine's")
    return found + others


def _visit_management(settings: Settings, config: str, requests: Requests) -> list[Finding]:
    """The finding about the separate listener for pages and the API, if there is one, at its public URL."""
    server = settings.server
    if server.management is None:
        return []
    own = Requests(requests.context, requests.deadline.half())
    ours = OurManagement(server.pages_url, server.management, settings.issuer, config)
    return [check_management(own.send("the API", f"{ours.url}{PROBE}"), ours)]


def _visit_registries(baseline: Baseline, requests: Requests, skew: float | None) -> list[Finding]:
    """The findings about each registry in its order."""
    ours = baseline.ours

    def visited(registry: OurRegistry) -> list[Finding]:
        if registry.url is None:
            message = f"{registry.service} has no url in {ours.config}, so it was not visited"
            return [note("registry", message, ours=registry.service)]
        own = Requests(requests.context, requests.deadline)
        return visit_registry(Visit(registry.url, replace(baseline, registry=registry), own), skew)[0]

    # Side by side: a registry that does not answer takes all of the time that is left.
    with ThreadPoolExecutor(max_workers=_VISITS) as visits:
        visits_of_all = visits.map(visited, ours.registries)
        return [finding for findings in visits_of_all for finding in without_echoes(findings)]
