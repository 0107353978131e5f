"""What each configuration key of a source of workloads means; part of `config/descriptions.py`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from tokenserver.config.sources.workload import IssuerKeySettings, WorkloadSettings

WORKLOAD_DESCRIPTIONS: Mapping[type[BaseModel], Mapping[str, str]] = {
    WorkloadSettings: {
        "name": "The name of the source: `from` in the workloads that policies declare, and `source` in audit events.",
        "preset": "The kind of issuer, which sets the defaults of the other keys; `none` is any other one.",
        "issuer": "The `iss` of its JWTs. Without `keys`, its keys are found by the discovery document below this URL.",
        "audience": "The audience that JWTs must be for, or a list; by default `server.url`. A JWT that is also for"
        " anybody else is refused.",
        "algorithms": "The accepted values of `alg`; by default those of the preset.",
        "keys": "Where the keys of the issuer are, if not where its discovery document says.",
        "trust_domain": "With `preset: spiffe`: the trust domain whose workloads are accepted. Without `issuer`, their"
        " JWTs have no `iss`.",
        "ca_file": "The certificate authorities that the issuer's certificate is verified against, as a PEM file; by"
        " default those of the system.",
        "leeway": "By how much the clocks of the issuer and of this server may differ; at most 60 s.",
        "max_age": "The longest time from `iat` to `exp` of an accepted JWT.",
        "session": "How long the session lives that a workload can get for its JWT, with `storage`; `0s` gives none.",
        "cache": "For how long a verified JWT is accepted without verifying it again, but never past its end.",
    },
    IssuerKeySettings: {
        "url": "The URL of the key set (JWKS), by https.",
        "token_file": "A file with a bearer token for that URL, read for each request; Kubernetes demands one.",
        "file": "A file with the key set, for an issuer that this server cannot reach.",
    },
}
