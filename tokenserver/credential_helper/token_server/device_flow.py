"""A login in the browser for a program at a terminal: the device authorization grant (RFC 8628). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tokenserver.credential_helper.store.stored_login import is_refresh_token
from tokenserver.credential_helper.token_server.urls import is_protected

CLIENT = "tokenserver-helper"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"

AT_MOST = 120.0
"""How long the person may take, in seconds."""

DEFAULT_INTERVAL = 5.0  # RFC 8628, section 3.2
SLOWER = 5.0  # section 3.5
MAX_INTERVAL = 60.0
MAX_END = 10 * 365 * 86400

_CODE = re.compile(r"[!-~]{1,1000}", re.ASCII)


class LoginFailed(Exception):
    """There is no login. The text says why, on one line, in our own words."""


@dataclass(frozen=True, slots=True)
class DeviceInvitation:
    """What the token server offers: the code of the device, the code and URL for the person, and the times."""

    device_code: str = field(repr=False)
    user_code: str
    url: str
    complete_url: str
    seconds: float
    interval: float


@dataclass(frozen=True, slots=True)
class GrantedLogin:
    """The refresh token, and the seconds after which it ends; None where the server does not say."""

    token: str = field(repr=False)
    seconds: int | None


@dataclass(frozen=True, slots=True)
class Poll:
    """What one request at the token endpoint has yielded: a status and a body; status 0: no answer."""

    status: int
    body: bytes = field(repr=False)


def read_invitation(status: int, body: bytes) -> DeviceInvitation:
    """The answer of the device endpoint (section 3.2).

    Raises:
        LoginFailed: it is no invitation.
    """
    if status in (404, 405):
        raise LoginFailed("offers no login by the browser")
    members = json_object(body)
    if status != 200:
        raise LoginFailed(f"refuses to offer a login by the browser ({status})")
    code, user_code, url = (members.get(name) for name in ("device_code", "user_code", "verification_uri"))
    complete = members.get("verification_uri_complete", url)
    seconds, interval = _number(members.get("expires_in")), _number(members.get("interval", DEFAULT_INTERVAL))
    if (
        not (isinstance(code, str) and _CODE.fullmatch(code))
        or not (isinstance(user_code, str) and 0 < len(user_code) <= 100)
        or not (isinstance(url, str) and is_protected(url) and isinstance(complete, str) and is_protected(complete))
        or seconds is None
        or interval is None
    ):
        raise LoginFailed("offers a login by the browser that cannot be understood")
    return DeviceInvitation(code, user_code, url, complete, seconds, min(interval, MAX_INTERVAL))


def await_login(
    invitation: DeviceInvitation,
    poll: Callable[[], Poll],
    *,
    monotonic: Callable[[], float],
    sleep: Callable[[float], object],
) -> GrantedLogin:
    """Poll until the person has confirmed, at the pace that the server asks for (section 3.5).

    Raises:
        LoginFailed: the person refused or took too long, or the server did not answer as specified.
    """
    end = monotonic() + min(invitation.seconds, AT_MOST)
    interval = max(invitation.interval, 1.0)
    while True:
        left = end - monotonic()
        if left <= interval:
            raise LoginFailed("nobody confirmed it in time")
        sleep(interval)
        answer = poll()
        if answer.status == 200:
            return _granted(json_object(answer.body))
        error = json_object(answer.body).get("error")
        if error == "slow_down":
            interval += SLOWER
        elif answer.status == 0 or answer.status >= 500 or answer.status == 429:
            interval = min(interval * 2, MAX_INTERVAL)
        elif error != "authorization_pending":
            raise LoginFailed(_REASONS.get(str(error), f"the token server refuses it ({answer.status})"))


_REASONS = {"access_denied": "it was denied in the browser", "expired_token": "the code has expired"}


def _granted(members: dict[str, Any]) -> GrantedLogin:
    token, seconds = members.get("refresh_token"), members.get("refresh_token_expires_in")
    if not isinstance(token, str) or not is_refresh_token(token):
        raise LoginFailed("the token server answers without a refresh token")
    return GrantedLogin(token, end_of(seconds))


def end_of(seconds: object) -> int | None:
    """The seconds in a member `refresh_token_expires_in`; None where they are absent or senseless."""
    return seconds if type(seconds) is int and 0 < seconds <= MAX_END else None


def json_object(body: bytes) -> dict[str, Any]:
    """The members of a JSON object; none where it is no such object."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    """The number; None where it is none, or negative, or beyond all durations."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < MAX_END else None
