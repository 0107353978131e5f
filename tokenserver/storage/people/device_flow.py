"""A login on a device in progress: what asks for it, who approved it, and the form in which this is sealed. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from tokenserver.ceilings import Ceiling
from tokenserver.credentials import Secret
from tokenserver.errors import TokenserverError
from tokenserver.identity import Kind
from tokenserver.storage.ceiling_text import UnreadableCeiling, parse_ceiling, spell_ceiling


class FlowState(StrEnum):
    """How far a login is. `OPEN` becomes `APPROVED` or `DENIED`; only what is approved is `TAKEN`, once."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    TAKEN = "taken"


class UnreadableFlow(TokenserverError):
    """The content of a login in progress that this program cannot read. It must not be used."""


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What asks for a login: a program `client_id` at `address` (empty: unknown), with its own name as `agent`.

    It is to be used at the registries `services`, within the `ceiling`, if there is one.
    """

    client_id: str
    address: str
    agent: str
    services: tuple[str, ...]
    ceiling: Ceiling | None = None


@dataclass(frozen=True, slots=True)
class DeviceApproval:
    """The person who approved: `kind`, `proof` and `verified` are those of the login in the browser."""

    source: str
    subject: str
    kind: Kind
    proof: bytes | None = field(default=None, repr=False)
    verified: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceFlow:
    """A login in progress. `id` is no secret: it is the SHA-256 of the device code, in hexadecimal digits.

    It was `begun` and `ends` at moments in seconds since the epoch. `approval` is there if the state is `APPROVED`.
    """

    id: str
    user_code: str = field(repr=False)
    request: DeviceRequest
    begun: int
    ends: int
    state: FlowState = FlowState.OPEN
    approval: DeviceApproval | None = None


class DeviceCodes(NamedTuple):
    """A new login, and the code of its device, which is kept nowhere."""

    device_code: Secret
    flow: DeviceFlow


def spell_flow(flow: DeviceFlow) -> bytes:
    """All of a flow but its id and state, as JSON. It has a user code, so it is sealed before it is stored."""
    request, approval = flow.request, flow.approval
    content = {
        "user_code": flow.user_code,
        "begun": flow.begun,
        "ends": flow.ends,
        "client_id": request.client_id,
        "address": request.address,
        "agent": request.agent,
        "services": list(request.services),
        "ceiling": None if request.ceiling is None else spell_ceiling(request.ceiling),
        "approval": None
        if approval is None
        else {
            "source": approval.source,
            "subject": approval.subject,
            "kind": str(approval.kind),
            "proof": None if approval.proof is None else approval.proof.hex(),
            "verified": approval.verified,
        },
    }
    return json.dumps(content, sort_keys=True).encode("ascii")


def parse_flow(identifier: str, state: str, content: bytes) -> DeviceFlow:
    """The flow that `spell_flow` wrote. One that is approved by nobody is not approved, whatever `state` says.

    Raises:
        UnreadableFlow: it is none.
    """
    try:
        document: dict[str, Any] = json.loads(content)
        ceiling, approval = document["ceiling"], document["approval"]
        request = DeviceRequest(
            document["client_id"],
            document["address"],
            document["agent"],
            tuple(document["services"]),
            None if ceiling is None else parse_ceiling(ceiling),
        )
        flow = DeviceFlow(identifier, document["user_code"], request, document["begun"], document["ends"])
        found = replace(flow, state=FlowState(state), approval=None if approval is None else _approval(approval))
    except (ValueError, KeyError, TypeError, UnreadableCeiling) as error:
        raise UnreadableFlow("a login in progress cannot be read") from error
    if (found.state is FlowState.APPROVED) is not (found.approval is not None):
        raise UnreadableFlow("a login in progress is not in the state that the database says")
    return found


def _approval(document: dict[str, Any]) -> DeviceApproval:
    proof = document["proof"]
    return DeviceApproval(
        document["source"],
        document["subject"],
        Kind(document["kind"]),
        None if proof is None else bytes.fromhex(proof),
        document["verified"],
    )
