"""What a port speaks, where the wrong scheme in `url` would explain a failure."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from rogue_directory import HangUp, answering, message, result, rogue, source

from tokenserver.authn.ldap.diagnosis.ports import examined
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure


@pytest.mark.parametrize("cause", [FailureCause.TLS_CLOSED, FailureCause.TLS_SILENT])
def test_ldaps_to_a_port_for_ldap(cause: FailureCause) -> None:
    """It answers a search for the root entry, with any result."""

    def answers(number: int, _tag: int) -> Iterator[bytes]:
        yield message(number, result(0x65, 50))

    with rogue(answers) as server:
        asked = source(server)
        (address,) = asked.directory.servers
        failure = examined(asked, replace(address, is_ldaps=True), DirectoryFailure(cause))
        assert failure.cause is FailureCause.PLAIN_PORT
        other = DirectoryFailure(FailureCause.UNKNOWN_CA)
        assert examined(asked, replace(address, is_ldaps=True), other) is other


def _hang_up() -> Iterator[bytes]:
    raise HangUp


def test_a_port_that_says_nothing_useful() -> None:
    """The failure stays what it was."""

    def hanging_up(_number: int, _tag: int) -> Iterator[bytes]:
        yield from _hang_up()

    failures = [
        DirectoryFailure(cause)
        for cause in (FailureCause.TLS_CLOSED, FailureCause.CLOSED_PLAIN, FailureCause.CLOSED_AFTER_TLS)
    ]
    with rogue(hanging_up) as server:
        asked = source(server)
    (address,) = asked.directory.servers
    for failure in failures:
        for is_ldaps in (False, True):
            assert examined(asked, replace(address, is_ldaps=is_ldaps), failure) is failure
    with rogue(answering([])) as server:
        asked = source(server)
        (address,) = asked.directory.servers
        assert examined(asked, address, failures[1]) is failures[1]


@contextmanager
def answered_by(data: bytes) -> Iterator[int]:
    """A port that answers the first bytes with these."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                client, _ = listening.accept()
                with client:
                    client.recv(4096)
                    client.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)


def test_ldap_to_a_port_for_tls() -> None:
    """An alert is TLS as well."""
    with rogue(answering([])) as server:
        asked = source(server)
    (address,) = asked.directory.servers
    with answered_by(b"\x15\x03\x03\x00\x02\x02\x46") as port:
        failure = examined(asked, replace(address, port=port), DirectoryFailure(FailureCause.CLOSED_PLAIN))
    assert failure.cause is FailureCause.TLS_PORT


def test_a_server_that_asks_for_a_certificate() -> None:
    """A CertificateRequest before it closed the connection."""
    with rogue(answering([])) as server:
        asked = source(server)
    (address,) = asked.directory.servers
    request = b"\x16\x03\x03\x00\x08\x0d\x00\x00\x00\x0e\x00\x00\x00"
    with answered_by(request) as port:
        there = replace(address, port=port, is_ldaps=True)
        failure = examined(asked, there, DirectoryFailure(FailureCause.CLOSED_AFTER_TLS))
    assert failure.cause is FailureCause.CLIENT_CERTIFICATE
