"""A certificate authority for one test run: what a company would have, in a few lines."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HOUR = timedelta(hours=1)


def served_by(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's settings that present this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class Authority:
    """Issues server certificates. `file` is its own certificate, as clients are given it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / "ca.crt"
        certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context(self) -> ssl.SSLContext:
        """A client's settings that trust this authority and no other."""
        return ssl.create_default_context(cafile=str(self.file))

    def issue(
        self,
        folder: Path,
        *,
        address: str | None = None,
        hosts: Sequence[str] = ("localhost",),
        addresses: Sequence[str] = (),
        is_expired: bool = False,
        is_early: bool = False,
    ) -> tuple[Path, Path]:
        """Write a new server certificate and its key into the folder, and give both paths.

        It is for these hosts and IP addresses, or for the IP address `address` alone; an expired one ended half an hour
        ago, an early one begins in half an hour.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address or hosts[0])])
        names: list[x509.GeneralName] = [x509.IPAddress(ip_address(one)) for one in (address, *addresses) if one]
        names += [x509.DNSName(host) for host in hosts if address is None]
        certificate = (
            self._builder(name, key, is_expired=is_expired, is_early=is_early)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        certificate_file, key_file = folder / "tls.crt", folder / "tls.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.touch(mode=0o600)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_file, key_file

    def _builder(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        is_expired: bool = False,
        is_early: bool = False,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + _HOUR / 2 if is_early else now - _HOUR)
            .not_valid_after(now - _HOUR / 2 if is_expired else now + _HOUR)
        )
