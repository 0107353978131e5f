"""Logins on devices over HTTP (RFC 8628): the device endpoint, and the grant with which a device asks for its token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenserver.credentials import RefreshToken, Secret
from tokenserver.errors import InvalidRequest, TokenserverError
from tokenserver.exchange.observers import ObservedExchange
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.exchange.stored.device_events import DeviceCaller
from tokenserver.exchange.stored.device_logins import DeviceLogins, Waiting
from tokenserver.scopes import ScopeLimits, parse_scopes
from tokenserver.storage.people.flow_limits import LIFETIME_SECONDS, PAUSE_SECONDS
from tokenserver.storage.people.user_codes import spell_user_code
from tokenserver.web.client_address import Address
from tokenserver.web.parameters import Parameters
from tokenserver.web.payloads import device_token_body

DEVICE_PATH = "/device/code"

NOT_HERE = "there are no logins by the browser here; fix: set refresh_tokens and storage in the server's configuration"


@dataclass(frozen=True, slots=True)
class DeviceEndpoint:
    """Answers devices. `page` is the URL of the page where people confirm, `exchange` that of the token endpoint."""

    logins: DeviceLogins
    exchange: ObservedExchange
    page: str

    def begin(self, environ: Mapping[str, Any], form: Parameters, request_id: str, client: Address | None) -> bytes:
        """The answer with the codes (section 3.2).

        Raises:
            TokenserverError: as `DeviceLogins.begin`.
        """
        codes = self.logins.begin(_caller(environ, form, request_id, client), form.services, form.scopes)
        user_code = spell_user_code(codes.flow.user_code)
        content = {
            "device_code": codes.device_code.reveal(),
            "user_code": user_code,
            "verification_uri": self.page,
            "verification_uri_complete": f"{self.page}?user_code={user_code}",
            "expires_in": LIFETIME_SECONDS,
            "interval": PAUSE_SECONDS,
        }
        return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"

    def grant(
        self,
        environ: Mapping[str, Any],
        form: Parameters,
        request_id: str,
        client: Address | None,
        *,
        limits: ScopeLimits,
        waiting: Waiting,
    ) -> bytes:
        """The answer with the refresh token, and with a token for the registry `service` if the form names one.

        `waiting` surrounds what waits for the database.

        Raises:
            TokenserverError: as `DeviceLogins.poll`.
        """
        device_code = form.get("device_code")
        if device_code is None:
            raise InvalidRequest("device_code: is missing")
        if environ.get("HTTP_AUTHORIZATION"):
            raise InvalidRequest("this grant takes a device code alone; fix: leave out the Authorization header")
        asked = parse_scopes(form.scopes, limits)
        caller, service = _caller(environ, form, request_id, client), form.get("service")
        login = self.logins.poll(Secret(device_code), caller, service, waiting=waiting)
        request = TokenRequest(
            request_id,
            "POST",
            service,
            asked,
            RefreshToken(login.text),
            None,
            client,
            client_id=form.get("client_id"),
            user_agent=environ.get("HTTP_USER_AGENT") or None,
        )
        return device_token_body(login, None if service is None else self._token(request))

    def _token(self, request: TokenRequest) -> TokenResult | None:
        """The token beside the refresh token, which is not lost if there is none: the device asks for one with it."""
        try:
            return self.exchange.exchange(request)
        except TokenserverError:
            return None


def _caller(environ: Mapping[str, Any], form: Parameters, request_id: str, client: Address | None) -> DeviceCaller:
    return DeviceCaller(request_id, client, form.get("client_id"), environ.get("HTTP_USER_AGENT") or None)
