"""An issuer that a workload source trusts, as configured. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.authn.workload.presets import WorkloadPreset

DEFAULT_LEEWAY = 30
DEFAULT_MAX_AGE = 24 * 3600


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer as configured, under the name of its source.

    `issuer` is compared with `jwt_reader.issuer_in`: for a trust domain without one, it is `spiffe://TRUST_DOMAIN`.
    `audiences`: a JWT is for one or several of them, and for nobody else. `algorithms` are those of the preset, or
    fewer. `trust_domain` is set if the preset needs it. `leeway` and `max_age`, the longest time from `iat` to `exp`,
    are in seconds.
    """

    name: str
    issuer: str
    audiences: frozenset[str]
    preset: WorkloadPreset
    algorithms: frozenset[str]
    trust_domain: str | None = None
    leeway: int = DEFAULT_LEEWAY
    max_age: int = DEFAULT_MAX_AGE
