"""URLs of servers: the one rule for their hosts, wherever a configuration or an option names a URL. Pure.

A host is a name of letters, digits and dashes (RFC 1123, section 2.1), with or without the dot of the root, or an IP
address; an IPv6 address is in brackets (RFC 3986, section 3.2.2).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

EXAMPLE = "https://auth.example.com"

MAX_HOST = 253
"""Characters of a host name without the dot of the root (RFC 1035, section 2.3.4)."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)

# Those that Go's `netip.Addr` calls private, which Python's `is_private` is wider than.
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))


def checked_url(text: str, example: str = EXAMPLE) -> str:
    """An http or https URL of a server, without a trailing slash; a path is kept.

    Raises:
        ValueError: it is none, or its host is neither a name nor an IP address; the text says what would be right.
    """
    if not text.startswith(("http://", "https://")):
        raise ValueError(f"must be a URL such as {example}")
    netloc = re.split("[/?#]", text.partition("://")[2], maxsplit=1)[0]
    # A bare "?" or "#" is rejected as well: a path appended to it would not be a path.
    if "?" in text or "#" in text or "@" in netloc:
        raise ValueError("must be a URL without user, query, fragment and blanks")
    if not netloc.isascii():
        raise ValueError(f"must have its host in ASCII{_punycode(netloc)}")
    if re.fullmatch(r"[!-~]+", text) is None:
        raise ValueError("must be a URL without user, query, fragment and blanks")
    if '"' in text or "\\" in text:
        raise ValueError("must not contain quotes or backslashes")
    problem = _netloc_problem(netloc)
    if problem is not None:
        raise ValueError(problem or f"must be a URL such as {example}")
    return text.rstrip("/")


def with_plain_path(url: str) -> str:
    """A URL whose path every client and proxy reads alike, since requests below it are compared with it.

    Raises:
        ValueError: it is not plain.
    """
    path = urlsplit(url).path
    if path and (_PLAIN_PATH.fullmatch(path) is None or not {".", ".."}.isdisjoint(path.split("/"))):
        raise ValueError(f"the path {path!r} must be plain: without '%', '//', and parts that are '.' or '..'")
    return url


def checked_origin(text: str) -> str:
    """The origin of web pages, as browsers send it (RFC 6454, section 6.2).

    Raises:
        ValueError: it is none, or not spelled like that; the text has the right spelling.
    """
    if "*" in text:
        raise ValueError(f"{text!r} would let pages of others ask with their visitors' passwords; name each origin")
    if text == "null":
        raise ValueError("'null' is the origin of any sandboxed page and local file; serve the page from https://")
    try:
        spelled = _spelled_origin(text)
    except ValueError as error:
        raise ValueError(f"must be an origin such as https://ui.example.com, not {text!r}") from error
    if text != spelled:
        raise ValueError(f"must be spelled as browsers send it: {spelled}, not {text!r}")
    return text


def _spelled_origin(text: str) -> str:
    """The origin of a URL: scheme, host and, unless it is the default, port.

    Raises:
        ValueError: it has none that a browser would send.
    """
    parts = urlsplit(text)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = (parts.hostname or "").encode("idna").decode("ascii").lower()
    if default is None or parts.port == 0 or "%" in host:
        raise ValueError
    if ":" in host or host.rpartition(".")[2].isdigit():
        address = ip_address(host)
        host = str(address) if address.version == 4 else f"[{address.compressed}]"
    elif host_problem(host) is not None:
        raise ValueError
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")


def _punycode(netloc: str) -> str:
    host, colon, port = netloc.partition(":")
    try:
        return f": {host.encode('idna').decode('ascii')}{colon}{port}"
    except UnicodeError:
        return ""


def _netloc_problem(netloc: str) -> str | None:
    """Why a host with an optional port is not valid, or None; empty if it is not one at all."""
    host, colon, port = netloc.rpartition(":") if re.search(r":[^\]]*$", netloc) else (netloc, "", "")
    if not host or (colon and (re.fullmatch(r"[0-9]{1,5}", port) is None or not 0 < int(port) < 65536)):
        return ""
    if not host.startswith("["):
        return host_problem(host)
    inner = host.removeprefix("[").removesuffix("]")
    if "%" in inner:
        return f"{inner!r} has a zone, which means something on one machine only; use an address without one"
    try:
        IPv6Address(inner if host.endswith("]") else "")
    except ValueError:
        return ""
    return None


def host_problem(host: str) -> str | None:
    """Why `host`, as it is in a URL and not in brackets, is neither a host name nor an IPv4 address; None if it is."""
    if _NAME.fullmatch(host) is None or len(host.removesuffix(".")) > MAX_HOST:
        return f"{host!r} is not a host name"
    if _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) is None:
        return None
    # Clients read names that end in a number as an address, each in its own way: 127.1, 0x7f.1, 010.0.0.1.
    try:
        IPv4Address(host)
    except ValueError:
        return f"{host!r} is neither a host name nor an IPv4 address of four decimal numbers"
    return None


def split_url(url: str) -> SplitResult | None:
    """The parts of an untrusted URL, or None if it is not valid."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def host_of(url: str) -> str:
    """The host of a URL in the form in which equal hosts are equal: lower case, no dot of the root, no brackets."""
    parts = split_url(url)
    host = "" if parts is None else (parts.hostname or "").removesuffix(".")
    address = _address(host)
    return host if address is None else str(address)


def port_of(parts: SplitResult) -> int:
    """The port of a URL, or the default one of its scheme."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_address(host: str) -> bool:
    """Whether a URL's host, without brackets, is an IP address."""
    return _address(host) is not None


def is_local(host: str) -> bool:
    """Whether a host is always the client's own machine: `localhost` (RFC 6761, section 6.3) or a loopback address."""
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and _plain(address).is_loopback)


def is_internal_address(host: str) -> bool:
    """Whether a host is an IP address that clients take for one inside a network: private, loopback, link-local."""
    address = _address(host)
    if address is None:
        return False
    plain = _plain(address)
    is_private = any(plain in network for network in _PRIVATE if network.version == plain.version)
    is_link_local = plain.is_link_local or plain in ip_network(
        "224.0.0.0/24" if isinstance(plain, IPv4Address) else "ff02::/16"
    )
    return is_private or is_link_local or plain.is_loopback or plain.is_unspecified


def address_problem(realm: str, registry_host: str | None) -> str | None:
    """Which clients reject a realm at an IP address, or None: it has none, or all accept it.

    `registry_host` is the host of the registry, with its port if it has one; None if it is unknown. The rules are those
    of go-containerregistry (`validateRealmURL`) and oras-go (`validateRealm`), compared as text as they do it.
    """
    host = host_of(realm)
    parts = split_url(realm)
    if parts is None or not is_internal_address(host):
        return None
    if registry_host is not None and registry_host.lower() == parts.netloc.lower():
        return None
    others = "oras and helm reject some unless it has the same address"
    if registry_host is None:
        return (
            f"crane rejects {host} in a realm unless the registry has the same host and port, {parts.netloc}; {others}"
        )
    if host_of(f"//{registry_host}") == host:
        return f"crane rejects {host} in a realm unless the registry has the same host and port, {parts.netloc}"
    return f"crane rejects {host} in a realm, because the registry has another host and port, {registry_host}; {others}"


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
