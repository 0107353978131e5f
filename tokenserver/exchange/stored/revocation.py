"""Revocation (RFC 7009): a client that has an access key, a refresh token or a session can end it.

An unknown or wrong token is no error (section 2.2): it cannot be used, which is all that its holder wants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tokenserver.access_keys import MalformedAccessKey, key_parts
from tokenserver.authn.stored.gate import VIA
from tokenserver.authn.stored.ports import Address, Ending, KeyIndex
from tokenserver.credentials import AccessKeyForm, Key, Secret
from tokenserver.exchange.audit_events import cut, shown

EVENT = "revocation"
"""The value of `event` in audit events about it."""

_REVOCABLE = (AccessKeyForm.PERSONAL, AccessKeyForm.REFRESH, AccessKeyForm.SESSION)


class RevocationRequest(NamedTuple):
    """One request; `client_id` and `user_agent` are how the client calls itself."""

    request_id: str
    token: Secret
    client: Address | None
    client_id: str | None = None
    user_agent: str | None = None


class Revocation:
    """Ends the stored credentials of clients that have them. `record` writes an audit event.

    A robot's secret is not ended this way: it is shared by machines, and its owners end it.
    """

    def __init__(self, index: KeyIndex, end: Ending, record: Callable[[dict[str, Any]], None]) -> None:
        self._index = index
        self._end = end
        self._record = record

    def revoke(self, request: RevocationRequest) -> None:
        """End the credential that this token is, if it is one that can be ended.

        Raises:
            BackendUnavailable: the storage cannot end it now.
            AuditUnavailable: the event could not be written; nothing was ended.
        """
        facts: dict[str, Any] = {"outcome": "unknown"}
        key = _key_of(request.token)
        held = None if key is None else self._index.verified(key)
        if held is not None and held.credential.form in _REVOCABLE:
            credential = held.credential
            facts = {"credential": credential.id, "owner": credential.owner, "via": VIA[credential.form]}
            facts["outcome"] = "revoked" if held.ended is None else "ended already"
        # Before anything changes: what cannot be recorded is not done.
        self._record({**_event(request), **facts})
        if facts["outcome"] == "revoked":
            self._end(facts["credential"], "revoked by its holder")


def _event(request: RevocationRequest) -> dict[str, Any]:
    named = {"client_id": shown(request.client_id), "user_agent": shown(request.user_agent)}
    return {
        "event": EVENT,
        "request_id": request.request_id,
        "client": None if request.client is None else str(request.client),
        **{name: cut(text) for name, text in named.items() if text is not None},
    }


def _key_of(token: Secret) -> Key | None:
    try:
        parts = key_parts(token.reveal())
    except MalformedAccessKey:
        return None
    return None if parts is None else Key(*parts, token, "")
