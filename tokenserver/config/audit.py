"""Settings of the audit trail, beyond the events themselves."""

from __future__ import annotations

from tokenserver.config.fields import FilePath, Section


class AuditSettings(Section):
    """What the server keeps for auditors. `policy_snapshots` is the folder of kept policies; None: none are kept.

    `chain`: each audit event is linked to the one before, and sealed.
    """

    policy_snapshots: FilePath | None = None
    chain: bool = False
