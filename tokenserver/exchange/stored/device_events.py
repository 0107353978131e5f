"""Audit events about logins on devices: each has its step, who sent the request, and none of the codes. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from tokenserver.authn.stored.ports import Address
from tokenserver.exchange.audit_events import cut, shown
from tokenserver.storage.ceiling_text import spell_ceiling
from tokenserver.storage.people.device_flow import DeviceFlow

EVENT = "device"
"""The value of `event` in audit events about them."""

SHOWN_ID = 16
"""Digits of a flow's id in audit events, which connect the events of one login."""


class DeviceCaller(NamedTuple):
    """The sender of a request. `client_id` and `agent` are what a program says about itself."""

    request_id: str
    client: Address | None
    client_id: str | None = None
    agent: str | None = None


def flow_event(step: str, caller: DeviceCaller, flow: DeviceFlow, **facts: Any) -> dict[str, Any]:
    """The event of a step of a login in progress."""
    request = flow.request
    ceiling = {} if request.ceiling is None else {"ceiling": spell_ceiling(request.ceiling)}
    asked_by = {"device": request.address or None, "registries": list(request.services), **ceiling}
    return {**device_event(step, caller), "flow": flow.id[:SHOWN_ID], **asked_by, **facts}


def device_event(step: str, caller: DeviceCaller) -> dict[str, Any]:
    """The event of a step that belongs to no login."""
    named = {"client_id": shown(caller.client_id), "user_agent": shown(caller.agent)}
    return {
        "event": EVENT,
        "step": step,
        "request_id": caller.request_id,
        "client": None if caller.client is None else str(caller.client),
        **{name: cut(text) for name, text in named.items() if text is not None},
    }
