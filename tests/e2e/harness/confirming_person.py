"""A person who confirms the login of a device: as another worker of the server, over its storage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import canaries
from tests_web_server import Lines

from harness.server import TokenServer
from tokenserver.config.load import load_settings
from tokenserver.credentials import Password, Secret
from tokenserver.exchange.stored.device_logins import DeviceCaller
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer


class ConfirmingPerson:
    """The person `name`, who logs in with the password, types the code and decides."""

    def __init__(self, parts: RunningServer, name: str, password: str) -> None:
        self._parts = parts
        self._password = Password(name, Secret(password))

    def decide(self, user_code: str, *, approves: bool = True) -> bool:
        """Whether the decision counts."""
        canaries.know(user_code)
        logins, caller = self._parts.device_logins, DeviceCaller("test", None, agent="Firefox")
        assert logins is not None
        person = self._parts.live.snapshot().chain.authenticate(self._password, None)
        return logins.decide(logins.look_up(user_code, caller, session="s"), caller, person, approves=approves)


@contextmanager
def confirming_person(server: TokenServer, name: str) -> Iterator[ConfirmingPerson]:
    """Such a person at a running server."""
    parts = build(load_settings(Path(server.config), {}), sink=Lines())
    assert parts.storage is not None
    stop = threading.Event()
    threads = parts.storage.start(stop)
    try:
        yield ConfirmingPerson(parts, name, server.people[name])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        parts.storage.database.close()
