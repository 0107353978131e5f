"""A stand-in for docker_auth, which cannot be built here: its answers by the model, in tokens of its form.

The model is held to recorded answers (tests/corpus/docker_auth). Tokens are signed by RS256, with the libtrust
fingerprint or the JWK thumbprint as `kid`. Answers have both names of the token and no `expires_in`, and scopes without
access as well.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bcrypt
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from harness.processes import plain_environment, run
from tokenserver.importers.docker_auth.model import DockerAuthConfig
from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.token_call import CallAnswer, TokenCall, answer_call


@dataclass(frozen=True)
class OldServer:
    """The running stand-in; `answered` has the status of every call so far."""

    port: int
    answered: list[int]


def libtrust_fingerprint(key: RSAPrivateKey) -> str:
    """SHA-256 of the public key in DER, cut to 240 bits, in base32 with a colon after every four letters."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    letters = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode("ascii")
    return ":".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def thumbprint(key: RSAPrivateKey) -> str:
    """RFC 7638."""
    numbers = key.public_key().public_numbers()
    members = {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _integer(number: int) -> str:
    whole = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode("ascii")


class _Handler(BaseHTTPRequestHandler):
    config: DockerAuthConfig
    key: RSAPrivateKey
    answered: list[int]

    def do_GET(self) -> None:
        self._answer("")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Keep quiet."""

    def _answer(self, form: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        client = f"{self.client_address[0]}:{self.client_address[1]}"
        query = urlsplit(self.path).query
        call = TokenCall(client, query, self.command, headers.get("authorization"), form, headers)
        answer = answer_call(self.config, call, _is_right)
        self.answered.append(answer.status)
        body = json.dumps(self._token(answer) if answer.status == 200 else {}).encode()
        self.send_response(answer.status)
        if answer.status == 401:
            self.send_header("WWW-Authenticate", f'Basic realm="{self.config.token.issuer}"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _token(self, answer: CallAnswer) -> dict[str, str]:
        now = int(time.time())
        access = [{"type": one.type, "name": one.name, "actions": list(one.actions)} for one in answer.access]
        claims: dict[str, Any] = {
            "iss": self.config.token.issuer,
            "sub": answer.subject,
            "aud": answer.audience,
            "exp": now + self.config.token.expiration,
            "nbf": now - 10,
            "iat": now,
            "jti": str(secrets.randbits(63)),
            "access": access,
        }
        kid = (thumbprint if self.config.token.disable_legacy_key_id else libtrust_fingerprint)(self.key)
        token = jwt.encode(claims, self.key, "RS256", {"kid": kid})
        return {"access_token": token, "token": token}


def _is_right(hashed: str, password: str) -> bool:
    return bcrypt.checkpw(password.encode(), hashed.encode())


def make_token_key(folder: Path) -> None:
    """Make `token.key`, and `token.crt`, which is what registries trust."""
    files = ["-keyout", str(folder / "token.key"), "-out", str(folder / "token.crt")]
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=auth", "-days", "2", *files]
    output = run(["openssl", "req", *options], environment=plain_environment(folder), folder=folder)
    assert output.ok, str(output)
    (folder / "token.key").chmod(0o600)


@contextmanager
def old_server(config: Path) -> Iterator[OldServer]:
    """The stand-in with this configuration file, on a free port."""
    read = read_docker_auth(config.read_text(), str(config))
    key = load_pem_private_key((config.parent / read.token.key).read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    answered: list[int] = []
    handler = type("Handler", (_Handler,), {"config": read, "key": key, "answered": answered})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield OldServer(server.server_port, answered)
        finally:
            server.shutdown()
            thread.join()
