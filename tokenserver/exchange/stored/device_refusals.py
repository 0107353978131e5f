"""The answers to a device or its user when there is no refresh token, or none yet (RFC 8628, section 3.5)."""

from __future__ import annotations

from tokenserver.errors import RequestError


class DeviceRefusal(RequestError):
    """The device gets nothing, or nothing yet. `code` is the error's name (RFC 8628, section 3.5)."""

    code = "invalid_grant"


class UnknownClient(DeviceRefusal):
    """The program is not one of `CLIENTS`."""

    code = "invalid_client"

    def __init__(self) -> None:
        super().__init__("client_id: is none of the programs that may ask; fix: tokenserver-helper")


class AuthorizationPending(DeviceRefusal):
    """Nobody has decided yet."""

    code = "authorization_pending"

    def __init__(self) -> None:
        super().__init__("the login has not been confirmed in the browser yet")


class SlowDown(DeviceRefusal):
    """As `AuthorizationPending`, but the device asks too often."""

    code = "slow_down"

    def __init__(self) -> None:
        super().__init__("asked too soon; fix: wait five seconds longer each time from now on")


class AccessDenied(DeviceRefusal):
    """The person denied the login, or can no longer log in."""

    code = "access_denied"

    def __init__(self) -> None:
        super().__init__("the login was denied")


class ExpiredDeviceCode(DeviceRefusal):
    """Nobody decided in time."""

    code = "expired_token"

    def __init__(self) -> None:
        super().__init__("the login was not confirmed in time; fix: begin again")


class UnknownDeviceCode(DeviceRefusal):
    """There is no such login, or its refresh token has been given already."""

    outcome = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("device_code: is unknown, or was used already; fix: begin again")


class UnknownUserCode(RequestError):
    """No login in progress has this user code."""

    def __init__(self) -> None:
        super().__init__("this code is unknown, or has expired")
