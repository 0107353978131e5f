"""Strict reading of a JWT before any key is looked at: size, shape, header (RFC 7515, section 3.1; RFC 7519). Pure.

Nothing of what is read is true before the signature is verified. Members of the header that bring or name a key (`jwk`,
`jku`, `x5u`, `x5c`) are never evaluated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.presets import issuer_of_svid
from tokenserver.documents.base64url import decode_canonical_base64url
from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import InvalidCredentials

MAX_JWT = 8192
"""Bytes. JWTs of CI systems and Kubernetes have one to two thousand."""

_BEGINNING = "eyJ"
"""Base64url of the brace and the quote with which a header begins."""


class RefusedJwt(InvalidCredentials):
    """A JWT that is not accepted. `reason` names claims at most, and nothing else of what was sent."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the JWT {problem}")


class UnverifiedJwt(NamedTuple):
    """A JWT in the right form. `issuer` is who it says it is of: see `issuer_in`. `key_id` is its `kid`.

    `signed` is what the issuer signed, and `signature` the signature to verify over it. Neither is printed, nor are the
    claims.
    """

    issuer: str
    algorithm: str
    key_id: str | None
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"UnverifiedJwt(issuer={self.issuer!r}, algorithm={self.algorithm!r}, key_id={self.key_id!r})"

    @property
    def has_issuer(self) -> bool:
        """Whether it has an `iss`, of whatever type. JWT-SVIDs need none (JWT-SVID, section 3)."""
        return "iss" in self.claims


def looks_like_jwt(text: str) -> str | None:
    """The unverified issuer of a text that is meant as a JWT; None for any other text, such as a password.

    Meant as a JWT is what begins `eyJ`, has two dots, at most `MAX_JWT` bytes, and a header and a payload that are
    strict JSON objects. See `issuer_in`.
    """
    if not text.startswith(_BEGINNING) or len(text) > MAX_JWT or text.count(".") != 2:
        return None
    header, payload, _ = text.split(".")
    try:
        _header(header)
        return issuer_in(_payload(payload))
    except RefusedJwt:
        return None


JWT_TYPES = frozenset({"jwt"})
"""The values of `typ` in lower case that a JWT has, unless it is made for a purpose of its own."""


def read_jwt(text: str, *, types: Collection[str] = JWT_TYPES, most: int = MAX_JWT) -> UnverifiedJwt:
    """Read a JWT in its compact form, of `most` bytes.

    `types` are the accepted values of `typ`, if it is there, in lower case.

    Raises:
        RefusedJwt: it is larger than `most` bytes; has not three parts of canonical base64url; header or payload is
            not a strict JSON object; `typ` is another one; `alg` is not in `ALGORITHMS`; `crit` or `b64` is
            there.
    """
    if len(text) > most:
        raise RefusedJwt(f"is larger than {most} bytes")
    parts = text.split(".")
    if len(parts) != 3:
        raise RefusedJwt("has not three parts")
    header = _header(parts[0])
    claims = _payload(parts[1])
    signature = _bytes(parts[2], "signature")
    algorithm, key_id = _checked_header(header, types)
    signed = f"{parts[0]}.{parts[1]}".encode("ascii")
    return UnverifiedJwt(issuer_in(claims), algorithm, key_id, claims, signed, signature)


def _checked_header(header: Mapping[str, Any], types: Collection[str]) -> tuple[str, str | None]:
    """The algorithm and the key id of a header.

    Raises:
        RefusedJwt: it asks for something that this server does not do.
    """
    # Kubernetes sends no `typ`. `at+jwt`, `logout+jwt` and others are made for another purpose.
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in types:
        raise RefusedJwt("is of another type: its typ is not JWT")
    for member in ("crit", "b64"):
        if member in header:
            raise RefusedJwt(f"has {member} in its header")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise RefusedJwt("has an alg that is not accepted")
    key_id = header.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise RefusedJwt("has a kid that is no text")
    return algorithm, key_id


def issuer_in(claims: Mapping[str, Any]) -> str:
    """The issuer that these claims name: `iss`; without one, the trust domain in `sub`, such as `spiffe://example.org`.

    Empty if `iss` is no text, or is missing and `sub` is in no trust domain.
    """
    if "iss" in claims:
        issuer = claims["iss"]
        return issuer if isinstance(issuer, str) else ""
    subject = claims.get("sub")
    return issuer_of_svid(subject) if isinstance(subject, str) else ""


@lru_cache(maxsize=64)
def _header(part: str) -> Mapping[str, Any]:
    """The object in a header. Kept, since all JWTs of a key have the same one, and it holds no secret."""
    return _object(part, "header")


@lru_cache(maxsize=1)
def _payload(part: str) -> Mapping[str, Any]:
    """The object in a payload. The last one is kept, since each is read twice: to tell a JWT from a password, and to
    verify it. Without its signature it is worth nothing."""
    return _object(part, "payload")


def _object(part: str, name: str) -> dict[str, Any]:
    try:
        return read_object(_bytes(part, name))
    except InvalidJson as error:
        raise RefusedJwt(f"has a {name} that {error}") from None


def _bytes(part: str, name: str) -> bytes:
    try:
        return decode_canonical_base64url(part)
    except ValueError:
        raise RefusedJwt(f"has a {name} that is not canonical base64url") from None
