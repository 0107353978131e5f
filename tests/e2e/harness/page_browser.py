"""A browser without scripts for the pages of a running server: keeps cookies, fills in forms, follows nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import canaries

from harness import web
from harness.server import TokenServer

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


class PageBrowser:
    """One browser of one person, whose proxy says that it is at `address`.

    `port`: of a proxy, instead of the server's own. `prefix`: the path of the server's public URL.
    """

    def __init__(
        self, server: TokenServer, address: str | None = None, *, port: int | None = None, prefix: str = ""
    ) -> None:
        self._server = server
        self._port = server.port if port is None else port
        self._prefix = prefix
        self._headers = {"Accept": "text/html"} | ({} if address is None else {"X-Forwarded-For": address})
        self._cookies: dict[str, str] = {}

    def get(self, target: str) -> web.Answer:
        """The page at this target."""
        return self._kept(web.request(self._port, "GET", target, headers=self._sent()))

    def submit(self, page: web.Answer, target: str, **fields: str) -> web.Answer:
        """Send the form of the page that leads to `target`, with its hidden fields."""
        form = re.search(rf'<form [^>]*action="{target}">(.*?)</form>', page.body.decode(), re.DOTALL)
        assert form is not None, page
        hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(form[1])}
        body = urlencode(hidden | fields).encode()
        return self._kept(web.request(self._port, "POST", target, headers={**self._sent(), **web.FORM}, body=body))

    def log_in(self, name: str, target: str = "/account") -> web.Answer:
        """Log in, as the page at `target` asks for; that page afterwards."""
        asked = self.get(target)
        assert asked.status == 303, asked
        password = self._server.people[name]
        login = self.get(str(asked.header("location")))
        done = self.submit(login, f"{self._prefix}/login", username=name, password=password)
        assert done.status == 303, done
        return self.get(str(done.header("location")))

    def _sent(self) -> Mapping[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return self._headers | ({"Cookie": cookies} if cookies else {})

    def _kept(self, answer: web.Answer) -> web.Answer:
        for line in answer.headers.get("set-cookie", []):
            for name, morsel in SimpleCookie(line).items():
                canaries.know(morsel.value)
                self._cookies[name] = morsel.value
        return answer
