"""The signing key: taken over with the id that registries know, or replaced with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from rsa_keys import known_rsa, rsa_2048
from self_signed import self_signed

from tokenserver.importers.docker_auth.model import DockerAuthConfig, PeerServerSettings, PeerTokenSettings
from tokenserver.importers.docker_auth.site.key_material import take_keys
from tokenserver.importers.new_folder import write_new_folder
from tokenserver.keys.certificates import generate_p256, private_pem
from tokenserver.keys.jwk import libtrust_id, thumbprint
from tokenserver.keys.store import load_keys

NOW = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def _written(folder: Path, key: Key, certificate: bytes | None = None) -> None:
    (folder / "a.key").write_bytes(private_pem(key))
    (folder / "a.crt").write_bytes(certificate or self_signed(key))


def _config(*, legacy: bool = True, token: bool = True) -> DockerAuthConfig:
    certificate, key = "a.crt", "a.key"
    if token:
        settings = PeerTokenSettings(1, "us", 900, certificate, key, disable_legacy_key_id=not legacy)
        return DockerAuthConfig("auth.yml", PeerServerSettings(), settings, {}, ())
    settings = PeerTokenSettings(1, "us", 900, disable_legacy_key_id=not legacy)
    return DockerAuthConfig("auth.yml", PeerServerSettings(certificate=certificate, key=key), settings, {}, ())


@pytest.mark.parametrize("legacy", [True, False], ids=["libtrust", "thumbprint"])
@pytest.mark.parametrize("token", [True, False], ids=["token", "server"])
def test_an_rsa_key(tmp_path: Path, legacy: bool, token: bool) -> None:
    """It signs under the id that registries know, with a certificate of a new token CA."""
    _written(tmp_path, rsa_2048())
    found = take_keys(_config(legacy=legacy, token=token), tmp_path, NOW, YEAR)
    assert (found.compat, found.construct.verdict) == ("distribution2" if legacy else "distribution3", "exact")
    write_new_folder(tmp_path / "site", found.files)
    active = load_keys(tmp_path / "site" / "keys", now=NOW).active
    assert (active.libtrust_id, active.thumbprint) == (
        libtrust_id(rsa_2048().public_key()),
        thumbprint(rsa_2048().public_key()),
    )


@pytest.mark.parametrize(("legacy", "verdict"), [(True, "exact"), (False, "different")], ids=["libtrust", "thumbprint"])
def test_an_ec_key(tmp_path: Path, legacy: bool, verdict: str) -> None:
    """docker_auth's thumbprint of it is wrong, which the report says."""
    _written(tmp_path, generate_p256())
    assert take_keys(_config(legacy=legacy), tmp_path, NOW, YEAR).construct.verdict == verdict


def test_no_key(tmp_path: Path) -> None:
    """In the configuration."""
    found = take_keys(
        DockerAuthConfig("auth.yml", PeerServerSettings(), PeerTokenSettings(), {}, ()), tmp_path, NOW, YEAR
    )
    assert (found.files, found.compat, found.construct.verdict) == ({}, "universal", "not translated")


@pytest.mark.parametrize("kind", ["absent", "weak", "another"])
def test_unfit_keys(tmp_path: Path, kind: str) -> None:
    """New ones are made, and the report says why."""
    if kind == "weak":
        _written(tmp_path, known_rsa(1024))
    elif kind == "another":
        _written(tmp_path, rsa_2048(), self_signed(generate_p256()))
    found = take_keys(_config(), tmp_path, NOW, YEAR)
    assert (found.files, found.compat, found.construct.verdict) == ({}, "universal", "not translated")
    assert found.construct.note
