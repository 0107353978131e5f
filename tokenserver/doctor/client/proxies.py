"""The proxy that a client in Go uses for a URL, from its variables: the rules of golang.org/x/net/http/httpproxy. Pure.

docker, podman, skopeo, crane, oras, helm and containerd are such clients. Names are compared as they are, without DNS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

_Address = IPv4Address | IPv6Address
_PORTS = {"http": "80", "https": "443"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.ASCII | re.DOTALL)
_HOST_CHARACTERS = re.compile(r"""(?:[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>"]|[^\x00-\x7f]|%[89A-Fa-f][0-9A-Fa-f])*""")
_USER_CHARACTERS = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ProxyVariable:
    """A variable that is set, and its value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ProxyVariables:
    """The variables that count; None if a variable is not set, or empty.

    `is_cgi`: `REQUEST_METHOD` is set, as in a CGI program, so Go refuses to use `HTTP_PROXY`.
    """

    http: ProxyVariable | None
    https: ProxyVariable | None
    no_proxy: ProxyVariable | None
    is_cgi: bool = False

    @property
    def values(self) -> tuple[str, ...]:
        """The values, empty where there is none."""
        return tuple("" if one is None else one.value for one in (self.http, self.https, self.no_proxy))

    @property
    def shown(self) -> str:
        """The values without users and passwords, `-` where there is none."""
        addresses = ("-" if one is None else proxy_address(one.value) or "-" for one in (self.http, self.https))
        return ", ".join([*addresses, "-" if self.no_proxy is None else self.no_proxy.value])

    def proxy_for(self, url: str) -> ProxyVariable | None:
        """The variable whose proxy is used for a URL; None if the URL is asked for directly.

        If `is_refused`, requests fail instead.
        """
        parts = urlsplit(url)
        given = {"https": self.https, "http": self.http}.get(parts.scheme)
        if given is None or proxy_address(given.value) is None:
            return None
        host = raw_host(parts.netloc)
        port = str(parts.port or "") or _PORTS[parts.scheme]
        exempt = "" if self.no_proxy is None else self.no_proxy.value
        return given if uses_proxy(host, port, exempt) else None

    def is_refused(self, url: str) -> bool:
        """Whether Go refuses every request to a URL, since `HTTP_PROXY` may be a header of a client of this program."""
        is_set = self.http is not None and proxy_address(self.http.value) is not None
        return self.is_cgi and is_set and urlsplit(url).scheme == "http"


def proxy_variables(environment: Mapping[str, str]) -> tuple[ProxyVariables, ...]:
    """The variables of an environment as clients see them: one view of them, or two if spellings differ.

    First by clients that prefer upper case (golang.org/x/net up to 0.57), then by those that prefer lower case (later
    ones, and curl). An empty variable counts as absent.
    """
    is_cgi = bool(environment.get("REQUEST_METHOD"))
    upper = [(name, name.lower()) for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")]
    views = [[_first(environment, *names) for names in (pair, pair[::-1])] for pair in upper]
    (http, http_lower), (https, https_lower), (exempt, exempt_lower) = views
    first = ProxyVariables(http, https, exempt, is_cgi)
    second = ProxyVariables(http_lower, https_lower, exempt_lower, is_cgi)
    return (first,) if first.values == second.values else (first, second)


def uses_proxy(host: str, port: str, no_proxy: str) -> bool:
    """Whether a request to a host uses the proxy, by `NO_PROXY`; `host` is without brackets (`config.useProxy`)."""
    if host == "localhost":
        return False
    address = _parse(host, zone=True)
    if address is not None and _plain(address).is_loopback:
        return False
    name = _ascii(host).strip().lower()
    return not any(_exempts(entry.strip().lower(), name, port, address) for entry in no_proxy.split(","))


def proxy_address(text: str) -> str | None:
    """The scheme, host and port of a proxy, without its user and password; None if Go does not use it.

    A value that is no URL is tried again behind `http://` (`parseProxy`).
    """
    found = _authority(text)
    if found is None or not all(found):
        behind = _authority(f"http://{text}")
        found = behind if behind is not None else found
    return None if found is None else f"{found[0]}://{found[1]}"


def raw_host(netloc: str) -> str:
    """The host of a URL's authority in its own case, without brackets and port (Go's `URL.Hostname`)."""
    host = netloc.rpartition("@")[2]
    if host.startswith("[") and "]" in host:
        return host[1 : host.index("]")]
    return host.partition(":")[0]


def _first(environment: Mapping[str, str], *names: str) -> ProxyVariable | None:
    return next((ProxyVariable(name, environment[name]) for name in names if environment.get(name)), None)


def _exempts(entry: str, name: str, port: str, address: _Address | None) -> bool:
    """Whether one entry of `NO_PROXY` matches a host (`config.init` and its matchers)."""
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        return address is not None and _plain(address) in network
    parts = _split_port(entry)
    host, own_port = (entry, "") if parts is None else parts
    if not host:
        return False
    if own_port not in ("", port):
        return False
    fixed = _parse(host)
    if fixed is not None or address is not None:
        return fixed is not None and address is not None and _plain(fixed) == _plain(address)
    suffix = _ascii(host[1:] if host.startswith("*.") else host)
    if suffix.startswith("."):
        return name.endswith(suffix)
    return name == suffix or name.endswith(f".{suffix}")


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    """A network in CIDR notation (`net.ParseCIDR`); one of mapped addresses is the network of IPv4 that they map."""
    address, slash, length = entry.partition("/")
    if not slash or "%" in address or not (length.isascii() and length.isdigit()):
        return None
    try:
        found = ip_network(f"{address}/{int(length[:9])}", strict=False)
    except ValueError:
        return None
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    return found if mapped is None else IPv4Network((mapped, found.prefixlen - 96))


def _split_port(text: str) -> tuple[str, str] | None:
    """A host and its port (`net.SplitHostPort`), or None if there is no port."""
    host, colon, port = text.rpartition(":")
    if not colon:
        return None
    if text.startswith("["):
        if not host.endswith("]"):
            return None
        host = host[1:-1]
    elif ":" in host:
        return None
    return None if re.search(r"[\[\]]", host + port) else (host, port)


def _parse(text: str, *, zone: bool = False) -> _Address | None:
    """An IP address; a zone (`fe80::1%eth0`) only where Go accepts one."""
    if "%" in text and not zone:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _plain(address: _Address) -> _Address:
    """An IPv4 address that is mapped into IPv6 counts as what it is; a zone does not count."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def _ascii(host: str) -> str:
    """A name in the form of DNS (IDNA), or as it is if it has none."""
    if host.isascii():
        return host
    try:
        return ".".join(label.encode("idna").decode("ascii") if label else "" for label in host.split("."))
    except UnicodeError:
        return host


def _authority(text: str) -> tuple[str, str] | None:
    """The scheme of a URL, and its host with the port; either may be empty. None if it is no URL (Go's `url.Parse`)."""
    rest, _, fragment = text.partition("#")
    if _CONTROL.search(text) or _BAD_ESCAPE.search(fragment) or text.startswith(":"):
        return None
    named = _SCHEME.fullmatch(rest)
    scheme, rest = (named[1].lower(), named[2]) if named is not None else ("", rest)
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        is_path = not scheme and ":" not in rest.partition("/")[0] and not _BAD_ESCAPE.search(rest)
        return (scheme, "") if scheme or is_path else None
    if not rest.startswith("//") or (not scheme and rest.startswith("///")):
        return None if _BAD_ESCAPE.search(rest) else (scheme, "")
    authority, slash, path = rest[2:].partition("/")
    user, at, host = authority.rpartition("@")
    if _BAD_ESCAPE.search(slash + path) or (at and not _is_user(user)) or not _is_host(host):
        return None
    return scheme, host


def _is_user(text: str) -> bool:
    return _USER_CHARACTERS.fullmatch(text) is not None and _BAD_ESCAPE.search(text) is None


def _is_host(text: str) -> bool:
    """Whether it is a host with or without a port, which may be empty."""
    if text.startswith("["):
        inner, bracket, port = text.rpartition("]")
        is_whole = bool(bracket) and re.fullmatch(r"(?::[0-9]*)?", port, re.ASCII) is not None
        return is_whole and _HOST_CHARACTERS.fullmatch(inner.partition("%25")[0]) is not None
    port = text.rpartition(":")[2] if ":" in text else ""
    return re.fullmatch(r"[0-9]*", port, re.ASCII) is not None and _HOST_CHARACTERS.fullmatch(text) is not None
