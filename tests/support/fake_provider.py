"""An OpenID provider on a loopback port whose every answer a test can spoil; its ID tokens are signed for real."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from workload_jwts import jwk, jwt, key_set, private_key

ANN: dict[str, Any] = {
    "sub": "1-ann",
    "preferred_username": "Ann",
    "email": "ann@example.com",
    "email_verified": True,
    "groups": ["/devs", "/web"],
    "sid": "s1",
}
"""The claims of a person."""


@dataclass
class FakeProvider:
    """The provider. `person` is who logs in next, and `claims` are laid over each ID token (None: left out).

    `status` and `body` take the place of the next answers of the token endpoint, and `seconds` is how long they take.
    `forms` are the forms that it was sent, with their header `Authorization`.
    """

    url: str = ""
    now: float | None = None
    person: dict[str, Any] = field(default_factory=lambda: dict(ANN))
    claims: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    body: bytes | None = None
    seconds: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)
    forms: list[tuple[dict[str, str], str | None]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh: str = "refresh-0"

    def discovery(self) -> dict[str, Any]:
        """The discovery document."""
        named = {name: f"{self.url}/{name.partition('_')[0]}" for name in ("authorization_endpoint", "token_endpoint")}
        usual = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "response_types_supported": ["code"], **named}
        return {name: value for name, value in {**usual, **self.document}.items() if value is not None}

    def authorize(self, url: str, **answer: str) -> dict[str, str]:
        """The parameters with which the browser comes back that was sent to this URL."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], **answer}

    def id_token(self, **claims: Any) -> str:
        """An ID token of the person with these claims more."""
        now = int(time.time() if self.now is None else self.now)
        usual = {"iss": self.url, "aud": "tokenserver", "iat": now, "exp": now + 300, **self.person, **claims}
        found = {name: value for name, value in {**usual, **self.claims}.items() if value is not None}
        return jwt(found, key=private_key("ES256"), key_id="k")

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The answer of the token endpoint, as RFC 6749 and RFC 7636 want it."""
        if form.get("grant_type") == "refresh_token":
            if form.get("refresh_token") != self.refresh:
                return 400, {"error": "invalid_grant"}
            number = int(self.refresh.rpartition("-")[2]) + 1
            self.refresh = f"refresh-{number}"
            return 200, {"id_token": self.id_token(), "refresh_token": self.refresh, **self.answer}
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        more = {"refresh_token": self.refresh} if "offline_access" in asked["scope"] else {}
        return 200, {"id_token": self.id_token(nonce=asked["nonce"]), "token_type": "Bearer", **more, **self.answer}


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    """A running one."""
    provider = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = key_set(jwk(private_key("ES256"), "k"))
            if self.path == "/.well-known/openid-configuration":
                content = json.dumps(provider.discovery()).encode()
            self._send(200, content)

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            provider.forms.append((form, self.headers["Authorization"]))
            time.sleep(provider.seconds)
            status, answer = provider.token(form) if provider.status is None else (provider.status, {})
            body = json.dumps({name: value for name, value in answer.items() if value is not None}).encode()
            self._send(status, body if provider.body is None else provider.body)

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
