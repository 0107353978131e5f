"""RSA keys without the search for their primes, which takes a test longer than all the rest."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

BELOW = {
    1024: (569, 875),
    2040: (857, 2147),
    2048: (179, 1397),
    3072: (8333, 9923),
    4096: (2543, 8507),
    4104: (395, 3635),
}
"""Bits of a key -> how far its two primes lie below the power of two that has half of the bits. They are the first two
primes there that suit each of the exponents 3, 17 and 65537."""


@cache
def rsa_2048() -> rsa.RSAPrivateKey:
    """A key of 2,048 bits, new in each run; for tests that do not care which one it is."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def known_rsa(bits: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """A key of this size and exponent, always the same, whose primes everybody can compute."""
    p, q = (2 ** (bits // 2) - below for below in BELOW[bits])
    private = pow(exponent, -1, (p - 1) * (q - 1))
    first, second, inverse = rsa.rsa_crt_dmp1(private, p), rsa.rsa_crt_dmq1(private, q), rsa.rsa_crt_iqmp(p, q)
    numbers = rsa.RSAPrivateNumbers(p, q, private, first, second, inverse, rsa.RSAPublicNumbers(exponent, p * q))
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)  # it would test both primes again
