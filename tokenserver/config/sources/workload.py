"""Settings of a workload source: an issuer whose JWTs machines log in with, and where its keys are.

It grants nothing by itself: which workloads there are, and what they may do, is declared in policies.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tokenserver.authn.workload.key_origins import require_safe
from tokenserver.authn.workload.presets import PRESETS, WorkloadPreset, is_trust_domain
from tokenserver.authn.workload.verifier import DEFAULT_LEEWAY, DEFAULT_MAX_AGE, TrustedIssuer
from tokenserver.config.fields import FilePath, Seconds, Section, SourceName
from tokenserver.config.protection import Cache
from tokenserver.documents.document import PlacedError

MAX_LEEWAY = 60
MIN_AGE, MAX_AGE = 60, 7 * 86_400
MAX_AUDIENCES = 16
MAX_TEXT = 1024


def _safe(value: str) -> str:
    require_safe(value)
    return value


def _audience(value: str) -> str:
    if not value or len(value) > MAX_TEXT or not value.isprintable() or value != value.strip():
        raise ValueError("must be the audience that the JWTs are requested for, such as https://auth.example.com")
    return value


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _trust_domain(value: str) -> str:
    if not is_trust_domain(value):
        raise ValueError("must be the name of a SPIFFE trust domain, such as example.org")
    return value


def _leeway(seconds: int) -> int:
    if not 0 <= seconds <= MAX_LEEWAY:
        raise ValueError(f"must be from 0s to {MAX_LEEWAY}s, not {seconds}s")
    return seconds


def _max_age(seconds: int) -> int:
    if not MIN_AGE <= seconds <= MAX_AGE:
        raise ValueError(f"must be from {MIN_AGE}s to 7d, not {seconds}s")
    return seconds


class WorkloadKeys(Section):
    """Where the keys of the issuer are: at a URL, or in a file; by default, where its discovery document says."""

    url: Annotated[str, AfterValidator(_safe)] | None = None
    token_file: FilePath | None = None
    file: FilePath | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("must name one place: url or file; without keys, the issuer's discovery document says it")
        if self.file is not None and self.token_file is not None:
            raise PlacedError(("token_file",), "goes with url: the bearer token of that request")
        return self


class WorkloadSettings(Section):
    """A workload source: one issuer. `preset` provides defaults for the other keys."""

    name: SourceName = "workload"
    preset: Literal["github_actions", "gitlab_ci", "kubernetes", "spiffe", "none"] = "none"
    issuer: Annotated[str, AfterValidator(_audience)]
    audience: Annotated[
        tuple[Annotated[str, AfterValidator(_audience)], ...] | None,
        Field(strict=False, min_length=1, max_length=MAX_AUDIENCES),
        BeforeValidator(_list),
    ] = None
    algorithms: Annotated[tuple[str, ...] | None, Field(strict=False, min_length=1)] = None
    keys: WorkloadKeys | None = None
    trust_domain: Annotated[str, AfterValidator(_trust_domain)] | None = None
    ca_file: FilePath | None = None
    leeway: Annotated[Seconds, AfterValidator(_leeway)] = DEFAULT_LEEWAY
    max_age: Annotated[Seconds, AfterValidator(_max_age)] = DEFAULT_MAX_AGE
    cache: Cache = 60

    @model_validator(mode="after")
    def _issuer_can_be_asked(self) -> Self:
        if self.keys is None:
            try:
                require_safe(self.issuer)
            except ValueError as error:
                message = f"{error}; its keys are then found by discovery (or name keys: {{file: jwks.json}})"
                raise PlacedError(("issuer",), message) from None
        return self

    @model_validator(mode="after")
    def _algorithms_are_known(self) -> Self:
        for number, algorithm in enumerate(self.algorithms or ()):
            if algorithm not in self.known.algorithms:
                known = ", ".join(self.known.algorithms)
                message = f"{algorithm!r} is not accepted from this kind of issuer; {known} are"
                raise PlacedError(("algorithms", number), message)
        return self

    @model_validator(mode="after")
    def _trust_domain_goes_with_spiffe(self) -> Self:
        if self.known.needs_trust_domain and self.trust_domain is None:
            raise PlacedError(("trust_domain",), "is missing: the trust domain whose workloads are accepted")
        if not self.known.needs_trust_domain and self.trust_domain is not None:
            raise PlacedError(("trust_domain",), "goes with preset: spiffe")
        return self

    @property
    def known(self) -> WorkloadPreset:
        """What is known of this kind of issuer."""
        return PRESETS[self.preset]

    def audiences(self, server: str) -> frozenset[str]:
        """The accepted audiences; by default the public URL of the server."""
        return frozenset(self.audience or (server,))

    def trusted(self, server: str) -> TrustedIssuer:
        """The issuer, as it is trusted by a server with this public URL."""
        return TrustedIssuer(
            name=self.name,
            issuer=self.issuer,
            audiences=self.audiences(server),
            preset=self.known,
            algorithms=frozenset(self.algorithms or self.known.algorithms),
            trust_domain=self.trust_domain,
            leeway=self.leeway,
            max_age=self.max_age,
        )
