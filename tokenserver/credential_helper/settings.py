"""Settings of the credential helper, `helper.json` in its folder: an object that may lack any member. Pure."""

from __future__ import annotations

import json

FILE = "helper.json"


class RejectedSettings(Exception):
    """The settings are wrong. The text says what, and how to fix it."""


class HelperSettings:
    """The settings.

    `as_password`: answer tokens as a password, for tools that know no identity tokens. `interactive`: offer a login at
    a terminal. `keyring`: use the keyring of the system, if there is one. `registries`: those that name another service
    than their own host and are trusted with it. `token_servers`: the only ones to log in at; empty: any. `ca_file`:
    certificates to trust besides those of the system.
    """

    __slots__ = ("as_password", "ca_file", "interactive", "keyring", "registries", "token_servers")

    def __init__(self) -> None:
        self.as_password = False
        self.interactive = True
        self.keyring = True
        self.registries: list[str] = []
        self.token_servers: list[str] = []
        self.ca_file = ""


_MEMBERS = {
    "asPassword": ("as_password", bool),
    "interactive": ("interactive", bool),
    "keyring": ("keyring", bool),
    "registries": ("registries", list),
    "tokenServers": ("token_servers", list),
    "caFile": ("ca_file", str),
}
_EXPECTED = {bool: "true or false", list: "a list of strings", str: "a string"}


def read_settings(content: bytes) -> HelperSettings:
    """The settings in a file.

    Raises:
        RejectedSettings: a member is unknown or of another type; or it is no JSON object.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise RejectedSettings("is not JSON") from None
    if not isinstance(value, dict):
        raise RejectedSettings("is not a JSON object")
    settings = HelperSettings()
    for member, found in value.items():
        if member not in _MEMBERS:
            raise RejectedSettings(f"has an unknown member; known members are {', '.join(_MEMBERS)}")
        name, kind = _MEMBERS[member]
        if type(found) is not kind or (isinstance(found, list) and not all(isinstance(one, str) for one in found)):
            raise RejectedSettings(f"{member}: must be {_EXPECTED[kind]}")
        setattr(settings, name, found)
    settings.token_servers = [one.rstrip("/") for one in settings.token_servers]
    settings.registries = [one.lower() for one in settings.registries]
    return settings
