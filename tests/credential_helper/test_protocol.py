"""Requests of clients to the credential helper. See docs/design/threats.md#threat-169."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credential_helper.protocol import (
    MAX_INPUT,
    NO_SERVER,
    NO_USER,
    RejectedRequest,
    answer,
    is_host,
    keep_request,
    listing,
    registry_of,
    server_in,
)


@pytest.mark.parametrize(
    ("server", "registry"),
    [
        pytest.param("registry.example.com", "registry.example.com", id="host"),
        pytest.param("Registry.Example.COM:5000", "registry.example.com:5000", id="port and case"),
        pytest.param("https://registry.example.com", "registry.example.com", id="scheme"),
        pytest.param("http://localhost:5001/", "localhost:5001", id="slash"),
        pytest.param("https://registry.example.com/v2/", "registry.example.com", id="version of the API"),
        pytest.param("https://index.docker.io/v1/", "index.docker.io", id="Docker Hub"),
        pytest.param("https://index.docker.io/v1/access-token", "index.docker.io/v1/access-token", id="below"),
        pytest.param("registry.example.com/team/", "registry.example.com/team", id="a namespace"),
        pytest.param("[::1]:5000", "[::1]:5000", id="IPv6"),
        pytest.param("x", "x", id="short"),
    ],
)
def test_registry_of(server: str, registry: str) -> None:
    """One registry has one entry, however a client writes it."""
    assert registry_of(server) == registry
    assert is_host(registry) == ("/" not in registry)


@pytest.mark.parametrize(
    "server",
    [
        "",
        "/v2/",
        "ftp://registry.example.com",
        "https://user:pw@registry.example.com",
        "registry example.com",
        "registry.example.com?x",
        "registry.example.com:port",
        "registry.example.com:123456",
        "-registry",
        "registry.example.com/a b",
        "registry.example.com\n.evil",
        "ré.example.com",
        "a" * 1025,
        "\x1b[2J",
    ],
)
def test_what_names_no_registry(server: str) -> None:
    """It is neither guessed nor repeated."""
    with pytest.raises(RejectedRequest, match="names no registry"):
        registry_of(server)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", NO_SERVER, id="empty"),
        pytest.param(b" \n", NO_SERVER, id="blank"),
        pytest.param(b"\xff\x00\x80", "not UTF-8", id="binary"),
        pytest.param(b"a" * (MAX_INPUT + 1), "more than 65536 bytes", id="long"),
        pytest.param(b"a b", "names no registry", id="no host"),
    ],
)
def test_rejected_servers(content: bytes, message: str) -> None:
    """One line says what is wrong."""
    with pytest.raises(RejectedRequest, match=message):
        server_in(content)


def test_server_in() -> None:
    """The URL as the client wrote it, which the answer repeats."""
    assert server_in(b"https://Registry.example.com/v1/\r\n") == "https://Registry.example.com/v1/"
    assert json.loads(answer("s", "u", "p")) == {"ServerURL": "s", "Username": "u", "Secret": "p"}
    assert json.loads(listing({"s": "u"})) == {"s": "u"}


def request(**changes: object) -> bytes:
    """What a client sends to be kept."""
    return json.dumps({"ServerURL": "Registry.example.com", "Username": "ann", "Secret": "s", **changes}).encode()


def test_keep_request() -> None:
    """The parts, and the registry that they are for; an empty secret is the client's business."""
    found = keep_request(request(ServerURL=" https://Registry.example.com/v2/ ", Secret=""))
    assert (found.server, found.registry) == ("https://Registry.example.com/v2/", "registry.example.com")
    assert (found.username, found.secret) == ("ann", "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\xff", "not UTF-8", id="binary"),
        pytest.param(b"[" * 60_000, "not JSON", id="deep"),
        pytest.param(b"[]", "not a JSON object", id="list"),
        pytest.param(b"{}", NO_SERVER, id="nothing"),
        pytest.param(request(Username=""), NO_USER, id="no user"),
        pytest.param(request(Username="a" * 1025), "more than 1024", id="long user"),
        pytest.param(request(Username=1), "must be strings", id="number"),
        pytest.param(request(Secret=None), "must be strings", id="null"),
        pytest.param(request(ServerURL="a b"), "names no registry", id="no host"),
        pytest.param(request(Secret="a" * MAX_INPUT), "more than 65536", id="long"),
    ],
)
def test_rejected_keep_requests(content: bytes, message: str) -> None:
    """One line says what is wrong, and repeats nothing of it."""
    with pytest.raises(RejectedRequest, match=message):
        keep_request(content)


@given(st.binary(max_size=200))
def test_any_input(content: bytes) -> None:
    """Any bytes are understood or rejected."""
    for read in (server_in, keep_request):
        with suppress(RejectedRequest):
            read(content)


@given(st.from_regex(r"\A[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?(:[0-9]{1,5})?\Z"))
def test_a_registry_stays_itself(registry: str) -> None:
    """Also with a scheme and a version of the API."""
    assert registry_of(registry) == registry == registry_of(f"https://{registry}/v2/")
