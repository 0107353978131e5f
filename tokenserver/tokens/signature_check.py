"""The check of each signature before its token leaves: that no fault has touched it.

Why it is done in this way, and which faults it detects: docs/decisions/0011-signatures-are-made-twice.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from tokenserver.errors import SigningFailed
from tokenserver.keys.ring import Algorithm, SigningKey
from tokenserver.keys.signatures import is_repeatable, signer
from tokenserver.tokens.verification import InvalidToken, open_repeated

VERIFIED = 64
"""One of so many tokens is verified with the certificate's key, also if they are all of one second."""

_VERIFIED_ALWAYS = frozenset({Algorithm.RS256})
"""With RSA, verifying takes a small part of the time of signing."""


Verify = Callable[[str, str, SigningKey], dict[str, Any]]
"""The claims of a token with this encoded header and a signature by this key; raises `InvalidToken` for any other."""


class SignatureCheck:
    """Checks tokens that were just signed with `key`.

    A token is signed once more, by a copy of the key that lies elsewhere in memory, and both signatures must be equal.
    The first token, the first of each second and one of `VERIFIED` are verified with the certificate's key instead, as
    a registry does, by `verify`. After a fault, every token is verified.
    """

    def __init__(self, key: SigningKey, verify: Verify) -> None:
        self._key = key
        self._verify = verify
        can_repeat = key.algorithm not in _VERIFIED_ALWAYS and is_repeatable(key.algorithm)
        self._repeat = signer(_copy(key.private_key), key.algorithm) if can_repeat else None
        self._second: int | None = None
        self._repeated = 0

    def claims_of(self, text: str, header: str, *, second: int) -> dict[str, Any]:
        """The claims of a token with this encoded header, signed in this second since the epoch.

        Raises:
            SigningFailed: its signature is not right.
        """
        repeat = self._repeat
        try:
            if repeat is None or self._is_due(second):
                return self._verify(text, header, self._key)
            return open_repeated(text, header, repeat)
        except InvalidToken as error:
            self._repeat = None
            raise SigningFailed(f"a token signed with the key {self._key.id} {error}") from error
        except Exception as error:  # of the second signature
            self._repeat = None
            raise SigningFailed(f"the key {self._key.id} did not sign: {type(error).__name__}") from error

    def _is_due(self, second: int) -> bool:
        # Without a lock: two threads that count concurrently may lose one, and the next token is verified instead.
        self._repeated += 1
        if second == self._second and self._repeated < VERIFIED:
            return False
        self._second, self._repeated = second, 0
        return True


def _copy(key: Any) -> Any:
    """The same key, parsed again, so that it shares no memory with the first one."""
    return load_der_private_key(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), None)
