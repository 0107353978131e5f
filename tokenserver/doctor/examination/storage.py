"""Examination of the storage of this installation: whether it answers, its tables, its file, and the seals of rows."""

from __future__ import annotations

import time

from tokenserver.config.settings import Settings
from tokenserver.doctor.commands import check_files
from tokenserver.doctor.facts import Ours
from tokenserver.doctor.findings import Finding, failed, passed, warning
from tokenserver.errors import BackendUnavailable
from tokenserver.server.stored.examination import examine_storage
from tokenserver.server.stored.opening import check_storage

_FIX = "; fix: "


def examine_stored(settings: Settings, ours: Ours) -> list[Finding]:
    """The findings about the storage; none if none is configured. Nothing in it is changed."""
    if settings.storage is None:
        return []
    problems = [str(fault) for fault in check_storage(settings)]
    if problems:
        return [_fault(problem, ours) for problem in problems]
    try:
        found = examine_storage(settings, now=time.time())
    except BackendUnavailable as error:
        return [_fault(f"it does not answer, so stored credentials are rejected after a while: {error.reason}", ours)]
    if found.findings:
        return [_fault(problem, ours) for problem in found.findings]
    credentials = "1 stored credential" if found.rows == 1 else f"{found.rows:,} stored credentials"
    warnings = (one.partition(_FIX) for one in found.notes)
    return [
        passed("storage", f"{credentials}, sealed by this server"),
        *(warning("storage", message, fix) for message, _, fix in warnings),
    ]


def _fault(problem: str, ours: Ours) -> Finding:
    message, _, fix = problem.partition(_FIX)
    return failed("storage", message, fix or f"check storage in {ours.config}; {check_files(ours)} repeats this")
