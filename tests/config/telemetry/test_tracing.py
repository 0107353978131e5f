"""The section `tracing`: its values, its faults, and what OpenTelemetry's own variables add to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from configuration import REFERENCE

from tokenserver.config.load import load_settings
from tokenserver.config.telemetry.tracing import EXAMPLE, TracingSettings, usual_attributes
from tokenserver.errors import LoadError

WITHOUT = REFERENCE.partition("tracing:\n")[0]


def loaded(folder: Path, section: str, **environment: str) -> TracingSettings | None:
    """The section of a configuration that ends with this text."""
    (folder / "tokenserver.yaml").write_text(WITHOUT + section)
    return load_settings(folder / "tokenserver.yaml", environment).tracing


def test_none(tmp_path: Path) -> None:
    """Nothing turns it on but the section, least of all the variables of OpenTelemetry."""
    assert loaded(tmp_path, "", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318", OTEL_SERVICE_NAME="x") is None


@pytest.mark.parametrize(
    ("section", "environment", "expected"),
    [
        pytest.param("tracing: {}", {}, {"endpoint": EXAMPLE, "sample": 0.01, "client_rate": 10}, id="the defaults"),
        pytest.param(
            "tracing: http://c.test:4318/v1/traces", {}, {"endpoint": "http://c.test:4318/v1/traces"}, id="URL"
        ),
        pytest.param("tracing: {sample: 1}", {}, {"sample": 1.0}, id="all"),
        pytest.param(
            "tracing: {}",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.test/otlp/"},
            {"endpoint": "https://c.test/otlp/v1/traces"},
            id="the base URL of OpenTelemetry",
        ),
        pytest.param(
            "tracing: {}",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.test", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://t.test/x"},
            {"endpoint": "https://t.test/x"},
            id="the URL of OpenTelemetry for traces",
        ),
        pytest.param(
            "tracing: https://ours.test/v1/traces",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.test"},
            {"endpoint": "https://ours.test/v1/traces"},
            id="the section counts more",
        ),
        pytest.param(
            "tracing: https://ours.test/v1/traces",
            {"TOKENSERVER_TRACING_ENDPOINT": "https://mine.test/v1/traces", "TOKENSERVER_TRACING_SAMPLE": "0.5"},
            {"endpoint": "https://mine.test/v1/traces", "sample": 0.5},
            id="our variables count most",
        ),
        pytest.param(
            "tracing: {attributes: {a: ours}}",
            {"OTEL_RESOURCE_ATTRIBUTES": "a=theirs,b=x%20y", "OTEL_SERVICE_NAME": "tokens"},
            {"attributes": {"a": "ours", "b": "x y", "service.name": "tokens"}},
            id="attributes are merged",
        ),
    ],
)
def test_values(tmp_path: Path, section: str, environment: dict[str, str], expected: dict[str, Any]) -> None:
    """A section, a URL that is short for one, and where each value comes from."""
    found = loaded(tmp_path, section, **environment)
    assert found is not None
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        pytest.param("tracing: ftp://c.test", "must be a URL", id="no URL"),
        pytest.param("tracing: http://c.test:4318", "http://c.test:4318/v1/traces", id="without a path"),
        pytest.param("tracing: {sample: 1.5}", "tracing.sample", id="more than all"),
        pytest.param("tracing: {sample: -0.1}", "tracing.sample", id="less than none"),
        pytest.param("tracing: {sample: .nan}", "tracing.sample", id="no number"),
        pytest.param("tracing: {client_rate: -1}", "tracing.client_rate", id="a negative rate"),
        pytest.param("tracing: {client_rate: 100000}", "tracing.client_rate", id="a rate that bounds nothing"),
        pytest.param(
            "tracing: {endpoint: 'http://c.test/v1/traces', headers_file: h}",
            "must be https, since headers_file has secrets",
            id="secrets in the clear",
        ),
        pytest.param("tracing: {attributes: {'a b': x}}", "must be a name", id="a bad name"),
        pytest.param('tracing: {attributes: {a: "x\\ny"}}', "printable", id="a control character"),
        pytest.param("tracing: {attributes: {a: ''}}", "1 to 255", id="an empty value"),
        pytest.param(
            f"tracing: {{attributes: {{{', '.join(f'a{number}: x' for number in range(33))}}}}}",
            "at most 32",
            id="many",
        ),
        pytest.param("tracing: {attributes: [a]}", "tracing.attributes", id="no mapping"),
        pytest.param("tracing: {samples: 1}", "sample", id="a typo"),
    ],
)
def test_faults(tmp_path: Path, section: str, fault: str) -> None:
    """Each is refused at the start, also where OpenTelemetry's variables are set."""
    for environment in ({}, {"OTEL_SERVICE_NAME": "x"}):
        with pytest.raises(LoadError) as caught:
            loaded(tmp_path, section, **environment)
        assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1, b = 2 ,", {"a": "1", "b": "2"}),
        ("a", {}),
        ("a=1,=2", {}),
        ("a=", {}),
    ],
)
def test_usual_attributes(text: str, expected: dict[str, str]) -> None:
    """A malformed list counts as none, as OpenTelemetry says."""
    assert usual_attributes({"OTEL_RESOURCE_ATTRIBUTES": text}) == expected
