"""Field types of the settings: URLs, addresses and durations that are accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from configuration import load, with_registry, with_server, with_url

from tokenserver.errors import LoadError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://auth.example.com", "https://auth.example.com", id="plain"),
        pytest.param("https://auth.example.com/", "https://auth.example.com", id="closing-slash"),
        pytest.param("https://auth.example.com/a/b/", "https://auth.example.com/a/b", id="path"),
        pytest.param("http://localhost:5001", "http://localhost:5001", id="localhost"),
        pytest.param("https://auth.example.com.", "https://auth.example.com.", id="closing-dot"),
        pytest.param("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", id="punycode"),
        pytest.param("https://3com.example", "https://3com.example", id="digit-first"),
    ],
)
def test_right_urls(folder: Path, url: str, expected: str) -> None:
    """As written, without a closing slash, so that the realm has one slash before `token`."""
    found = load(folder, with_url(url)).server
    assert (found.url, found.realm) == (expected, f"{expected}/token")


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        pytest.param("127.0.0.1:5001", ("127.0.0.1", 5001), id="ipv4"),
        pytest.param("0.0.0.0:80", ("0.0.0.0", 80), id="everywhere"),  # noqa: S104 - an address in a text
        pytest.param("[::]:5001", ("::", 5001), id="ipv6-everywhere"),
        pytest.param("[2001:db8::1]:65535", ("2001:db8::1", 65535), id="ipv6"),
    ],
)
def test_right_addresses(folder: Path, listen: str, expected: tuple[str, int]) -> None:
    """Address and port, the brackets of IPv6 gone."""
    assert load(folder, with_server(f"listen: '{listen}'")).server.address == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("60", 60, id="number"),
        pytest.param("60s", 60, id="seconds"),
        pytest.param("15m", 900, id="minutes"),
        pytest.param("1h", 3600, id="hour"),
        pytest.param("3600", 3600, id="longest"),
        pytest.param("060s", 60, id="leading-zero"),
    ],
)
def test_right_durations(folder: Path, text: str, expected: int) -> None:
    """Seconds, whatever the unit; the limits are allowed."""
    assert load(folder, with_registry(f"token_lifetime: {text}")).registries[0].token_lifetime.default == expected


@pytest.mark.parametrize("path", ["//a", "/a//b", "/a%20b", "/a%2Fb", "/.", "/..", "/a/../b", "/a/./b", "/%61"])
def test_a_path_that_proxies_rewrite(folder: Path, path: str) -> None:
    """Requests are compared with it as they arrive, so it has one spelling."""
    with pytest.raises(LoadError) as caught:
        load(folder, with_url(f"https://auth.example.com{path}/x"))
    (fault,) = caught.value.faults
    assert fault.path == "server.url"
    assert "must be plain: without '%', '//', and parts that are '.' or '..'" in fault.message


ORIGINS = [
    *("https://ui.example.com", "http://localhost:8080", "http://127.0.0.1:3000", "http://[::1]:3000"),
    *("https://xn--bcher-kva.example", "https://ui", "https://ui.example.com:8443", "http://a-b"),
]


def test_origins(folder: Path) -> None:
    """As browsers send them."""
    assert load(folder, with_server(f"cors: {ORIGINS!r}")).server.cors == tuple(ORIGINS)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        pytest.param("*", "name each origin", id="star"),
        pytest.param("https://*.example.com", "name each origin", id="wildcard"),
        pytest.param("null", "any sandboxed page", id="null"),
        pytest.param("https://ui.example.com/", "send it: https://ui.example.com, not", id="slash"),
        pytest.param("https://ui.example.com/registry", "send it: https://ui.example.com, not", id="path"),
        pytest.param("https://ui.example.com:443", "send it: https://ui.example.com, not", id="default port"),
        pytest.param("http://ui.example.com:80", "send it: http://ui.example.com, not", id="default port of http"),
        pytest.param("https://UI.example.com", "send it: https://ui.example.com, not", id="capitals"),
        pytest.param("HTTPS://ui.example.com", "send it: https://ui.example.com, not", id="capital scheme"),
        pytest.param("https://ann@ui.example.com", "send it: https://ui.example.com, not", id="user"),
        pytest.param("https://ui.example.com?x", "send it: https://ui.example.com, not", id="query"),
        pytest.param("https://ui.example.com:08443", "send it: https://ui.example.com:8443, not", id="zero"),
        pytest.param("https://bücher.example", "send it: https://xn--bcher-kva.example, not", id="umlaut"),
        pytest.param("http://[0:0::1]:3000", "send it: http://[::1]:3000, not", id="long IPv6"),
        pytest.param("ui.example.com", "must be an origin such as", id="no scheme"),
        pytest.param("//ui.example.com", "must be an origin such as", id="no scheme but slashes"),
        pytest.param("https://", "must be an origin such as", id="no host"),
        pytest.param("", "must be an origin such as", id="empty"),
        pytest.param("ftp://ui.example.com", "must be an origin such as", id="ftp"),
        pytest.param("chrome-extension://abc", "must be an origin such as", id="extension"),
        pytest.param("https://ui.example.com:0", "must be an origin such as", id="port 0"),
        pytest.param("https://ui.example.com:x", "must be an origin such as", id="no port"),
        pytest.param("https://ui_example.com", "must be an origin such as", id="no host name"),
        pytest.param("https://1.2.3", "must be an origin such as", id="half an address"),
        pytest.param("https://[fe80::1%25eth0]", "must be an origin such as", id="zone"),
        pytest.param("https://ui.example.com, https://b", "must be an origin such as", id="two"),
        pytest.param(" https://ui.example.com", "must be", id="blank"),
    ],
)
def test_texts_that_no_browser_sends(folder: Path, origin: str, expected: str) -> None:
    """With the spelling that would be right, if there is one."""
    with pytest.raises(LoadError) as caught:
        load(folder, with_server(f"cors: [{json.dumps(origin)}]"))
    (fault,) = caught.value.faults
    assert fault.path == "server.cors[0]"
    assert expected in fault.message
