"""The one rule for URLs of servers and their hosts, and which clients reject an IP address."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.documents.urls import (
    address_problem,
    checked_url,
    host_of,
    host_problem,
    is_address,
    is_internal_address,
    is_local,
    port_of,
    split_url,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("https://auth.example.com", None, id="a name"),
        pytest.param("http://localhost:5001", None, id="localhost"),
        pytest.param("https://Auth.Example.COM", None, id="capitals"),
        pytest.param("https://auth.example.com.", None, id="the dot of the root"),
        pytest.param("https://xn--mller-kva.example", None, id="punycode"),
        pytest.param("https://a--b.example", None, id="two dashes"),
        pytest.param("https://1.example", None, id="a label of digits"),
        pytest.param("https://3com", None, id="a digit first"),
        pytest.param("https://registry", None, id="one label"),
        pytest.param("https://0xyz.example", None, id="a name like a number"),
        pytest.param("https://a.example:65535/", "https://a.example:65535", id="a port"),
        pytest.param("https://a.example/login//", "https://a.example/login", id="a path"),
        pytest.param("https://a.example/a@b:c", None, id="a path with signs of an authority"),
        pytest.param("http://10.0.0.5:5000", None, id="IPv4"),
        pytest.param("http://[2001:db8::1]", None, id="IPv6"),
        pytest.param("http://[2001:db8::1]:5000/x", None, id="IPv6 with a port"),
        pytest.param("http://[::ffff:192.0.2.1]", None, id="IPv4 in IPv6"),
        pytest.param(f"https://{'a' * 63}.example", None, id="a long label"),
    ],
)
def test_urls(text: str, expected: str | None) -> None:
    """The URL as it is, without a slash at its end."""
    assert checked_url(text) == (text if expected is None else expected)


NEEDED = "must be a URL such as https://auth.example.com"
BARE = "must be a URL without user, query, fragment and blanks"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *(
            pytest.param(text, NEEDED, id=text or "empty")
            for text in (
                "",
                "auth.example.com",
                "ftp://a",
                "HTTPS://a",
                "https://",
                "https:///token",
                "https://:443",
                "https://a:",
                "https://a:0",
                "https://a:65536",
                "https://a:b",
                "https://[::1",
                "https://[]",
                "https://[::1]x:5",
                "https://[auth.example.com]",
                "https://[127.0.0.1]",
                "https://[v1.x]",
                "https://[::1]:",
            )
        ),
        *(
            pytest.param(text, BARE, id=text)
            for text in (
                "https://ann@a",
                "https://ann:x@a",
                "https://@a",
                "https://a?b",
                "https://a?",
                "https://a#",
                "https://a/ b",
                "https://a b",
                "https://a/\x7f",
                "https://a/ü",
            )
        ),
        pytest.param("https://a\\b", "must not contain quotes or backslashes", id="backslash"),
        pytest.param('https://a"', "must not contain quotes or backslashes", id="quote"),
        pytest.param(
            "https://müller.example:5000", "must have its host in ASCII: xn--mller-kva.example:5000", id="IDN"
        ),
        pytest.param("https://a..ü", "must have its host in ASCII", id="no IDN"),
        pytest.param("https://a_b", "'a_b' is not a host name", id="underscore"),
        pytest.param("https://-a", "'-a' is not a host name", id="dash first"),
        pytest.param("https://a-", "'a-' is not a host name", id="dash last"),
        pytest.param("https://a..b", "'a..b' is not a host name", id="two dots"),
        pytest.param("https://.", "'.' is not a host name", id="a dot"),
        pytest.param("https://a..", "'a..' is not a host name", id="two dots last"),
        pytest.param("https://*.example", "'*.example' is not a host name", id="wildcard"),
        pytest.param("https://::1", "':' is not a host name", id="IPv6 without brackets"),
        pytest.param(f"https://{'a' * 64}", f"'{'a' * 64}' is not a host name", id="a label too long"),
        pytest.param(f"https://{'a.' * 127}a", f"'{'a.' * 127}a' is not a host name", id="too long"),
        *(
            pytest.param(
                f"https://{host}",
                f"{host!r} is neither a host name nor an IPv4 address of four decimal numbers",
                id=host,
            )
            for host in (
                "127.1",
                "1.2.3.400",
                "010.0.0.1",
                "0x7f.0.0.1",
                "0x7f.1",
                "2130706433",
                "1.2.3.4.",
                "a.1",
                "0x",
            )
        ),
        pytest.param(
            "https://[fe80::1%25eth0]",
            "'fe80::1%25eth0' has a zone, which means something on one machine only; use an address without one",
            id="zone",
        ),
    ],
)
def test_no_urls(text: str, problem: str) -> None:
    """Each says what would be right."""
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        checked_url(text)


@given(st.text(max_size=40).map("https://".__add__) | st.text(max_size=20))
@example("https://[::1%]")
@example("https://[")
def test_any_text_is_a_url_or_not(text: str) -> None:
    """What passes has a host that every part of the program reads alike, and none that clients read differently."""
    try:
        url = checked_url(text)
    except ValueError:
        return
    parts = split_url(url)
    assert parts is not None
    assert parts.hostname
    assert parts.username is None
    assert 0 < port_of(parts) < 65536
    assert host_of(url) == host_of(f"//{parts.netloc}") != ""
    assert ":" in host_of(url) or host_problem(host_of(url)) is None


@given(st.ip_addresses())
def test_every_address_is_a_host(address: IPv4Address | IPv6Address) -> None:
    """In brackets if it is one of IPv6; and it is recognised as what it is."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return
    host = f"[{address}]" if address.version == 6 else str(address)
    url = checked_url(f"http://{host}:5000")
    assert host_of(url) == str(address)
    assert is_address(host_of(url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://A.Example.", "a.example", id="name"),
        pytest.param("https://[2001:DB8:0:0::1]:5000/x", "2001:db8::1", id="IPv6"),
        pytest.param("//r:5000", "r", id="authority alone"),
        pytest.param("https://[broken", "", id="broken"),
        pytest.param("r:5000", "", id="no URL"),
    ],
)
def test_host_of(url: str, expected: str) -> None:
    """Equal hosts have one spelling."""
    assert host_of(url) == expected


@pytest.mark.parametrize(
    ("host", "local", "internal"),
    [
        ("localhost", True, False),
        ("a.localhost", True, False),
        ("notlocalhost", False, False),
        ("127.0.0.1", True, True),
        ("127.255.0.9", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("10.1.2.3", False, True),
        ("172.16.0.1", False, True),
        ("172.32.0.1", False, False),
        ("192.168.1.1", False, True),
        ("169.254.169.254", False, True),
        ("224.0.0.7", False, True),
        ("ff02::1", False, True),
        ("0.0.0.0", False, True),  # noqa: S104 - an address, not a bind
        ("::", False, True),
        ("fd00::1", False, True),
        ("fe80::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("192.0.2.1", False, False),
        ("203.0.113.5", False, False),
        ("100.64.0.1", False, False),
        ("2001:db8::1", False, False),
        ("10.example.com", False, False),
    ],
)
def test_kinds_of_hosts(host: str, local: bool, internal: bool) -> None:
    """Internal is what crane's `IsPrivateOrLinkLocal` says, which Python's `is_private` is wider than."""
    assert (is_local(host), is_internal_address(host)) == (local, internal)


@pytest.mark.parametrize(
    ("realm", "registry", "says"),
    [
        pytest.param("http://10.0.0.5:5000/token", "10.0.0.5:5000", None, id="the same host and port"),
        pytest.param("http://10.0.0.5/token", None, "the registry has the same host and port, 10.0.0.5;", id="?"),
        pytest.param("http://10.0.0.5:5001/token", "10.0.0.5:5000", "same host and port, 10.0.0.5:5001", id="port"),
        pytest.param("http://10.0.0.5:5001/token", "r:5000", "another host and port, r:5000; oras", id="host"),
        pytest.param("http://[FD00::5]:5000/token", "[fd00::5]:5000", None, id="case"),
        pytest.param("https://203.0.113.5/token", None, None, id="public"),
        pytest.param("https://auth.example.com/token", None, None, id="a name"),
        pytest.param("https://[broken", None, None, id="broken"),
    ],
)
def test_who_rejects_an_address(realm: str, registry: str | None, says: str | None) -> None:
    """crane compares host and port as text, oras and helm the host."""
    problem = address_problem(realm, registry)
    assert (problem is None) == (says is None)
    assert says is None or says in str(problem)
