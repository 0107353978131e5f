"""Builds the WSGI environ of a request from the header names as the client sent them.

CGI maps `-` and `_` alike (RFC 3875, section 4.1.18), so `X-Forwarded-For` and `X_Forwarded_For` would share one
variable, and a client could overwrite what a proxy set. Here a header with an underscore in its name is dropped, as in
nginx, before there is an environ. No framework, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

CONTENT_HEADERS = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class Headers(Protocol):
    """The header fields of one request, with names in lower case and one entry for each line that was sent.

    `items` leaves out a line whose value has a byte beyond ASCII, while `keys` has each name once, including that of
    such a line. `get` is the value of a name's first line; None if that line was left out, or there is none.
    """

    def items(self) -> Sequence[tuple[str, str]]: ...

    def keys(self) -> Sequence[str]: ...

    def get(self, name: str) -> str | None: ...

    def __len__(self) -> int: ...


class RsgiScope(Protocol):
    """One request as RSGI describes it; `client` and `server` are `host:port`, with IPv6 in brackets."""

    @property
    def headers(self) -> Headers: ...

    @property
    def client(self) -> str: ...

    @property
    def server(self) -> str: ...

    @property
    def scheme(self) -> str: ...

    @property
    def http_version(self) -> str: ...

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def query_string(self) -> str: ...

    @property
    def authority(self) -> str | None: ...


def sent_by(headers: Headers) -> Mapping[str, str]:
    """The value of each header by its name, in lower case and otherwise as it was sent.

    Lines of one name are joined with a comma (RFC 9110, section 5.3). A value with bytes beyond ASCII becomes empty, so
    that a header that is unreadable is never taken for absent.
    """
    items = headers.items()
    found = dict(items)
    if len(found) == len(items) == len(headers) and "transfer-encoding" not in found:
        return found
    found = dict.fromkeys(headers.keys(), "")
    seen: set[str] = set()
    for name, value in items:
        found[name] = f"{found[name]},{value}" if name in seen else value
        seen.add(name)
    if "transfer-encoding" in found and headers.get("transfer-encoding") is None:
        found["transfer-encoding"] = ""  # an unreadable line preceded the readable one
    return found


def decisive_environ(scope: RsgiScope, method: str, path: str) -> dict[str, Any]:
    """The part of the environ that requests for tokens, and notifications of registries, depend on: no headers but
    those of `DECISIVE`, by their exact names.

    It costs half as much as the whole environ.
    """
    sent = sent_by(scope.headers)
    host = scope.client.rpartition(":")[0]
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": _bare(host) if host.startswith("[") else host,
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input_terminated": True,
    }
    for name, value in sent.items():
        variable = DECISIVE.get(name)
        if variable is not None:
            environ[variable] = value
    return environ


def environ_of(scope: RsgiScope, base: Mapping[str, Any]) -> dict[str, Any]:
    """The environ (PEP 3333) of one request, on top of the common `base`; the caller adds `wsgi.input`."""
    host, _, port = scope.server.rpartition(":")
    environ = {
        **base,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": _bare(scope.client.rpartition(":")[0]),
        "SERVER_NAME": _bare(host),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "wsgi.url_scheme": scope.scheme,
    }
    for name, value in sent_by(scope.headers).items():
        if "_" not in name:  # it would share the variable of another one
            environ[_variable(name)] = value
    if "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = scope.authority or ""
    return environ


def _variable(name: str) -> str:
    return CONTENT_HEADERS.get(name) or "HTTP_" + name.replace("-", "_").upper()


def _bare(host: str) -> str:
    return host[1:-1] if host.startswith("[") else host


def add_decisive(names: Iterable[str]) -> None:
    """Pass on these headers of token requests, too, from now on in this process."""
    DECISIVE.update({name: _variable(name) for name in names})


DECISIVE = {
    name: _variable(name)
    for name in (
        *("authorization", "x-forwarded-for", "x-forwarded-proto"),
        *("content-type", "content-length", "transfer-encoding"),
        *("user-agent", "origin"),
        *("ce-id", "ce-specversion", "ce-time", "ce-type"),
    )
}
