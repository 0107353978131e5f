"""Examination of a JWT step by step, as the server would verify it, and what the workload may do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tokenserver.access_keys import is_marked
from tokenserver.authn.workload.backend import WorkloadSource, by_audience
from tokenserver.authn.workload.jwt_reader import RefusedJwt, UnverifiedJwt, read_jwt
from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.authn.workload.key_origins import KeyOrigin, KeysNotFetched
from tokenserver.authn.workload.key_sets import IssuerKey, IssuerKeySet, unknown_key
from tokenserver.authn.workload.presets import issuer_of_trust_domain
from tokenserver.config.sources.workload import WorkloadSettings
from tokenserver.credentials import Secret
from tokenserver.identity import Identity
from tokenserver.policy.machines.near_misses import declared_among, nearest
from tokenserver.policy.machines.workloads import is_declared
from tokenserver.policy.model import PolicySet
from tokenserver.server.sources.workload_sources import key_origin


@dataclass(frozen=True, slots=True)
class ExaminedStep:
    """One step: its name, what was found, and, if it failed, what to do. `details` are further lines.

    `identity` is the workload, in the step that verified it.
    """

    name: str
    result: str
    advice: str | None = None
    details: tuple[str, ...] = ()
    identity: Identity | None = None


def examine(
    text: Secret,
    sources: Sequence[WorkloadSettings],
    server: str,
    policies: PolicySet | None,
    *,
    now: Callable[[], float],
    advise: Callable[[WorkloadSettings, Obstacle], str],
    origin_of: Callable[[WorkloadSettings], KeyOrigin] = key_origin,
) -> Iterator[ExaminedStep]:
    """Verify the JWT as a server with this public URL does, by the keys of its issuer as they are now.

    The first step that fails is the last one. `advise` says what to do so that keys can be fetched. `policies` None:
    they do not load, so nothing declares a workload.

    Raises:
        LoadError: a file of the source cannot be used.
    """
    try:
        jwt = read_jwt(text.reveal())
    except RefusedJwt as error:
        advice = "log in with the JWT as it is, without quotes or line breaks"
        if is_marked(text.reveal()):
            advice = (
                "test the JWT of a job or a pod: this is an access key, of which tokenserver token inspect tells more"
            )
        yield ExaminedStep("form", error.reason, advice)
        return
    key = "no kid" if jwt.key_id is None else f"kid {jwt.key_id}"
    yield ExaminedStep("form", f"a JWT signed with {jwt.algorithm}, {key}")
    candidates = [one for one in sources if one.issuer_name == jwt.issuer]
    if not candidates:
        yield _unknown_issuer(jwt, sources)
        return
    chosen = candidates[by_audience([one.audiences(server) for one in candidates], jwt)]
    yield ExaminedStep("issuer", f"{_issuer(jwt)}: the source {chosen.name} (preset {chosen.preset})")
    try:
        keys = origin_of(chosen)().keys
    except KeysNotFetched as error:
        yield ExaminedStep("keys", str(error), advise(chosen, error.obstacle))
        return
    yield ExaminedStep("keys", f"{len(keys.keys)} of the issuer", details=keys.skipped)
    try:
        identity = WorkloadSource(chosen.trusted(server), _CurrentKeys(keys), now=now).identify(jwt)
    except RefusedJwt as error:
        yield ExaminedStep("verified", error.reason, _advice(error.reason, chosen, server))
        return
    claims = tuple(sorted(f"{name} = {value}" for name, value in identity.claims))
    told = f"{identity.subject}, for {identity.valid_for or 0:.0f} s"
    yield ExaminedStep("verified", told, details=claims, identity=identity)
    if policies is not None:
        yield _declared(identity, policies)


def _issuer(jwt: UnverifiedJwt) -> str:
    """The issuer of a JWT in words."""
    if jwt.has_issuer:
        return jwt.issuer or "has no iss that is text"
    return f"no iss, and a sub of the trust domain {jwt.issuer}" if jwt.issuer else "has no iss"


def _unknown_issuer(jwt: UnverifiedJwt, sources: Sequence[WorkloadSettings]) -> ExaminedStep:
    known = ", ".join(f"{one.name} ({one.issuer_name})" for one in sources) or "none"
    advice = "configure a workload source with this issuer, byte for byte"
    if jwt.issuer and not jwt.has_issuer:
        advice = "configure a workload source with preset: spiffe, this trust_domain, and no issuer"
    return ExaminedStep("issuer", _issuer(jwt), f"{advice}; configured: {known}")


def _declared(identity: Identity, policies: PolicySet) -> ExaminedStep:
    names = declared_among(policies.groups.holding(identity))
    declared = [one for one in policies.groups.workloads.by_name.values() if is_declared(one.name)]
    near = nearest(declared, identity.source, identity.claims)
    missed = tuple(f"not {one} ({one.workload.file}:{one.workload.line})" for one in near)
    if names:
        return ExaminedStep("workloads", ", ".join(f"workload:{name}" for name in names), details=missed)
    advice = "declare a workload with these claims in a policy file, or correct the claims of one"
    return ExaminedStep("workloads", "no declared workload matches: the login is refused", advice, missed)


def _advice(reason: str, source: WorkloadSettings, server: str) -> str:
    """What to do about a JWT that is not accepted."""
    if "audience" in reason or "aud" in reason.split():
        wanted = ", ".join(sorted(source.audiences(server)))
        return f"request the JWT for this audience alone: {wanted}"
    if source.trust_domain is not None and "trust domain" in reason:
        beginning = issuer_of_trust_domain(source.trust_domain)
        return f"compare sub with trust_domain of {source.name}, whose workloads are {beginning}/…"
    if "expired" in reason:
        return "request a new JWT, and log in with it immediately"
    if "future" in reason:
        return "compare the clocks of this machine and of the issuer"
    if "max_age" in reason:
        return f"request a JWT that lives shorter, or raise max_age of {source.name}"
    if "kid" in reason or "signature" in reason:
        return "check that the JWT comes from this very issuer, and has been copied as a whole"
    return f"compare the JWT with the settings of {source.name}: tokenserver token inspect shows its claims"


class _CurrentKeys:
    """The keys that an issuer has now."""

    def __init__(self, keys: IssuerKeySet) -> None:
        self._keys = keys

    def key(self, key_id: str | None, algorithm: str) -> IssuerKey:
        """See `KeysOfIssuer.key`."""
        found = self._keys.find(key_id, algorithm)
        if found is None:
            raise unknown_key(key_id)
        return found
