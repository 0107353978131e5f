"""Keys for the tests of this folder: rings made once in a session and never stored, and a key folder for each test."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from key_folders import keys
from key_operations import folder, pair

from tokenserver.keys.certificates import (
    generate_p256,
    generate_private_key,
    issue_certificate,
    make_ca,
    signing_key,
)
from tokenserver.keys.ring import Algorithm, KeyRing

__all__ = ["folder", "keys", "pair"]


@pytest.fixture(scope="session")
def rings() -> dict[Algorithm, KeyRing]:
    """A ring of one key for each algorithm, made without files."""
    now = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
    ca_key = generate_p256()
    ca = make_ca(ca_key, issuer="auth.example.com", now=now)
    ca_pem = ca.public_bytes(Encoding.PEM).decode()
    made = {}
    for algorithm in Algorithm:
        key = generate_private_key(algorithm)
        certificate = issue_certificate(key, ca=ca, ca_key=ca_key, issuer="auth.example.com", now=now)
        active = signing_key(f"key-{algorithm}", algorithm, key, certificate)
        made[algorithm] = KeyRing(ca_pem, ca.not_valid_after_utc, active)
    return made
