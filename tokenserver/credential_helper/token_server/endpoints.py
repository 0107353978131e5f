"""What the credential helper asks of registries and token servers: the challenge, a probe, and revocation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tokenserver.credential_helper.token_server.challenge import bearer_challenge
from tokenserver.credential_helper.token_server.device_flow import (
    CLIENT,
    GRANT,
    DeviceInvitation,
    LoginFailed,
    Poll,
    end_of,
    json_object,
    read_invitation,
)
from tokenserver.credential_helper.token_server.reply import Fetch
from tokenserver.credential_helper.token_server.urls import challenge_urls, issuer_of

PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class NamedServer:
    """What a registry said when it was asked: nothing, no token server (an empty realm), or this one."""

    is_reached: bool
    realm: str = ""
    service: str = ""


class Held(StrEnum):
    """What a token server says of a refresh token."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def named_by(registry: str, fetch: Fetch) -> NamedServer:
    """Which token server the registry names."""
    for url in challenge_urls(registry):
        reply = fetch(url, seconds=PROBE_SECONDS)
        if reply is None:
            continue
        if reply.status == 200:
            return NamedServer(True)
        if reply.status == 401:
            challenge = bearer_challenge(reply.challenges)
            return NamedServer(True) if challenge is None else NamedServer(True, challenge.realm, challenge.service)
        break
    return NamedServer(False)


def probe(realm: str, service: str, token: str, fetch: Fetch) -> tuple[Held, int | None]:
    """Whether the token server still takes the refresh token, and the seconds after which it ends, if it says so."""
    form = [("grant_type", "refresh_token"), ("refresh_token", token), ("service", service), ("client_id", CLIENT)]
    reply = fetch(realm, form, seconds=PROBE_SECONDS)
    if reply is None:
        return Held.UNKNOWN, None
    members = json_object(reply.body)
    if reply.status == 200:
        return Held.YES, end_of(members.get("refresh_token_expires_in"))
    is_refused = reply.status == 401 or (reply.status == 400 and members.get("error") == "invalid_grant")
    return (Held.NO if is_refused else Held.UNKNOWN), None


def revoke(realm: str, token: str, fetch: Fetch) -> bool:
    """End the token at the server that gave it (RFC 7009); False where it could not be told."""
    issuer = issuer_of(realm)
    if issuer is None:
        return False
    reply = fetch(f"{issuer}/revoke", [("token", token), ("client_id", CLIENT)], seconds=PROBE_SECONDS)
    return reply is not None and reply.status == 200


def invite(issuer: str, services: Sequence[str], fetch: Fetch) -> DeviceInvitation:
    """Begin a login in the browser, for these services.

    Raises:
        LoginFailed: the token server offers none.
    """
    reply = fetch(f"{issuer}/device/code", [("client_id", CLIENT), *(("service", name) for name in services)])
    if reply is None:
        raise LoginFailed("does not answer")
    return read_invitation(reply.status, reply.body)


def poll(realm: str, device_code: str, fetch: Fetch) -> Poll:
    """Ask once whether the person has confirmed."""
    reply = fetch(realm, [("grant_type", GRANT), ("device_code", device_code), ("client_id", CLIENT)])
    return Poll(0, b"") if reply is None else Poll(reply.status, reply.body)
