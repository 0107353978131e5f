"""One HTTP request of the credential helper: bounded in time and size, no redirect, https except to this machine.

Proxies are those of the environment, as urllib reads it. `runtime/http` has the requests of the server, which knows no
proxies and brings more of the package along.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from tokenserver import __version__
from tokenserver.credential_helper.token_server.reply import Form, ServerReply
from tokenserver.credential_helper.token_server.urls import is_loopback, is_protected

MAX_BODY = 64 * 1024
SECONDS = 5.0


class Web:
    """Requests to others. `ca_files` are certificates to trust besides those of the system; missing ones are none."""

    def __init__(self, ca_files: Sequence[str] = ()) -> None:
        self._ca_files = ca_files
        self._context: ssl.SSLContext | None = None

    def fetch(
        self,
        url: str,
        form: Form | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> ServerReply | None:
        """The response to a GET, or to a POST of the form, within `seconds` for everything together.

        None where there is none, it is longer than `MAX_BODY`, or the URL is not protected (see `is_protected`).
        """
        if not is_protected(url):
            return None
        found: list[ServerReply] = []
        # A thread of its own: neither the look-up of a name nor a peer that sends a byte now and then can be timed out.
        arguments = (url, form, {**(headers or {})}, seconds, found)
        thread = threading.Thread(target=self._attempt, args=arguments, daemon=True)
        thread.start()
        thread.join(seconds)
        return found[0] if found else None

    def _attempt(
        self, url: str, form: Form | None, headers: dict[str, str], seconds: float, found: list[ServerReply]
    ) -> None:
        try:
            found.append(self._request(url, form, headers, seconds))
        except (OSError, http.client.HTTPException, ValueError):
            return

    def _request(self, url: str, form: Form | None, headers: dict[str, str], seconds: float) -> ServerReply:
        agent = {"User-Agent": f"docker-credential-tokenserver/{__version__}", "Accept": "application/json"}
        body = None if form is None else urlencode(form).encode()
        request = urllib.request.Request(url, body, {**agent, **headers})  # noqa: S310 - is_protected, above
        with self._opener(url).open(request, timeout=seconds) as response:
            content = response.read(MAX_BODY + 1)
            if len(content) > MAX_BODY:
                raise ValueError("longer than any answer")
            return ServerReply(response.status, content, tuple(response.headers.get_all("www-authenticate", [])))

    def _opener(self, url: str) -> urllib.request.OpenerDirector:
        """What requests this URL: no handler of redirects, cookies, files or passwords."""
        opener = urllib.request.OpenerDirector()
        opener.add_handler(_PlainHandler())
        opener.add_handler(urllib.request.HTTPSHandler(context=self._trust()))
        if not is_loopback(urlsplit(url).hostname or ""):
            opener.add_handler(urllib.request.ProxyHandler())
        return opener

    def _trust(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            for file in self._ca_files:
                try:
                    self._context.load_verify_locations(file)
                except (OSError, ValueError):
                    continue
        return self._context


class _LocalConnection(http.client.HTTPConnection):
    """Plain http to this machine: the name proves nothing, since it may be resolved to elsewhere."""

    def connect(self) -> None:
        super().connect()
        peer = ipaddress.ip_address(self.sock.getpeername()[0].partition("%")[0])
        if not (getattr(peer, "ipv4_mapped", None) or peer).is_loopback:
            self.close()
            raise OSError("plain http to another machine")


class _PlainHandler(urllib.request.HTTPHandler):
    """The handler of http URLs."""

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_LocalConnection, req)
