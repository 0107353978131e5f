"""Sources of workloads: a JWT goes to the source of its issuer and audience, which verifies it, and to no other one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from tokenserver.authn.workload.jwt_reader import RefusedJwt, UnverifiedJwt, read_jwt
from tokenserver.authn.workload.trusted_issuer import TrustedIssuer
from tokenserver.authn.workload.verifier import KeysOfIssuer, verify
from tokenserver.credentials import Secret
from tokenserver.identity import Identity


class WorkloadSource:
    """One issuer as configured, and its keys. `now` is the time in seconds since the epoch."""

    def __init__(self, trusted: TrustedIssuer, keys: KeysOfIssuer, *, now: Callable[[], float] = time.time) -> None:
        self.trusted = trusted
        self.name = trusted.name
        self.keys = keys
        self._now = now

    def authenticate(self, text: Secret, verified: int | None = None) -> Identity:
        """The workload that a JWT for this source proves. `verified`: see `Identity`.

        Raises:
            RefusedJwt: it is malformed, of another issuer, or its issuer does not vouch for it here and now.
            BackendUnavailable: the keys of the issuer are not known.
        """
        jwt = read_jwt(text.reveal())
        if jwt.issuer != self.trusted.issuer:
            raise unknown_issuer(jwt)
        return self.identify(jwt, verified)

    def identify(self, jwt: UnverifiedJwt, verified: int | None = None) -> Identity:
        """As `authenticate`, for a JWT of this issuer that is read already."""
        now = self._now()
        return verify(jwt, self.trusted, self.keys, now=now).identity(now, verified)


class WorkloadSources:
    """All sources of workloads of a server. Several may have the same issuer with different audiences.

    Raises:
        ValueError: two sources have an issuer and an audience in common; the text names both.
    """

    def __init__(self, sources: Iterable[WorkloadSource]) -> None:
        self._by_issuer: dict[str, list[WorkloadSource]] = {}
        for source in sources:
            others = self._by_issuer.setdefault(source.trusted.issuer, [])
            for other in others:
                if not source.trusted.audiences.isdisjoint(other.trusted.audiences):
                    raise ValueError(f"{other.name} and {source.name} have the same issuer and audience")
            others.append(source)

    @property
    def issuers(self) -> frozenset[str]:
        """All trusted issuers."""
        return frozenset(self._by_issuer)

    def authenticate(self, text: Secret, verified: int | None = None) -> Identity:
        """The workload that a JWT proves to the source of its issuer and audience. `verified`: see `Identity`.

        Raises:
            RefusedJwt: it is malformed, of an unknown issuer, or its issuer does not vouch for it here and now.
            BackendUnavailable: the keys of its issuer are not known.
        """
        jwt = read_jwt(text.reveal())
        sources = self._by_issuer.get(jwt.issuer)
        if sources is None:
            raise unknown_issuer(jwt)
        chosen = 0 if len(sources) == 1 else by_audience([one.trusted.audiences for one in sources], jwt)
        return sources[chosen].identify(jwt, verified)


def unknown_issuer(jwt: UnverifiedJwt) -> RefusedJwt:
    """What to raise for a JWT that is of no workload source."""
    if jwt.has_issuer:
        return RefusedJwt("has an iss that is no issuer of any workload source")
    if jwt.issuer:
        return RefusedJwt("has no iss, and a sub in a trust domain that no workload source without issuer has")
    return RefusedJwt("has no iss, and no sub in a trust domain")


def by_audience(audiences: Sequence[frozenset[str]], jwt: UnverifiedJwt) -> int:
    """The number of the first source that has an audience of the JWT, or just of the first, which then refuses it."""
    audience = jwt.claims.get("aud")
    listed = {one for one in (audience if isinstance(audience, list) else [audience]) if isinstance(one, str)}
    return next((number for number, ours in enumerate(audiences) if not ours.isdisjoint(listed)), 0)
