"""Settings of a workload source: an issuer whose JWTs are trusted, for which audience, and where its keys are."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.issuer_urls import require_safe
from tokenserver.authn.workload.presets import PRESETS, WorkloadPreset, is_trust_domain, issuer_of_trust_domain
from tokenserver.authn.workload.trusted_issuer import DEFAULT_LEEWAY, DEFAULT_MAX_AGE, TrustedIssuer
from tokenserver.config.fields import FilePath, Seconds, Section, SourceName
from tokenserver.config.protection import Cache
from tokenserver.documents.document import PlacedError

MAX_LEEWAY = 60
MIN_MAX_AGE, MAX_MAX_AGE = 300, 7 * 24 * 3600
DEFAULT_SESSION, MAX_SESSION = 3600, 6 * 3600
MAX_AUDIENCES = 16
MAX_NAME = 255


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _name(value: str) -> str:
    """An issuer or an audience, which is compared byte for byte with a claim."""
    if not 0 < len(value) <= MAX_NAME or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"must be 1 to {MAX_NAME} printable ASCII characters without blanks")
    return value


def _algorithm(value: str) -> str:
    if value not in ALGORITHMS:
        raise ValueError(f"must be one of {', '.join(ALGORITHMS)}: only asymmetric algorithms have public keys")
    return value


def _trust_domain(value: str) -> str:
    if not is_trust_domain(value):
        raise ValueError("must be a trust domain such as example.org: lower-case letters, digits, '.', '_' and '-'")
    return value


def _key_url(value: str) -> str:
    require_safe(value)
    return value


def _leeway(seconds: int) -> int:
    if not 0 <= seconds <= MAX_LEEWAY:
        raise ValueError(f"must be from 0s to {MAX_LEEWAY}s, not {seconds}s: fix the clock instead")
    return seconds


def _max_age(seconds: int) -> int:
    if not MIN_MAX_AGE <= seconds <= MAX_MAX_AGE:
        raise ValueError(f"must be from 5m to 7d, not {seconds}s: a JWT that is stolen works until it expires")
    return seconds


def _session(seconds: int) -> int:
    if not 0 <= seconds <= MAX_SESSION:
        raise ValueError(
            f"must be from 0s (no sessions) to 6h, not {seconds}s: a session outlives the JWT it is made of"
        )
    return seconds


Leeway = Annotated[Seconds, AfterValidator(_leeway)]


class IssuerKeySettings(Section):
    """Where the keys of an issuer are if discovery does not lead to them: at a URL, or in a file.

    `token_file` contains a bearer token for the URL, as the API server of Kubernetes asks for.
    """

    url: Annotated[str, AfterValidator(_key_url)] | None = None
    token_file: FilePath | None = None
    file: FilePath | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("must name one place of the keys: url, or file")
        return self

    @model_validator(mode="after")
    def _token_has_a_url(self) -> Self:
        if self.token_file is not None and self.url is None:
            raise PlacedError(("token_file",), "has no effect without url")
        return self


class WorkloadSettings(Section):
    """One issuer of workloads. `preset` says what kind it is; `audience` is the server's URL by default.

    `max_age` is the longest time from `iat` to `exp` of a JWT, `session` how long a session that is made of one lives.
    """

    name: SourceName
    preset: Literal["github_actions", "gitlab_ci", "kubernetes", "spiffe", "none"]
    issuer: Annotated[str, AfterValidator(_name)] | None = None
    audience: (
        Annotated[
            tuple[Annotated[str, AfterValidator(_name)], ...],
            Field(strict=False, min_length=1, max_length=MAX_AUDIENCES),
            BeforeValidator(_list),
        ]
        | None
    ) = None
    algorithms: (
        Annotated[
            tuple[Annotated[str, AfterValidator(_algorithm)], ...],
            Field(strict=False, min_length=1),
            BeforeValidator(_list),
        ]
        | None
    ) = None
    trust_domain: Annotated[str, AfterValidator(_trust_domain)] | None = None
    keys: IssuerKeySettings | None = None
    ca_file: FilePath | None = None
    leeway: Leeway = DEFAULT_LEEWAY
    max_age: Annotated[Seconds, AfterValidator(_max_age)] = DEFAULT_MAX_AGE
    session: Annotated[Seconds, AfterValidator(_session)] = DEFAULT_SESSION
    cache: Cache = 60

    @model_validator(mode="after")
    def _issuer_is_known(self) -> Self:
        if self.issuer is None and not self.kind.needs_trust_domain:
            raise PlacedError(("issuer",), f"is missing; preset {self.preset} has none by default")
        return self

    @model_validator(mode="after")
    def _keys_can_be_found(self) -> Self:
        if self.keys is None and self.issuer is None:
            message = "is missing; only an issuer has a discovery document: fix: keys: {file: …} or keys: {url: …}"
            raise PlacedError(("keys",), f"{message}, the bundle of the trust domain")
        if self.keys is None and self.issuer is not None:
            try:
                require_safe(self.issuer)
            except ValueError as error:
                message = f"{error}; for any other issuer say where its keys are: keys: {{url: …}} or keys: {{file: …}}"
                raise PlacedError(("issuer",), message) from None
        return self

    @model_validator(mode="after")
    def _ca_file_has_a_use(self) -> Self:
        if self.ca_file is not None and self.keys is not None and self.keys.file is not None:
            raise PlacedError(("ca_file",), "has no effect with keys in a file, which is not fetched")
        return self

    @model_validator(mode="after")
    def _trust_domain_has_a_use(self) -> Self:
        if self.kind.needs_trust_domain and self.trust_domain is None:
            raise PlacedError(("trust_domain",), f"is missing; preset {self.preset} accepts workloads of one alone")
        if not self.kind.needs_trust_domain and self.trust_domain is not None:
            raise PlacedError(("trust_domain",), f"has no effect with preset {self.preset}")
        return self

    @property
    def kind(self) -> WorkloadPreset:
        """What is known of this kind of issuer."""
        return PRESETS[self.preset]

    @property
    def issuer_name(self) -> str:
        """The issuer that its JWTs name: their `iss`, or the trust domain of their subjects if there is no issuer."""
        return self.issuer or issuer_of_trust_domain(self.trust_domain or "")

    def audiences(self, server_url: str) -> frozenset[str]:
        """The accepted audiences; `server_url` is the default."""
        return frozenset(self.audience or (server_url,))

    def trusted(self, server_url: str) -> TrustedIssuer:
        """What JWTs are verified by. `server_url` is the default audience."""
        return TrustedIssuer(
            self.name,
            self.issuer_name,
            self.audiences(server_url),
            self.kind,
            frozenset(self.algorithms or self.kind.algorithms),
            self.trust_domain,
            self.leeway,
            self.max_age,
        )
