"""dex, an OpenID provider as issuer: ID tokens for one user, by the password grant."""

from __future__ import annotations

import base64
import secrets
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import canaries
import yaml

from harness import web
from harness.processes import Daemon, answers, free_port, plain_environment, running
from harness.programs import need

PEOPLE = {"builder": "08a8684b-db88-4b73-90a9-3cd1661f5466", "visitor": "41331323-6f44-45e6-b3b9-2c4b60c02be5"}
"""The users of dex, with their ids."""


def subject(user: str) -> str:
    """The `sub` of a user's ID tokens: a message of protocol buffers with the ids of the user and of the connector."""
    message = b"".join(bytes([tag, len(text)]) + text.encode() for tag, text in ((0x0A, PEOPLE[user]), (0x12, "local")))
    return base64.urlsafe_b64encode(message).decode().rstrip("=")


class Dex:
    """A running dex with the users `PEOPLE`. The audience of an ID token is the name of a client."""

    def __init__(self, port: int, url: str, client_secret: str, password: str) -> None:
        self.port = port
        self.url = url
        self.client_secret = client_secret
        self.password = password

    def id_token(self, client: str, *also: str, user: str = "builder") -> str:
        """An ID token of this user for this client, and for these others as well."""
        scope = " ".join(["openid", "email", *(f"audience:server:client_id:{other}" for other in also)])
        fields = {
            "grant_type": "password",
            "username": f"{user}@example.com",
            "password": self.password,
            "scope": scope,
        }
        headers = web.FORM | web.basic(client, self.client_secret)
        target = f"{urllib.parse.urlsplit(self.url).path}/token"
        answer = web.request(self.port, "POST", target, headers=headers, body=web.form(**fields))
        assert answer.status == 200, answer
        token = str(answer.json()["id_token"])
        canaries.know(token)
        return token


@contextmanager
def dex(
    folder: Path,
    clients: Sequence[str],
    *,
    tokens: str = "10m",
    keys: str = "6h",
    port: int | None = None,
    redirects: Sequence[str] = (),
) -> Iterator[Dex]:
    """A real dex with these clients. `tokens` is the lifetime of ID tokens, `keys` that of signing keys.

    dex looks every 30 seconds whether its signing key is due. With `redirects`, browsers log in, too: by a password,
    or by the connector `mock`, which asks for nothing.
    """
    program, port = need("dex"), port or free_port()
    client_secret, password = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
    made = Dex(port, f"http://localhost:{port}/dex", client_secret, password)
    password_hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()
    config = {
        "issuer": made.url,
        "storage": {"type": "memory"},
        "web": {"http": f"127.0.0.1:{port}"},
        "oauth2": {"passwordConnector": "local", "skipApprovalScreen": True},
        "expiry": {"idTokens": tokens, "signingKeys": keys},
        "enablePasswordDB": True,
        "connectors": [{"type": "mockCallback", "id": "mock", "name": "Mock"}] if redirects else [],
        "staticClients": [
            {
                "id": one,
                "name": one,
                "secret": client_secret,
                "redirectURIs": [*redirects],
                "trustedPeers": [peer for peer in clients if peer != one],
            }
            for one in clients
        ],
        "staticPasswords": [
            {"email": f"{name}@example.com", "username": name, "userID": user_id, "hash": password_hash}
            for name, user_id in PEOPLE.items()
        ],
    }
    file = folder / "dex.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config))
    daemon = Daemon("dex", [program, "serve", file], environment=plain_environment(folder), folder=folder)
    with running(daemon, lambda: answers(port)):
        yield made
