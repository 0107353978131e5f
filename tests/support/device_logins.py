"""Logins on devices for tests: a whole server, the program that asks, and the person who decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import canaries
from stored_logins_server import StoredSite
from tests_web_server import PASSWORDS

from tokenserver.credentials import Password, Secret
from tokenserver.exchange.stored.device_events import DeviceCaller
from tokenserver.exchange.stored.device_logins import DeviceLogins
from tokenserver.web.oauth.grants import DEVICE_CODE

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

CLIENT = "tokenserver-helper"
PERSON = DeviceCaller("r", None, agent="Firefox")
"""The browser of a person."""


@dataclass
class Device:
    """The program at a terminal, on a server of its own."""

    site: StoredSite

    def ask(self, **form: Any) -> TestResponse:
        """Ask for codes; both are secrets from now on."""
        answer = self.site.post("/device/code", **{"client_id": CLIENT, **form})
        if answer.status_code == 200:
            canaries.know(answer.get_json()["device_code"])
            canaries.know(answer.get_json()["user_code"])
            canaries.know(answer.get_json()["user_code"].replace("-", ""))
        return answer

    def poll(self, code: str, **form: Any) -> TestResponse:
        """Ask for the refresh token."""
        usual = {"client_id": CLIENT, "service": None, "scope": None}
        return self.site.post(grant_type=DEVICE_CODE, device_code=code, **{**usual, **form})

    def error(self, code: str, **form: Any) -> str:
        """The error of an answer to a question that is refused."""
        answer = self.poll(code, **form)
        assert answer.status_code == 400, answer.get_json()
        found: str = answer.get_json()["error"]
        return found

    @property
    def logins(self) -> DeviceLogins:
        """The logins of the server."""
        found = self.site.parts.device_logins
        assert found is not None
        return found

    def decide(self, user_code: str, name: str = "ann", *, approves: bool = True) -> bool:
        """The person logs in, types the code, and decides."""
        logins, chain = self.logins, self.site.parts.live.snapshot().chain
        person = chain.authenticate(Password(name, Secret(PASSWORDS[name])), None)
        flow = logins.look_up(user_code, PERSON, session="s")
        return logins.decide(flow, PERSON, person, approves=approves)

    def approved(self, name: str = "ann", **form: Any) -> str:
        """The device code of a login that was approved."""
        codes = self.ask(**form).get_json()
        assert self.decide(codes["user_code"], name)
        code: str = codes["device_code"]
        return code

    @property
    def steps(self) -> list[str]:
        """What happened, by the audit trail."""
        return [event["step"] for event in self.site.audit.events if event["event"] == "device"]
