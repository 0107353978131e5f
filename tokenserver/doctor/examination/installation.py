"""The doctor's look at this installation itself: files, keys, the server as clients reach it, every known registry."""

from __future__ import annotations

import ssl
from dataclasses import replace

from tokenserver.config.settings import Settings
from tokenserver.doctor.checks.token import check_clock
from tokenserver.doctor.examination.token import Bench
from tokenserver.doctor.examination.visit import Visit, visit_registry, visit_server
from tokenserver.doctor.findings import Finding, doubtful, known, passed
from tokenserver.server.compose import load_snapshot, warnings


def examine_installation(settings: Settings, bench: Bench, context: ssl.SSLContext) -> list[Finding]:
    """Everything that can be seen from here.

    Raises:
        LoadError: the server would not start with these files.
    """
    snapshot = load_snapshot(settings)
    ours = bench.ours
    rules = snapshot.policies.rule_count
    found = [passed("configuration", f"the server starts with {ours.config}: {rules} rules, all tests pass")]
    for warning in warnings(settings, snapshot):
        found.append(
            doubtful("configuration", warning, f"see {ours.config} and its keys; `tokenserver check` repeats it")
        )
    sides = {id(side): side for side in (bench.sides.general, *bench.sides.own.values())}
    for side in sides.values():
        key = side.ours.active
        says = f"{key.algorithm} until {key.certificate.not_after:%Y-%m-%d}"
        found.append(passed("keys", says, ours=key.names.rfc7638))
    told, ahead = visit_server(bench, context)
    found += told
    if ahead is not None:
        found += check_clock(ahead, min(one.lifetime for one in ours.registries), whose="this machine's")
    for registry in ours.registries:
        if registry.url is None:
            says = f"{registry.service} has no url in {ours.config}, so it was not visited"
            found.append(known("registry", says, ours=registry.service))
            continue
        visit = Visit(registry.url, replace(bench, registry=registry), context)
        found += visit_registry(visit, ahead)[0]
    return found
