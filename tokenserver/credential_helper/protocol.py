"""The protocol between clients and credential helpers: requests on standard input, answers on standard output. Pure.

Clients run the program with one word (`get`, `store`, `erase`, `list`): github.com/docker/docker-credential-helpers.
"""

from __future__ import annotations

import json
import re

NOT_FOUND = "credentials not found in native keychain"
"""What clients compare the output with; they then go on without credentials."""

NO_SERVER = "no credentials server URL"
NO_USER = "no credentials username"

IDENTITY_TOKEN = "<token>"  # noqa: S105 - a name
"""The user name that marks a secret as an identity token, which clients send as a refresh token."""

TOKEN_USER = "token"  # noqa: S105 - a name
"""The user name of a token that is answered as a password; the server takes it for nobody's name."""

MAX_INPUT = 64 * 1024

_MAX_SERVER = 1024
_MAX_USER = 1024
_HOST = r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_SERVER = re.compile(rf"(?:https?://)?({_HOST})((?:/[!-~]*)?)", re.ASCII | re.IGNORECASE)
_NO_PATH = re.compile(r"/*(?:v[12]/*)?", re.ASCII)


class RejectedRequest(Exception):
    """The request cannot be answered. The text is for the client's user, on one line, and holds no secret."""


class KeepRequest:
    """What a client hands over to be kept."""

    __slots__ = ("registry", "secret", "server", "username")

    def __init__(self, server: str, registry: str, username: str, secret: str) -> None:
        self.server = server
        self.registry = registry
        self.username = username
        self.secret = secret


def server_in(content: bytes) -> str:
    """The server URL that is the whole input of `get` and `erase`, as the client wrote it.

    Raises:
        RejectedRequest: there is none, or it is none.
    """
    server = _text(content).strip()
    if not server:
        raise RejectedRequest(NO_SERVER)
    registry_of(server)
    return server


def registry_of(server: str) -> str:
    """The registry that a server URL means: its host and port in lower case, without scheme and version of the API.

    A URL with another path (`https://index.docker.io/v1/access-token`) names an entry of its own: `HOST/PATH`.

    Raises:
        RejectedRequest: it names no host.
    """
    matched = _SERVER.fullmatch(server) if len(server) <= _MAX_SERVER else None
    if matched is None:
        raise RejectedRequest("the server URL names no registry; it is HOST, HOST:PORT or a URL")
    host, path = matched[1].lower(), matched[2]
    return host if _NO_PATH.fullmatch(path) else f"{host}{path.rstrip('/')}"


def is_host(registry: str) -> bool:
    """Whether it is a registry, not an entry below one."""
    return "/" not in registry


def keep_request(content: bytes) -> KeepRequest:
    """The input of `store`.

    Raises:
        RejectedRequest: it is not what clients send.
    """
    try:
        value = json.loads(_text(content))
    except (ValueError, RecursionError):
        raise RejectedRequest("the input is not JSON") from None
    if not isinstance(value, dict):
        raise RejectedRequest("the input is not a JSON object")
    server, username, secret = (value.get(name, "") for name in ("ServerURL", "Username", "Secret"))
    if not (isinstance(server, str) and isinstance(username, str) and isinstance(secret, str)):
        raise RejectedRequest("ServerURL, Username and Secret must be strings")
    if not server.strip():
        raise RejectedRequest(NO_SERVER)
    if not username:
        raise RejectedRequest(NO_USER)
    if len(username) > _MAX_USER:
        raise RejectedRequest(f"the user name has more than {_MAX_USER} characters")
    return KeepRequest(server.strip(), registry_of(server.strip()), username, secret)


def answer(server: str, username: str, secret: str) -> str:
    """The output of `get`."""
    return json.dumps({"ServerURL": server, "Username": username, "Secret": secret}) + "\n"


def listing(users: dict[str, str]) -> str:
    """The output of `list`: the user name of each server URL."""
    return json.dumps(users) + "\n"


def _text(content: bytes) -> str:
    if len(content) > MAX_INPUT:
        raise RejectedRequest(f"the input has more than {MAX_INPUT} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise RejectedRequest("the input is not UTF-8") from None
