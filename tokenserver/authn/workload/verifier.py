"""Verification of a workload's JWT: key, signature, times, audience and subject, in this order (RFC 7519, section 4.1).

Whatever is not exactly right is refused; a claim that is missing is not right. The times are checked with the leeway of
the source in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from tokenserver.authn.workload.claims import as_pairs, flatten
from tokenserver.authn.workload.jwt_reader import RefusedJwt, UnverifiedJwt
from tokenserver.authn.workload.jwt_times import checked_times, moment
from tokenserver.authn.workload.key_sets import IssuerKey
from tokenserver.authn.workload.presets import is_spiffe_id
from tokenserver.authn.workload.trusted_issuer import TrustedIssuer
from tokenserver.identity import WORKLOAD_PREFIX, Identity, Kind

MAX_SUBJECT = 255
MAX_SHOWN_SUBJECT = 180
"""Characters of `sub` in the subject of an identity, which goes into tokens and audit events."""


class VerifiedWorkload(NamedTuple):
    """What an issuer vouches for: the claims of a JWT, as policies compare them, by path. They are not printed.

    `source` is the name of the source, `subject` the claim `sub`. `issued` is the claim `iat`, and `end` the moment
    from which the same JWT is refused, both in seconds since the epoch.
    """

    source: str
    subject: str
    claims: Mapping[str, tuple[str, ...]]
    issued: int
    end: int

    def __repr__(self) -> str:
        times = f"issued={self.issued}, end={self.end}"
        return f"VerifiedWorkload(source={self.source!r}, subject={self.subject!r}, {times})"

    def identity(self, now: float, verified: int | None = None) -> Identity:
        """Who the client is, for as long as the JWT is accepted. `now` is in seconds since the epoch.

        `verified`: see `Identity`.
        """
        subject = f"{WORKLOAD_PREFIX}{self.source}:{self.subject[:MAX_SHOWN_SUBJECT]}"
        return Identity(
            subject,
            Kind.WORKLOAD,
            self.source,
            valid_for=self.end - now,
            claims=as_pairs(self.claims),
            verified=verified,
            issued=self.issued,
        )


class KeysOfIssuer(Protocol):
    """The keys of one issuer."""

    def key(self, key_id: str | None, algorithm: str) -> IssuerKey:
        """The key of this id that suits the algorithm; without an id, the only key that does.

        Raises:
            RefusedJwt: there is no such key.
            BackendUnavailable: the keys are not known, so nobody can tell.
        """
        ...


def verify(jwt: UnverifiedJwt, trusted: TrustedIssuer, keys: KeysOfIssuer, *, now: float) -> VerifiedWorkload:
    """Verify a JWT whose issuer is `trusted.issuer`. `now` is in seconds since the epoch.

    Raises:
        RefusedJwt: the issuer does not vouch for it, not any more, not yet, or not for this server.
        BackendUnavailable: the keys of the issuer are not known.
    """
    # Only where the trust domain is checked does the subject say who has issued a JWT.
    if not jwt.has_issuer and trusted.trust_domain is None:
        raise RefusedJwt("has no iss")
    if jwt.algorithm not in trusted.algorithms:
        raise RefusedJwt("has an alg that is not accepted from its issuer")
    require_signature(jwt, keys)
    end = checked_times(jwt.claims, leeway=trusted.leeway, max_age=trusted.max_age, now=now)
    _check_audience(jwt.claims, trusted.audiences)
    subject = _checked_subject(jwt.claims, trusted.trust_domain)
    claims = flatten(jwt.claims, trusted.preset.aliases)
    return VerifiedWorkload(trusted.name, subject, claims, moment(jwt.claims, "iat"), end)


def require_signature(jwt: UnverifiedJwt, keys: KeysOfIssuer) -> None:
    """Verify the signature of a JWT by the keys of its issuer.

    Raises:
        RefusedJwt: there is no such key, or the signature is wrong.
        BackendUnavailable: the keys of the issuer are not known.
    """
    key = keys.key(jwt.key_id, jwt.algorithm)
    if not key.has_signed(jwt.algorithm, jwt.signed, jwt.signature):
        raise RefusedJwt("has a wrong signature")


def _check_audience(claims: Mapping[str, Any], ours: frozenset[str]) -> None:
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise RefusedJwt("has no aud")
    if ours.isdisjoint(listed):
        raise RefusedJwt("is for another audience")
    # The others could use it here, in the name of the workload.
    if not ours.issuperset(listed):
        raise RefusedJwt("is for other audiences as well")


def _checked_subject(claims: Mapping[str, Any], trust_domain: str | None) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise RefusedJwt(f"has no sub of 1 to {MAX_SUBJECT} printable characters")
    if trust_domain is not None and not is_spiffe_id(subject, trust_domain):
        raise RefusedJwt("has a sub that is no SPIFFE ID of the trust domain")
    return subject
