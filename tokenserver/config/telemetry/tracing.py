"""Settings of tracing: where traces are sent, and which requests have one; and the variables of OpenTelemetry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from tokenserver.config.fields import FilePath, Section
from tokenserver.documents.document import PlacedError
from tokenserver.documents.urls import checked_url, is_local

EXAMPLE = "http://127.0.0.1:4318/v1/traces"

PATH = "/v1/traces"
"""What OTLP over HTTP appends to the base URL of a collector."""

MAX_RATE = 1_000
MAX_ATTRIBUTES = 32

_NAME = re.compile(r"[A-Za-z0-9._/-]{1,64}", re.ASCII)


def _endpoint(value: str) -> str:
    url = checked_url(value, EXAMPLE)
    if not urlsplit(url).path:
        raise ValueError(f"must have the path that takes traces, which is {PATH} at a collector: {url}{PATH}")
    return url


def _attributes(values: Mapping[str, str]) -> Mapping[str, str]:
    if len(values) > MAX_ATTRIBUTES:
        raise ValueError(f"must be at most {MAX_ATTRIBUTES} attributes")
    for name, value in values.items():
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} must be a name of letters, digits, '.', '_', '/' and '-', such as service.name")
        if not 0 < len(value) <= 255 or not value.isprintable():
            raise ValueError(f"the value of {name} must be 1 to 255 printable characters")
    return values


class TracingSettings(Section):
    """`tracing: URL`, or a section. `endpoint` takes OTLP over HTTP; `sample` is the part of the requests traced.

    At most `client_rate` requests a second are traced, in each worker, because their clients say that they trace them.
    """

    shorthand: ClassVar[str | None] = "endpoint"

    endpoint: Annotated[str, AfterValidator(_endpoint)] = EXAMPLE
    headers_file: FilePath | None = None
    ca_file: FilePath | None = None
    sample: Annotated[float, Field(ge=0, le=1)] = 0.01
    client_rate: Annotated[int, Field(ge=0, le=MAX_RATE)] = 10
    attributes: Annotated[dict[str, str], AfterValidator(_attributes)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _headers_are_protected(self) -> Self:
        parts = urlsplit(self.endpoint)
        if self.headers_file is not None and parts.scheme != "https" and not is_local(parts.hostname or ""):
            message = "must be https, since headers_file has secrets; plain http is for this machine alone"
            raise PlacedError(("endpoint",), message)
        return self


TRACING_DESCRIPTIONS: Mapping[type[BaseModel], Mapping[str, str]] = {
    TracingSettings: {
        "endpoint": "Where traces are sent, by OTLP over HTTP (protobuf); by default where"
        " `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` says, else to this machine.",
        "headers_file": "A file with headers for the collector, such as a key: one `Name: value` in each line. Needs"
        " https, or a collector on this machine.",
        "ca_file": "The certificate authorities that the collector's certificate is verified against, as a PEM file; by"
        " default those of the system.",
        "sample": "Which part of the requests is traced, from 0 to 1.",
        "client_rate": "How many requests a second each worker traces at most because their clients trace them. With 0,"
        " only `sample` counts.",
        "attributes": "What is said about this server in each trace, such as `deployment.environment.name: production`;"
        " after `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.",
    }
}


def with_usual_variables(value: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Complete the section `tracing` of a configuration, if it is there, by the variables of OpenTelemetry.

    What the section says itself counts more. Without the section, the variables turn nothing on.
    """
    section = value.get("tracing")
    if isinstance(section, str):
        section = {"endpoint": section}
    if not isinstance(section, dict):
        return
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not endpoint and base:
        endpoint = base.rstrip("/") + PATH
    given = section.get("attributes", {})
    attributes = usual_attributes(environment)
    value["tracing"] = {
        **({"endpoint": endpoint} if endpoint else {}),
        **section,
        **({"attributes": attributes | given} if attributes and isinstance(given, dict) else {}),
    }


def usual_attributes(environment: Mapping[str, str]) -> dict[str, str]:
    """What the variables of OpenTelemetry say about this server. A malformed list counts as none."""
    pairs = [pair.partition("=") for pair in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if pair.strip()]
    is_valid = all(name.strip() and equals and value.strip() for name, equals, value in pairs)
    found = {name.strip(): unquote(value.strip()) for name, _, value in pairs} if is_valid else {}
    name = environment.get("OTEL_SERVICE_NAME")
    return {**found, "service.name": name} if name else found
