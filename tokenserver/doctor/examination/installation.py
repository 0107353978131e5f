"""Examination of this installation: files, keys, the server as clients reach it, every registry that has a `url`."""

from __future__ import annotations

import ssl
from dataclasses import replace

from tokenserver.config.settings import Settings
from tokenserver.doctor.checks.token import check_clock
from tokenserver.doctor.examination.refusal import Visit
from tokenserver.doctor.examination.token import Baseline
from tokenserver.doctor.examination.visit import visit_registry, visit_server
from tokenserver.doctor.findings import Finding, note, passed, warning
from tokenserver.server.compose import load_snapshot, warnings


def examine_installation(settings: Settings, baseline: Baseline, context: ssl.SSLContext) -> list[Finding]:
    """Check everything that is visible from this machine.

    Raises:
        LoadError: the server would not start with these files.
    """
    snapshot = load_snapshot(settings)
    ours = baseline.ours
    rules = snapshot.policies.rule_count
    found = [passed("configuration", f"the server starts with {ours.config}: {rules} rules, all tests pass")]
    for text in warnings(settings, snapshot):
        found.append(
            warning("configuration", text, f"check {ours.config} and its keys; `tokenserver check` repeats this")
        )
    sides = {id(side): side for side in (baseline.sides.general, *baseline.sides.own.values())}
    for side in sides.values():
        key = side.ours.active
        message = f"{key.algorithm} until {key.certificate.not_after:%Y-%m-%d}"
        found.append(passed("keys", message, ours=key.names.rfc7638))
    server_findings, skew = visit_server(baseline, context)
    found += server_findings
    if skew is not None:
        found += check_clock(skew, min(one.lifetime for one in ours.registries), whose="this machine's")
    for registry in ours.registries:
        if registry.url is None:
            message = f"{registry.service} has no url in {ours.config}, so it was not visited"
            found.append(note("registry", message, ours=registry.service))
            continue
        visit = Visit(registry.url, replace(baseline, registry=registry), context)
        found += visit_registry(visit, skew)[0]
    return found
