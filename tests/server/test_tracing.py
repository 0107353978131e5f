"""Tracing of a server: its headers file, what stops the start, and no more than that where nothing is traced."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from fake_collector import fake_collector
from tests_web_server import Lines, make_server, server_folder

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.config.telemetry.tracing import TracingSettings
from tokenserver.errors import LoadError
from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.service import TokenService
from tokenserver.runtime.tracing.spans import ActiveTrace, step
from tokenserver.server.compose import build
from tokenserver.server.tracing import NOT_INSTALLED, _sender, read_headers, tracing_faults, tracing_of
from tokenserver.web.application import ReconfigurableApplication
from tokenserver.web.routes import TokenFront

__all__ = ["server_folder"]


@pytest.fixture
def settings(server_folder: Path) -> Settings:
    """Those of a server without tracing."""
    make_server(server_folder)
    return load_settings(server_folder / "tokenserver-True-1.yaml", {})


def with_tracing(settings: Settings, **section: object) -> Settings:
    """The same with this section."""
    return settings.model_copy(update={"tracing": TracingSettings.model_validate(section)})


def test_the_path_is_the_usual_one(settings: Settings) -> None:
    """Without the section, each part on the path of a request is the one that knows nothing of traces."""

    def parts(settings: Settings) -> list[type]:
        server = build(settings, sink=Lines())
        tracing = tracing_of(settings, None)
        (front,) = ReconfigurableApplication(server, tracing).fronts
        if tracing is not None:
            tracing.finish(5)
        return [type(server.exchange.service), type(server.trail), type(front)]

    usual = [TokenService, AuditTrail, TokenFront]
    assert parts(settings) == usual
    traced = parts(with_tracing(settings, sample=0))
    assert all(one is not other and issubclass(one, other) for one, other in zip(traced, usual, strict=True))


def test_none(settings: Settings) -> None:
    """Without the section there is nothing, not even a library."""
    assert (tracing_of(settings, None), tracing_faults(settings, "f")) == (None, [])
    program = (
        "import sys; from pathlib import Path; from tokenserver.config.load import load_settings;"
        "from tokenserver.web.application import load_application;"
        "load_application(load_settings(Path(sys.argv[1]), {})).stop();"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google')) or name.endswith("
        "('tracing.tracer', 'tracing.exporter', 'web.tracing', 'exchanges.traced'))])"
    )
    file = settings.policies.parent / "tokenserver-True-1.yaml"
    found = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_what_a_collector_is_sent(settings: Settings, tmp_path: Path) -> None:
    """Compressed, with the headers of the file, and before the end."""
    (tmp_path / "headers").write_text("Authorization: Bearer secret\n")
    (tmp_path / "headers").chmod(0o600)
    with fake_collector() as collector:
        traced = with_tracing(settings, endpoint=collector.url, headers_file=tmp_path / "headers", sample=1)
        assert tracing_faults(traced, "f") == []
        tracing = tracing_of(traced, None)
        assert tracing is not None
        trace = tracing.tracer.begin(None, None)
        assert trace is not None
        with tracing.tracer.answering(trace, lambda: "GET", {}), step("a"):
            pass
        tracing.finish(10)
        assert [span.name for span in collector.spans] == ["a", "GET"]
        sent = collector.headers[0]
    assert sent["Authorization"] == "Bearer secret"
    assert (sent["Content-Type"], sent["Content-Encoding"]) == ("application/x-protobuf", "gzip")
    assert collector.spans[0].resource["service.name"] == "tokenserver"


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (200, None),
        (202, None),
        (307, "it answers with status 307"),
        (401, "it answers with status 401"),
        (503, "it answers with status 503"),
    ],
)
def test_what_counts_as_taken(settings: Settings, status: int, problem: str | None) -> None:
    """No redirect is followed: the headers are for the collector alone."""
    trace = ActiveTrace(None, is_traced=True)
    trace.add("a", 1, 2, {})
    with fake_collector() as collector:
        collector.status = status
        section = with_tracing(settings, endpoint=collector.url).tracing
        assert section is not None
        assert _sender(section)([trace.finished()]) == problem
        assert len(collector.headers) == 1


def test_faults(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that would end a worker stops the start: the library, the certificates and the headers."""
    (tmp_path / "headers").write_text("x: y")
    (tmp_path / "headers").chmod(0o644)
    traced = with_tracing(settings, ca_file=tmp_path / "no.pem", headers_file=tmp_path / "headers")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "opentelemetry" else found(name))
    library, certificates, headers = tracing_faults(traced, "tokenserver.yaml")
    assert (library.file, library.path, library.message) == ("tokenserver.yaml", "tracing", NOT_INSTALLED)
    assert "no.pem" in certificates.file
    assert "headers" in headers.file
    with pytest.raises(LoadError):
        tracing_of(traced, None)


def test_headers() -> None:
    """A line each; what is empty or a remark counts for nothing."""
    text = "# a remark\n\nX-Api-Key: a b:c\r\nauthorization:Bearer x\n"
    assert read_headers(text, "f") == {"X-Api-Key": "a b:c", "authorization": "Bearer x"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "f: must have 1 to 16 headers", id="none"),
        pytest.param("secret", "f:1: must be a header: Name: value", id="no colon"),
        pytest.param("a: secret\x00", "f:1: must be a header", id="a control character"),
        pytest.param("a: secret\rb: c", "f:1: must be a header", id="a forged header"),
        pytest.param("ä: secret", "f:1: must be a header", id="a letter beyond ASCII"),
        pytest.param("a:", "f:1: must be a header", id="no value"),
        pytest.param("a: b\nA: secret", "f:2: A stands twice", id="twice"),
        pytest.param("\nHost: secret", "f:2: Host is set by the server itself", id="the host"),
        pytest.param("\n".join(f"a{number}: secret" for number in range(17)), "f: must have 1 to 16", id="many"),
    ],
)
def test_faulty_headers(text: str, fault: str) -> None:
    """By line, never by text: it may be a secret."""
    with pytest.raises(LoadError) as caught:
        read_headers(text, "f")
    assert fault in str(caught.value)
    assert "secret" not in str(caught.value)
