"""Issues tokens: signs them, and checks each before it leaves: a right signature over exactly what was decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jwt
from jwt.utils import base64url_decode, base64url_encode

from tokenserver.credentials import Secret
from tokenserver.documents.base64url import encode_base64url
from tokenserver.errors import SigningFailed, TokenMismatch
from tokenserver.identity import Identity
from tokenserver.keys.ring import Algorithm, KeyRing, SigningKey
from tokenserver.keys.signatures import signer
from tokenserver.scopes import Access
from tokenserver.tokens.claims import Compat, Grant, Registry, difference, encoded_claims, granted_access
from tokenserver.tokens.jose_header import compat_problem, compat_warning, encoded_header
from tokenserver.tokens.signature_check import SignatureCheck
from tokenserver.tokens.verification import InvalidToken

__all__ = ["Token", "TokenIssuer", "compat_problem", "compat_warning", "read_as_registry"]


class Token(NamedTuple):
    """A signed token. `issued_at` is the true time in seconds since the epoch, `expires_in` counts from there.

    `is_shared`: other requests may get the same token (`reuse`). A named tuple, as all that each request creates.
    """

    text: Secret
    jti: str
    issued_at: int
    expires_in: int
    access: tuple[Access, ...]
    is_shared: bool = False


class TokenIssuer:
    """Signs with the active key of `ring`.

    `now` gives seconds since the epoch, `new_id` an unguessable id for each token. Headers are encoded only once, since
    they depend on nothing but the key and the registry's `compat`.
    """

    def __init__(self, ring: KeyRing, *, now: Callable[[], float], new_id: Callable[[], str]) -> None:
        self.ring = ring
        self._now = now
        self._new_id = new_id
        self._key = ring.active
        self._sign_content = signer(ring.active.private_key, ring.active.algorithm)
        self._headers = {compat: encoded_header(ring.active, compat) for compat in Compat}
        self._check = SignatureCheck(ring.active, read_as_registry)

    def issue(
        self, identity: Identity, registry: Registry, access: Sequence[Access], *, lifetime: int | None = None
    ) -> Token:
        """A token for `identity` at `registry` with exactly `access`, valid from now for the registry's lifetime.

        A `lifetime` in seconds makes it shorter, down to the shortest that clients tolerate, and never longer.

        Raises:
            SigningFailed: signing failed, or the signature is not right.
            TokenMismatch: the signed claims are not what was decided.
        """
        try:
            jti = self._new_id()
        except OSError as error:
            raise SigningFailed(f"no random id: {error.strerror}") from error
        grant = Grant(identity, registry, tuple(access), int(self._now()), jti, lifetime)
        expires_in, merged = grant.expires_in, granted_access(grant.access)
        claims = encoded_claims(identity, registry, merged, now=grant.now, jti=jti, lifetime=expires_in)
        header = self._headers[registry.compat]
        text = self._sign(header, claims)
        self._compare(text, header, grant)
        return Token(Secret(text), jti, grant.now, expires_in, merged)

    def _sign(self, header: str, claims: str) -> str:
        content = f"{header}.{encode_base64url(claims.encode('ascii'))}"
        try:
            signature = self._sign_content(content.encode("ascii"))
        except Exception as error:  # whatever the reason: no signature, no token
            raise SigningFailed(f"the key {self._key.id} did not sign: {type(error).__name__}") from error
        return f"{content}.{encode_base64url(signature)}"

    def _compare(self, text: str, header: str, grant: Grant) -> None:
        """Read the finished token, if its signature is right, and compare it with the grant.

        A faulty signature can leak the private key, and a wrong claim is access that nobody granted.
        """
        claim = difference(self._check.claims_of(text, header, second=grant.now), grant)
        if claim is not None:
            raise TokenMismatch(f"the signed claim {claim} is not what was decided")


def read_as_registry(text: str, header: str, key: SigningKey) -> dict[str, Any]:
    """The claims of a token with this encoded header, as PyJWT reads them with the certificate's key.

    Tokens are encoded, signed and compared by this server's own code. PyJWT shares none of it, so a mistake in that
    code is not confirmed by the same one here. Its parts are called, because `jwt.decode` takes longer than all the
    rest of issuing a token: it looks at each character, and at those of the header each time.

    Raises:
        InvalidToken: it has another header or signature, or is malformed.
    """
    content, _, signature = text.rpartition(".")
    found, _, payload = content.partition(".")
    if found != header or not _is_header(header, key.algorithm):
        raise InvalidToken("has no header that this server writes")
    claimed, raw = _read_part(payload), _read_part(signature)
    algorithm = jwt.get_algorithm_by_name(key.algorithm.value)
    if not algorithm.verify(content.encode("ascii"), key.public_key, raw):
        raise InvalidToken("has a wrong signature")
    try:
        claims = json.loads(claimed.decode("utf-8"))
    except (ValueError, RecursionError):
        raise InvalidToken("has no claims") from None
    if not isinstance(claims, dict):
        raise InvalidToken("has no claims")
    return claims


@lru_cache(maxsize=64)
def _is_header(header: str, algorithm: Algorithm) -> bool:
    """Whether PyJWT reads this as a header of this algorithm. Kept, since it is the same in every token of a key."""
    try:
        return bool(jwt.get_unverified_header(f"{header}.e30.AA").get("alg") == algorithm.value)
    except jwt.InvalidTokenError:
        return False


def _read_part(part: str) -> bytes:
    try:
        read = base64url_decode(part)
        is_canonical = base64url_encode(read) == part.encode("ascii")
    except ValueError:
        is_canonical = False
    if not is_canonical:
        raise InvalidToken("is not canonical base64url")
    return read
