"""Issues tokens: signs them, and verifies each before it leaves: a valid signature over exactly what was decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from tokenserver.credentials import Secret
from tokenserver.documents.base64url import encode_base64url
from tokenserver.errors import SigningFailed, TokenMismatch
from tokenserver.identity import Identity
from tokenserver.keys.ring import KeyRing
from tokenserver.scopes import Access
from tokenserver.tokens.claims import Compat, Grant, Registry, build_claims, difference, granted_access
from tokenserver.tokens.jose_header import compat_problem, compat_warning, encoded_header
from tokenserver.tokens.verification import InvalidToken, open_token

__all__ = ["Token", "TokenIssuer", "compat_problem", "compat_warning"]

_to_json = json.JSONEncoder(separators=(",", ":")).encode


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
        self._algorithm = jwt.get_algorithm_by_name(ring.active.algorithm.value)
        self._headers = {compat: encoded_header(ring.active, compat) for compat in Compat}

    def issue(
        self, identity: Identity, registry: Registry, access: Sequence[Access], *, lifetime: int | None = None
    ) -> Token:
        """A token for `identity` at `registry` with exactly `access`, valid from now for the registry's lifetime.

        A `lifetime` in seconds makes it shorter, down to the shortest that clients tolerate, and never longer.

        Raises:
            SigningFailed: signing failed, or the signature does not verify.
            TokenMismatch: the signed claims are not what was decided.
        """
        try:
            jti = self._new_id()
        except OSError as error:
            raise SigningFailed(f"no random id: {error.strerror}") from error
        grant = Grant(identity, registry, tuple(access), int(self._now()), jti, lifetime)
        expires_in = grant.expires_in
        claims = build_claims(identity, registry, grant.access, now=grant.now, jti=jti, lifetime=expires_in)
        header = self._headers[registry.compat]
        text = self._sign(header, claims)
        self._check(text, header, grant)
        return Token(Secret(text), jti, grant.now, expires_in, granted_access(grant.access))

    def _sign(self, header: str, claims: dict[str, Any]) -> str:
        content = f"{header}.{encode_base64url(_to_json(claims).encode('ascii'))}"
        try:
            signature = self._algorithm.sign(content.encode("ascii"), self.ring.active.private_key)
        except Exception as error:  # whatever the reason: no signature, no token
            raise SigningFailed(f"the key {self.ring.active.id} did not sign: {type(error).__name__}") from error
        return f"{content}.{encode_base64url(signature)}"

    def _check(self, text: str, header: str, grant: Grant) -> None:
        """Verify the finished token as a registry would, with the certificate's key, and compare it with the grant.

        A faulty signature can leak the private key, and a wrong claim is access that nobody granted.
        """
        try:
            claims = open_token(text, {header: self.ring.active})
        except InvalidToken as error:
            raise SigningFailed(f"a token signed with the key {self.ring.active.id} {error}") from error
        claim = difference(claims, grant)
        if claim is not None:
            raise TokenMismatch(f"the signed claim {claim} is not what was decided")
