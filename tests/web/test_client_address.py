"""The client's address: believed from trusted proxies alone, read from the right."""

from __future__ import annotations

import time
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tokenserver.web.client_address import client_address, parse_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        pytest.param("192.0.2.1", [], "192.0.2.1", id="no proxy"),
        pytest.param("192.0.2.1", ["1.2.3.4"], "192.0.2.1", id="an untrusted peer's header is ignored"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy without the header"),
        pytest.param("10.0.0.1", [""], None, id="a proxy with an empty header"),
        pytest.param("10.0.0.1", ["1.2.3.4"], "1.2.3.4", id="one hop"),
        pytest.param("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4", id="forged by the client, on the left"),
        pytest.param("10.0.0.1", ["evil, 10.0.0.2"], None, id="garbage behind a trusted hop"),
        pytest.param("10.0.0.1", ["evil, 1.2.3.4"], "1.2.3.4", id="garbage behind the client"),
        pytest.param("10.0.0.1", ["1.2.3.4, evil"], None, id="garbage next to the peer"),
        pytest.param("10.0.0.1", ["1.2.3.4, , 10.0.0.2"], None, id="an empty entry"),
        pytest.param("10.0.0.1", ["1.2.3.4,"], None, id="an empty last entry"),
        pytest.param("10.0.0.1", ["1.2.3.4, unknown"], None, id="unknown"),
        pytest.param("10.0.0.1", ["1.2.3.4, _hidden, 10.0.0.2"], None, id="an obfuscated name"),
        pytest.param("10.0.0.1", ["unknown, 1.2.3.4, 10.0.0.2"], "1.2.3.4", id="unknown behind the client"),
        pytest.param("10.0.0.1", ["1.2.3.4", ""], None, id="an empty second header"),
        pytest.param("10.0.0.1", ["1.2.3.4, " + "9" * 200], None, id="an entry that is too long"),
        pytest.param("192.0.2.1", ["unknown"], "192.0.2.1", id="an untrusted peer does not know"),
        pytest.param("10.0.0.1", ["1.2.3.4, 10.0.0.3, 10.0.0.2"], "1.2.3.4", id="three proxies"),
        pytest.param("10.0.0.1", ["10.0.0.9, 1.2.3.4, 10.0.0.2"], "1.2.3.4", id="a trusted one made up"),
        pytest.param("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", id="all trusted: the leftmost"),
        pytest.param("10.0.0.1", ["6.6.6.6", "1.2.3.4"], "1.2.3.4", id="two headers"),
        pytest.param("10.0.0.1", ["6.6.6.6,1.2.3.4"], "1.2.3.4", id="two headers, joined by the server"),
        pytest.param("10.0.0.1", ["\t1.2.3.4 "], "1.2.3.4", id="blanks and tabs"),
        pytest.param("10.0.0.1", ["1.2.3.4:5678"], "1.2.3.4", id="IPv4 with a port"),
        pytest.param("10.0.0.1", ["2001:db8::1"], "2001:db8::1", id="IPv6"),
        pytest.param("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1", id="IPv6 in brackets"),
        pytest.param("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1", id="IPv6 with a port"),
        pytest.param("10.0.0.1", ["fe80::1%eth0"], "fe80::1", id="IPv6 with a zone"),
        pytest.param("10.0.0.1", ["[fe80::1%25eth0]:443"], "fe80::1", id="IPv6 with a zone from a URL"),
        pytest.param("10.0.0.1", ["1.2.3.4%eth0"], None, id="IPv4 with a zone"),
        pytest.param("10.0.0.1", ["fe80::1%"], None, id="an empty zone"),
        pytest.param("10.0.0.1", ["::ffff:1.2.3.4"], "1.2.3.4", id="IPv4 inside IPv6"),
        pytest.param("::ffff:10.0.0.1", ["1.2.3.4"], "1.2.3.4", id="a trusted peer inside IPv6"),
        pytest.param("10.0.0.1", ["1.2.3.4, ::ffff:10.0.0.2"], "1.2.3.4", id="a trusted hop inside IPv6"),
        pytest.param("fd00::1", ["1.2.3.4"], "1.2.3.4", id="an IPv6 proxy"),
        pytest.param("fd00::1%eth0", ["1.2.3.4"], "1.2.3.4", id="an IPv6 proxy with a zone"),
        pytest.param("2001:db8::1", ["1.2.3.4"], "2001:db8::1", id="an untrusted IPv6 peer"),
        pytest.param("10.0.0.1:4711", ["1.2.3.4"], "1.2.3.4", id="a peer with a port"),
        pytest.param("unix:", ["1.2.3.4"], None, id="a Unix socket"),
        pytest.param("unix:/run/x", ["1.2.3.4"], None, id="a Unix socket with a path"),
        pytest.param("", ["1.2.3.4"], None, id="no peer"),
        pytest.param("localhost", ["1.2.3.4"], None, id="a name"),
        pytest.param("10.0.0.1", ["01.2.3.4"], None, id="a leading zero"),
        pytest.param("10.0.0.1", ["1.2.3"], None, id="three numbers"),
        pytest.param("10.0.0.1", ["16909060"], None, id="one number"),
        pytest.param("10.0.0.1", ["\uff11.2.3.4"], None, id="full-width digits"),
        pytest.param("10.0.0.1", ["1.2.3.4\n"], None, id="newline"),
        pytest.param("10.0.0.1", ["1.2.3.4:"], None, id="an empty port"),
        pytest.param("10.0.0.1", ["2001:db8::1]:443"], None, id="half a bracket"),
        pytest.param("10.0.0.1", ['"1.2.3.4"'], None, id="quotes"),
        pytest.param("10.0.0.1", ["1.2.3.0/24"], None, id="a network"),
    ],
)
def test_client(peer: str, forwarded: list[str], expected: str | None) -> None:
    """The first address from the right that is not trusted; None where a trusted proxy names something else."""
    assert client_address(peer, forwarded, TRUSTED) == (None if expected is None else ip_address(expected))


@pytest.mark.parametrize(
    ("hops", "expected"),
    [
        pytest.param(49, "1.2.3.4", id="49 proxies behind the client"),
        pytest.param(50, "10.0.1.0", id="50 proxies: the client is out of sight"),
        pytest.param(5000, "10.0.1.0", id="5,000 proxies"),
    ],
)
def test_hops_are_bounded(hops: int, expected: str) -> None:
    """Fifty entries are looked at; farther left, nothing is believed."""
    header = ", ".join(["1.2.3.4", *["10.0.2.0"] * (hops - 50), *["10.0.1.0"] * min(hops, 50)])
    assert client_address("10.0.0.1", [header], TRUSTED) == ip_address(expected)


def test_an_endless_header_is_quick() -> None:
    """A megabyte of commas costs next to nothing."""
    start = time.thread_time()
    assert client_address("10.0.0.1", ["," * 1_000_000], TRUSTED) is None
    assert time.thread_time() - start < 0.5


def test_nobody_trusted() -> None:
    """Without trusted proxies the header means nothing."""
    assert client_address("10.0.0.1", ["1.2.3.4"], []) == ip_address("10.0.0.1")


_ADDRESS = st.ip_addresses().map(str) | st.sampled_from(
    ["10.0.0.2", "10.0.0.3", "fd00::2", "evil", "", "::ffff:10.0.0.4"]
)
_NETWORKS: list[IPv4Network | IPv6Network] = list(TRUSTED)


@given(_ADDRESS | st.text(), st.lists(st.lists(_ADDRESS | st.text(max_size=40)).map(", ".join), max_size=4))
def test_any_header(peer: str, forwarded: list[str]) -> None:
    """Any text gives an address that is in the request, or none; only a trusted peer's header changes it."""
    client = client_address(peer, forwarded, _NETWORKS)
    own = client_address(peer, [], _NETWORKS)
    if own is None or not any(own in network for network in _NETWORKS):
        assert client == own
    elif client is not None:
        assert client in {own, *(parse_address(entry.strip(" \t")) for entry in ",".join(forwarded).split(","))}


@given(
    st.lists(st.sampled_from(["10.0.0.2", "10.9.9.9", "fd00::2"]), max_size=5),
    st.sampled_from(["unknown", "", "_x", "evil", "10.0.0", "1.2.3.4:", "\xff"]) | st.text(max_size=20),
    st.text(max_size=40),
)
def test_what_is_no_address_makes_the_client_unknown(hops: list[str], entry: str, left: str) -> None:
    """However many trusted proxies are on its right, and whatever is on its left."""
    assume("," not in entry and parse_address(entry.strip(" \t")) is None)
    assert client_address("10.0.0.1", [",".join([left, entry, *hops])], _NETWORKS) is None


@given(st.ip_addresses(v=4).filter(lambda address: address not in TRUSTED[0]), st.text(max_size=60))
def test_nothing_left_of_the_client_matters(client: object, made_up: str) -> None:
    """Whatever a client sends as its own header, the address that the proxy saw is the answer."""
    assert client_address("10.0.0.1", [f"{made_up}, {client}"], _NETWORKS) == client
