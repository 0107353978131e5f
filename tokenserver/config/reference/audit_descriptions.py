"""What each configuration key of the log and of the audit trail means; part of `config/reference/descriptions.py`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from tokenserver.config.audit import AuditSettings
from tokenserver.config.settings import LogSettings

AUDIT_DESCRIPTIONS: Mapping[type[BaseModel], Mapping[str, str]] = {
    AuditSettings: {
        "policy_snapshots": "A folder in which each version of the policies is kept, for `audit who-could`.",
        "chain": "Whether audit events are numbered, and chained digests of them sealed by the signing key every"
        " minute, so that `tokenserver audit verify` finds removed, changed and reordered lines.",
    },
    LogSettings: {
        "format": "`json`, one object a line, or `console`, lines for people; by default `console` at a terminal. Audit"
        " events are JSON wherever a program reads them.",
    },
}
