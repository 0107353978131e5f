"""What a rejected certificate says: its names, its dates and its issuer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.certificate import explained
from tokenserver.authn.ldap.failures.failure import DirectoryFailure

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def certificate(hosts: Sequence[str] = ("ldap.example.com",), *, end: datetime = NOW + DAY) -> bytes:
    """A certificate for these hosts, in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("ldap.example.com", "Example CA")
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - 9 * DAY)
        .not_valid_after(end)
    )
    if hosts:
        names = [x509.DNSName(host) for host in hosts]
        alternatives = x509.SubjectAlternativeName([*names, x509.IPAddress(ip_address("192.0.2.1"))])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("cause", "der", "text"),
    [
        pytest.param(
            FailureCause.CERTIFICATE_EXPIRED,
            certificate(end=NOW - DAY),
            "the server's certificate has expired: it ended 2026-05-31 12:00 UTC",
            id="expired",
        ),
        pytest.param(
            FailureCause.CERTIFICATE_EXPIRED,
            certificate(),
            "a CA certificate above the server's certificate has expired",
            id="it has not: so its CA has",
        ),
        pytest.param(
            FailureCause.CERTIFICATE_NOT_YET_VALID,
            certificate(),
            "the server's certificate is not valid yet: it begins 2026-05-23 12:00 UTC, and it is 2026-06-01 12:00 UTC "
            "on this machine",
            id="not valid yet",
        ),
        pytest.param(
            FailureCause.UNKNOWN_CA,
            certificate(),
            "the server's certificate was issued by an unknown CA: Example CA",
            id="unknown CA",
        ),
        pytest.param(
            FailureCause.WRONG_HOST,
            certificate(),
            "the server's certificate is for another host: it is for ldap.example.com, 192.0.2.1, not for localhost",
            id="another host",
        ),
        pytest.param(
            FailureCause.WRONG_HOST,
            certificate([f"h{number}" for number in range(9)]),
            "the server's certificate is for another host: it is for h0, h1, h2, h3, h4 and 5 more, not for localhost",
            id="many names",
        ),
        pytest.param(
            FailureCause.WRONG_HOST,
            certificate([]),
            "the server's certificate is for another host: it is for no host, not for localhost",
            id="only a common name, which does not count",
        ),
    ],
)
def test_explained(cause: FailureCause, der: bytes, text: str) -> None:
    """The sentence gets what the operator needs to know about the certificate."""
    assert explained(DirectoryFailure(cause, {"host": "localhost"}), der, NOW).text == text


def test_the_ca_to_add() -> None:
    """The fix names it."""
    assert explained(DirectoryFailure(FailureCause.UNKNOWN_CA), certificate(), NOW).fix == (
        "put the certificate of Example CA into ca_file"
    )


@given(st.binary(max_size=40))
def test_no_certificate(der: bytes) -> None:
    """Without one, and with a broken one, the failure stays as it is."""
    failure = DirectoryFailure(FailureCause.CERTIFICATE_EXPIRED)
    assert explained(failure, der, NOW) is failure
    damaged = certificate()[:-40] + der
    assert explained(failure, damaged, NOW).text


DER = certificate()


@given(st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255)), min_size=1, max_size=3))
@example([(DER.index(b"\xa0\x03\x02\x01") + 4, 73)])
def test_whatever_a_directory_presents(changes: list[tuple[int, int]]) -> None:
    """docs/design/threats.md#threat-255: a hostile certificate is a failure of the directory, and no error here."""
    der = bytearray(DER)
    for at, value in changes:
        der[at] = value
    assert explained(DirectoryFailure(FailureCause.CERTIFICATE_EXPIRED), bytes(der), NOW).text
