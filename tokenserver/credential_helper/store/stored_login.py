"""A login that is kept for one registry, when it has to be looked at again, and its form in the file. Pure."""

from __future__ import annotations

import json
import re

CHECK_SECONDS = 300
"""A registry is asked again which token server it names, if that was longer ago."""

PROBE_SECONDS = 3600
"""The token server is asked again whether a login still holds, if that was longer ago."""

VERSION = 1

_TOKEN = re.compile(r"tkn[fs]_[0-9A-Za-z]{61}", re.ASCII)


class UnreadableLogins(Exception):
    """The file of logins has another form. The text says which, and quotes nothing of it."""


class StoredLogin:
    """What is kept for one registry. Without a secret, it is only remembered which token server the registry names.

    `server` is the URL as the client wrote it. `realm` and `service` are what the registry named in its challenge when
    the login was made; None: nobody could ask it yet, and empty: it names no token server. `ends` is a moment in
    seconds since 1970, None where nobody said it. `checked` and `probed` are the moments of the last look.
    """

    __slots__ = ("checked", "ends", "in_keyring", "probed", "realm", "secret", "server", "service", "username")

    def __init__(
        self,
        server: str,
        username: str,
        secret: str,
        *,
        realm: str | None = None,
        service: str = "",
        ends: int | None = None,
        checked: int = 0,
        probed: int = 0,
        in_keyring: bool = False,
    ) -> None:
        self.server = server
        self.username = username
        self.secret = secret
        self.realm = realm
        self.service = service
        self.ends = ends
        self.checked = checked
        self.probed = probed
        self.in_keyring = in_keyring

    @property
    def has_secret(self) -> bool:
        """Whether there is something to log in with."""
        return bool(self.secret) or self.in_keyring

    @property
    def is_token(self) -> bool:
        """Whether the secret is a refresh token or a session of this project's server."""
        return is_refresh_token(self.secret)

    def is_ended(self, now: float) -> bool:
        """Whether its end was said and is over."""
        return self.ends is not None and now >= self.ends

    def needs_check(self, now: float) -> bool:
        """Whether the registry has to be asked which token server it names; also after the clock was set back."""
        return not 0 <= now - self.checked < CHECK_SECONDS

    def needs_probe(self, now: float) -> bool:
        """Whether the token server has to be asked if the login still holds."""
        return self.is_token and not 0 <= now - self.probed < PROBE_SECONDS

    def is_ready(self, now: float) -> bool:
        """Whether it can be answered without any request."""
        return bool(self.secret) and not (self.is_ended(now) or self.needs_check(now) or self.needs_probe(now))


def is_refresh_token(text: object) -> bool:
    """Whether the text has the form of a refresh token or a session."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


_TEXTS = ("server", "username", "secret", "service")
_MOMENTS = ("checked", "probed")


def read_logins(content: bytes) -> dict[str, StoredLogin]:
    """The logins in a file, by registry.

    Raises:
        UnreadableLogins: it is no such file.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableLogins("is not JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("registries"), dict):
        raise UnreadableLogins("has no registries")
    if value.get("version") != VERSION:
        raise UnreadableLogins("was written by another version of this program")
    return {registry: _login(members) for registry, members in value["registries"].items()}


def write_logins(logins: dict[str, StoredLogin]) -> bytes:
    """The content of a file with these logins."""
    registries = {registry: _members(login) for registry, login in sorted(logins.items())}
    return (json.dumps({"version": VERSION, "registries": registries}, indent=1) + "\n").encode()


def _login(members: object) -> StoredLogin:
    if not isinstance(members, dict):
        raise UnreadableLogins("has a registry that is no object")
    realm, ends, in_keyring = members.get("realm"), members.get("ends"), members.get("in_keyring", False)
    texts = [members.get(name) for name in _TEXTS]
    moments = [members.get(name) for name in _MOMENTS]
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(type(moment) is int for moment in moments)
        or not (realm is None or isinstance(realm, str))
        or not (ends is None or type(ends) is int)
        or type(in_keyring) is not bool
    ):
        raise UnreadableLogins("has a registry with a missing or wrong member")
    known = {name: members[name] for name in (*_TEXTS, *_MOMENTS)}
    return StoredLogin(**known, realm=realm, ends=ends, in_keyring=in_keyring)


def _members(login: StoredLogin) -> dict[str, object]:
    return {name: getattr(login, name) for name in StoredLogin.__slots__}
