"""One RSA key for a whole run: searching for its primes takes a test longer than all the rest."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def rsa_2048() -> rsa.RSAPrivateKey:
    """A key of 2,048 bits, new in each run; for tests that do not care which one it is."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
