"""Cookies: the browser's session, and before a login what its form is bound to."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from flask import Request, Response

from tokenserver.credentials import Secret

BYTES = 32
_TEXT = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cookies:
    """The names and attributes of cookies. `secure`: browsers send them by https alone.

    The prefix `__Host-` makes browsers refuse a cookie of this name from anybody else, such as another host of the same
    domain (RFC 6265bis, section 4.1.3.2).
    """

    secure: bool

    @property
    def session(self) -> str:
        """The name of the session's cookie."""
        return self._named("tokenserver")

    @property
    def visit(self) -> str:
        """The name of the cookie of a browser that has not logged in."""
        return self._named("tokenserver-visit")

    @property
    def login(self) -> str:
        """The name of the cookie of a login in progress at an OpenID provider."""
        return self._named("tokenserver-login")

    @property
    def failure(self) -> str:
        """The name of the cookie that says why such a login failed."""
        return self._named("tokenserver-failure")

    def read(self, request: Request, name: str) -> Secret | None:
        """The value of a cookie that this server may have made; None if there is none."""
        text = request.cookies.get(name, "")
        return Secret(text) if _TEXT.fullmatch(text) else None

    def put(self, response: Response, name: str, value: Secret) -> None:
        """Set a cookie until the browser is closed; the session itself ends sooner."""
        response.set_cookie(name, value.reveal(), secure=self.secure, httponly=True, samesite="Lax", path="/")

    def drop(self, response: Response, name: str) -> None:
        """Remove a cookie."""
        response.delete_cookie(name, secure=self.secure, httponly=True, samesite="Lax", path="/")

    def _named(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name


def new_visit() -> Secret:
    """A new value for the cookie `visit`."""
    return Secret(secrets.token_hex(BYTES))
