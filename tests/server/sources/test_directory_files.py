"""The files of a directory: what is loaded, every fault at once, and client certificates that end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from configuration import MINIMAL
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.ldap import Ldap
from tokenserver.errors import LoadError
from tokenserver.server.sources.directory_files import (
    EXPIRES_SOON,
    certificate_warnings,
    client_certificates,
    directory_files,
    load_directory_files,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EXTERNAL: dict[str, Any] = {
    "preset": "openldap",
    "url": "ldaps://ldap.example.com",
    "base": "dc=example,dc=com",
    "sasl_external": True,
}


def issue(folder: Path, until: datetime) -> dict[str, str]:
    """The settings with a new certificate that ends then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, "tokenserver"),
        ]
    )
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(until - timedelta(days=90)).not_valid_after(until)
    certificate, private = folder / "client.pem", folder / "client.key"
    certificate.write_bytes(built.sign(key, SHA256()).public_bytes(Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {"client_certificate": str(certificate), "client_key": str(private)}


def settings_with(folder: Path, **ldap: Any) -> Settings:
    """Settings whose only users are those of this directory."""
    file = folder / "tokenserver.yaml"
    text = yaml.safe_load(MINIMAL) | {"authentication": [{"ldap": {"name": "corp", **ldap}}]}
    file.write_text(yaml.safe_dump(text))
    return load_settings(file, {})


def test_what_the_files_hold(tmp_path: Path) -> None:
    """The certificate, with its subject and end, in a context that verifies the directory's."""
    ldap = Ldap.model_validate(EXTERNAL | issue(tmp_path, NOW))
    found = load_directory_files(ldap)
    assert found.certificate is not None
    assert (found.certificate.subject, found.certificate.not_after) == ("CN=tokenserver,O=Example", NOW)
    assert found.context is not None
    assert found.context.check_hostname
    assert found.password is None
    assert [file.name for file in directory_files(ldap)] == ["client.pem", "client.key"]


def test_every_fault_of_the_files(tmp_path: Path) -> None:
    """Of the password, the CAs and the certificate at once."""
    values = EXTERNAL | {"sasl_external": False, "bind_dn": "cn=a", "bind_password_file": str(tmp_path / "password")}
    files = {"ca_file": str(tmp_path / "ca.pem"), **issue(tmp_path, NOW)}
    (tmp_path / "client.key").chmod(0o644)
    with pytest.raises(LoadError) as caught:
        load_directory_files(Ldap.model_validate(values | files))
    assert sorted(Path(fault.file).name for fault in caught.value.faults) == ["ca.pem", "client.key", "password"]


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(EXPIRES_SOON, None, id="later"),
        pytest.param(EXPIRES_SOON - timedelta(seconds=1), "expires soon", id="soon"),
        pytest.param(timedelta(0), "has expired", id="now"),
        pytest.param(timedelta(days=-3), "has expired", id="before"),
    ],
)
def test_a_certificate_that_ends(left: timedelta, expected: str | None, tmp_path: Path) -> None:
    """A warning with the name of the directory, the subject, the end, and the fix."""
    settings = settings_with(tmp_path, **EXTERNAL, **issue(tmp_path, NOW + left))
    fix = "fix: renew client_certificate and client_key"
    until = f"CN=tokenserver,O=Example until {NOW + left:%Y-%m-%d %H:%M} UTC"
    warnings = [] if expected is None else [f"corp: the client certificate {expected}: {until}; {fix}"]
    assert list(certificate_warnings(settings, NOW)) == warnings


def test_certificates_that_cannot_be_loaded(tmp_path: Path) -> None:
    """They are faults of the start, and no warnings."""
    settings = settings_with(tmp_path, **EXTERNAL, **issue(tmp_path, NOW))
    assert [name for name, _ in client_certificates(settings)] == ["corp"]
    (tmp_path / "client.key").unlink()
    assert list(client_certificates(settings)) == []
