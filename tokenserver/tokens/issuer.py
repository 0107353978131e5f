"""Issues tokens: signs them, and checks each before it leaves: a right signature over exactly what was decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from tokenserver.credentials import Secret
from tokenserver.documents.base64url import encode_base64url
from tokenserver.errors import SigningFailed, TokenMismatch
from tokenserver.identity import Identity
from tokenserver.keys.ring import KeyRing, SigningKey
from tokenserver.keys.signatures import signer
from tokenserver.scopes import Access
from tokenserver.tokens.claims import Compat, Grant, Registry, difference, encoded_claims, granted_access
from tokenserver.tokens.jose_header import compat_problem, compat_warning, encoded_header
from tokenserver.tokens.signature_check import SignatureCheck
from tokenserver.tokens.verification import InvalidToken

__all__ = ["Token", "TokenIssuer", "compat_problem", "compat_warning", "read_as_registry"]

_SIGNATURE_ALONE: Any = {
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}  # `difference` compares every claim with what was decided


@dataclass(frozen=True, slots=True)
class Token:
    """A signed token. `issued_at` is the true time in seconds since the epoch, `expires_in` counts from there.

    `is_shared`: other requests may get the same token (`reuse`).
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
        expires_in = grant.expires_in
        claims = encoded_claims(identity, registry, grant.access, now=grant.now, jti=jti, lifetime=expires_in)
        header = self._headers[registry.compat]
        text = self._sign(header, claims)
        self._compare(text, header, grant)
        return Token(Secret(text), jti, grant.now, expires_in, granted_access(grant.access))

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

    Tokens are encoded, signed and compared by this server's own code. PyJWT shares none of it, so what is wrong in that
    code is not confirmed by the same mistake here. It tolerates padding, which registries refuse.

    Raises:
        InvalidToken: it has another header, is padded, or PyJWT rejects it.
    """
    if not text.startswith(f"{header}."):
        raise InvalidToken("has no header that this server writes")
    if "=" in text:
        raise InvalidToken("is not canonical base64url")
    try:
        claims: dict[str, Any] = jwt.decode(text, key.public_key, [key.algorithm.value], _SIGNATURE_ALONE)
    except jwt.InvalidSignatureError:
        raise InvalidToken("has a wrong signature") from None
    except jwt.InvalidTokenError as error:
        raise InvalidToken(f"is malformed: {type(error).__name__}") from None
    return claims
