"""Calls of docker_auth's token endpoint: what it takes from them. Whole answers are recorded for `evaluator`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.docker_auth.model import PeerServerSettings
from tokenserver.importers.docker_auth.token_call import BadCall, DroppedCall, PeerScope, TokenCall, read_call

SERVER = PeerServerSettings()


def test_a_call() -> None:
    """All parts of it."""
    read = read_call(SERVER, TokenCall("127.0.0.1:1", "service=s&scope=a:b:d,c%20e:f:g:h", "GET", "Basic YTpi"))
    scopes = (PeerScope("a", "b", ("c", "d")), PeerScope("e", "f:g", ("h",)))
    assert (read.account, read.password, read.service, read.ip, read.scopes) == ("a", "b", "s", "127.0.0.1", scopes)


@pytest.mark.parametrize("client", ["@", "", "localhost:1", "[::1]"])
def test_clients_without_an_address(client: str) -> None:
    """Such as those of a socket file."""
    with pytest.raises(BadCall, match="remote addr"):
        read_call(SERVER, TokenCall(client))


def test_an_address_beyond_the_list() -> None:
    """It crashes the request."""
    with pytest.raises(DroppedCall):
        read_call(
            PeerServerSettings(real_ip_header="X", real_ip_pos=1), TokenCall("1.2.3.4:5", headers={"x": "1.2.3.4"})
        )


@given(st.text(max_size=30), st.text(max_size=10))
def test_any_query(query: str, header: str) -> None:
    """It is read, or there is a reason."""
    try:
        read = read_call(SERVER, TokenCall("127.0.0.1:1", query, "POST", header, query))
    except BadCall:
        return
    assert read.ip == "127.0.0.1"
