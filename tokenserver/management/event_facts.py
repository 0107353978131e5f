"""The facts of a new secret in an audit event of management: whose it is, what narrows it, and when it ends."""

from __future__ import annotations

from typing import Any

from tokenserver.exchange.audit_events import cut, shown, spell_time
from tokenserver.storage.credential import StoredCredential


def made_facts(credential: StoredCredential) -> dict[str, Any]:
    """The facts of a new secret."""
    one = credential
    return {
        "credential": one.id,
        "owner": one.owner,
        "name": cut(shown(one.name)),
        "ceiling": None if one.ceiling is None else str(one.ceiling),
        "networks": [str(network) for network in one.networks],
        "ends": spell_time(one.ends),
        **({} if one.replaces is None else {"replaces": one.replaces}),
    }
