"""A server with workers that traces: what a collector takes, what events say, and a server that traces nothing."""

from __future__ import annotations

import itertools
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_collector import FakeCollector, TakenSpan, fake_collector
from harness import web
from harness.json_lines import whole_lines
from harness.processes import Daemon, answers, free_port, plain_environment
from harness.programs import need
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import until
from hook_servers import SECRET, check, hook_server

pytestmark = pytest.mark.waits

SERVICE = "registry.test"
POLICY = """\
version: 1
allow:
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: writer}
"""
PEOPLE = {"ann": password()}
METRICS_PORT = free_port()
SERVER_KIND, CLIENT_KIND = 2, 3
PARENT = "b7ad6b7169203331"


def traceparent(number: int, *, flags: str = "01") -> tuple[str, dict[str, str]]:
    """A trace id, and the header of a client that is in this trace."""
    trace_id = f"{number:032x}"
    return trace_id, {"traceparent": f"00-{trace_id}-{PARENT}-{flags}"}


@pytest.fixture(scope="module")
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def hook() -> Iterator[Any]:
    with hook_server(check) as hook:
        yield hook


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, collector: FakeCollector, hook: Any) -> Iterator[TokenServer]:
    folder = tmp_path_factory.mktemp("traced")
    for name, text in (("collector-headers", "X-Api-Key: the key of the collector\n"), ("hook-secret", SECRET)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    url = f"http://127.0.0.1:{hook.server_address[1]}"
    settings = {
        "server": {"workers": 2, "metrics": f"127.0.0.1:{METRICS_PORT}"},
        "authentication": [
            {"htpasswd": {"file": "users.htpasswd", "name": "local"}},
            {"http": {"name": "hook", "url": url, "secret_file": "hook-secret"}},
        ],
        "tracing": {
            "endpoint": collector.url,
            "headers_file": "collector-headers",
            "sample": 0,
            "client_rate": 100,
            "attributes": {"deployment.environment.name": "test"},
        },
    }
    with serving(folder, Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)) as server:
        yield server


def ask(server: TokenServer, headers: dict[str, str], *, person: str = "ann", secret: str | None = None) -> web.Answer:
    sent = headers | web.basic(person, secret or PEOPLE[person])
    return server.request("GET", web.token_target(SERVICE, ["repository:web/a:pull,push"]), headers=sent)


def named(spans: list[TakenSpan]) -> dict[str, TakenSpan]:
    return {span.name: span for span in spans}


def events(server: TokenServer) -> list[dict[str, object]]:
    return whole_lines(server.daemon.stdout)


def test_an_exchange_is_one_trace(server: TokenServer, collector: FakeCollector) -> None:
    """Its first span continues the client's, its steps are below it, and the event names the trace."""
    trace_id, headers = traceparent(0x1001)
    answer = ask(server, headers | {"tracestate": "vendor=one"})
    assert answer.status == 200
    spans = named(collector.trace(trace_id, spans=5))
    assert set(spans) == {"GET /token", "authenticate", "decide", "sign", "audit"}
    first = spans["GET /token"]
    assert (first.parent_id, first.kind, first.state, first.is_error) == (PARENT, SERVER_KIND, "vendor=one", False)
    assert first.attributes == {
        "http.request.method": "GET",
        "http.route": "/token",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "tokenserver.request_id": answer.header("x-request-id"),
    }
    assert {span.parent_id for span in spans.values() if span is not first} == {first.span_id}
    assert spans["authenticate"].attributes == {"tokenserver.source": "local", "tokenserver.kind": "password"}
    decided = spans["decide"].attributes
    assert (decided["tokenserver.registry"], decided["tokenserver.scopes"]) == (SERVICE, 1)
    assert decided["tokenserver.outcome"] == "granted"
    order = [spans[name] for name in ("authenticate", "decide", "sign", "audit")]
    assert all(before.end <= after.start for before, after in itertools.pairwise(order))
    assert all(first.start <= span.start <= span.end <= first.end for span in order)
    assert abs(first.start / 1e9 - time.time()) < 60
    event = next(one for one in events(server) if one.get("trace_id") == trace_id)
    assert event["request_id"] == answer.header("x-request-id")
    assert str(event["policy"]).startswith(str(decided["tokenserver.policy"]))
    assert first.resource["service.name"] == "tokenserver"
    assert first.resource["deployment.environment.name"] == "test"
    assert collector.headers[-1]["X-Api-Key"] == "the key of the collector"


def test_a_hook_is_asked_within_the_trace(server: TokenServer, collector: FakeCollector, hook: Any) -> None:
    """The call is a span of its own, and the hook is given the trace and that span as its parent."""
    trace_id, headers = traceparent(0x1002)
    assert ask(server, headers, person="nobody-here", secret="wrong").status == 401
    spans = named(collector.trace(trace_id, spans=4))
    call, login = spans["POST"], spans["authenticate"]
    assert (call.kind, call.parent_id) == (CLIENT_KIND, login.span_id)
    assert call.attributes["http.response.status_code"] == 404
    assert hook.requests[-1].headers["traceparent"] == f"00-{trace_id}-{call.span_id}-01"
    assert (login.is_error, login.attributes["error.type"]) == (True, "invalid_credentials")
    assert not spans["GET /token"].is_error, "a 401 is the client's error"


def test_a_form_is_traced_too(server: TokenServer, collector: FakeCollector) -> None:
    """Its body arrives in another thread than the one that answers."""
    trace_id, headers = traceparent(0x1003)
    body = f"grant_type=password&service={SERVICE}&client_id=t&username=ann&password={PEOPLE['ann']}".encode()
    form = headers | {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.request("POST", "/token", headers=form, body=body).status == 200
    assert "POST /token" in named(collector.trace(trace_id, spans=5))


@pytest.mark.parametrize(
    ("target", "name"), [("/healthz", "GET /healthz"), ("/there/is/no?secret=1", "GET"), ("/ca.pem", "GET /ca.pem")]
)
def test_other_paths_have_their_route(server: TokenServer, collector: FakeCollector, target: str, name: str) -> None:
    """A path that has none is not in the span: it may be anything."""
    trace_id, headers = traceparent(0x2000 + len(target))
    server.request("GET", target, headers=headers)
    assert [span.name for span in collector.trace(trace_id)] == [name]


def test_what_the_client_does_not_trace(server: TokenServer, collector: FakeCollector) -> None:
    """There is no span, and the event has the trace id all the same."""
    trace_id, headers = traceparent(0x1004, flags="00")
    answer = ask(server, headers)
    later, sampled = traceparent(0x1005)
    ask(server, sampled)
    assert collector.trace(later), "sent after it"
    assert not collector.trace(trace_id, seconds=0)
    event = next(one for one in events(server) if one.get("request_id") == answer.header("x-request-id"))
    assert event["trace_id"] == trace_id


def test_no_trace_without_one(server: TokenServer) -> None:
    """With `sample: 0`, a request whose client names no trace, or one by a bad header, has none."""
    for headers in ({}, {"traceparent": "00-" + "0" * 32 + f"-{PARENT}-01"}):
        answer = ask(server, headers)
        event = next(one for one in events(server) if one.get("request_id") == answer.header("x-request-id"))
        assert "trace_id" not in event


def test_nothing_secret_leaves(server: TokenServer, collector: FakeCollector) -> None:
    """No span has a password, a name of a person or repository, a token, or what the query said."""
    trace_id, headers = traceparent(0x1006)
    answer = ask(server, headers)
    assert collector.trace(trace_id, spans=5)
    sent = b"".join(collector.bodies)
    for secret in (PEOPLE["ann"], web.basic("ann", PEOPLE["ann"])["Authorization"], answer.json()["token"], "web/a"):
        assert secret.encode() not in sent
    assert b"ann" not in b"".join(str(span.attributes).encode() for span in collector.spans)


def test_what_happened_to_spans_is_counted(server: TokenServer, collector: FakeCollector) -> None:
    """A collector that refuses costs spans, which metrics show, and one log line; no request fails."""
    collector.status = 503
    try:
        before = counted()["not_taken"]
        _, headers = traceparent(0x1007)
        assert ask(server, headers).status == 200
        until(lambda: counted()["not_taken"] - before >= 5)
        assert counted()["not_taken"] - before == 5
    finally:
        collector.status = 200
    assert (
        "the collector takes no traces, which are dropped: it answers with status 503"
        in server.daemon.stderr.read_text()
    )
    assert counted()["exported"] > 0


def counted() -> dict[str, float]:
    text = web.request(METRICS_PORT, "GET", "/metrics").body.decode()
    found = re.findall(r'^tokenserver_trace_spans_total\{result="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {result: float(value) for result, value in found}


def libraries(server: TokenServer) -> set[str]:
    """The files that the master and its workers have in memory."""
    workers = server.daemon.children
    assert workers
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in (server.daemon.pid, *workers)]
    return {line.split()[-1] for text in maps for line in text.splitlines() if "/" in line}


def test_a_server_that_traces_nothing_does_not_know_of_it(server: TokenServer, tmp_path: Path) -> None:
    """Without the section nothing of OpenTelemetry is loaded, headers of clients have no effect, and events no id."""
    assert any("/upb/" in file or "_upb" in file for file in libraries(server)), "what a server that traces has"
    with serving(tmp_path, Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"})) as plain:
        _, headers = traceparent(0x1008)
        assert ask(plain, headers).status == 200
        assert not [file for file in libraries(plain) if "upb" in file]
        assert "trace_id" not in plain.daemon.stdout.read_text()


def test_a_stop_sends_what_waits(tmp_path: Path) -> None:
    """The last traces arrive although the server ends; a collector that is silent delays the end by seconds at most."""
    with fake_collector() as collector:
        settings = {"tracing": {"endpoint": collector.url, "sample": 1}}
        with serving(tmp_path, Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)) as server:
            answer = ask(server, {})
            server.daemon.signal(signal.SIGTERM)
            assert server.daemon.wait(20) == 0
        event = next(one for one in events(server) if one.get("request_id") == answer.header("x-request-id"))
        assert len(collector.trace(str(event["trace_id"]), spans=5, seconds=0)) == 5


COLLECTOR = """\
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  debug: {{verbosity: detailed}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [debug]}}
"""


@pytest.mark.nightly
@pytest.mark.real("otel-collector")
def test_a_real_collector(tmp_path: Path) -> None:
    """The OpenTelemetry Collector takes what is sent, also after it was down, and shows the spans as they are meant."""
    port = free_port()
    (tmp_path / "collector.yaml").write_text(COLLECTOR.format(port=port))
    command: list[str | Path] = [need("otel-collector"), "--config", tmp_path / "collector.yaml"]
    collector = Daemon("collector", command, environment=plain_environment(tmp_path), folder=tmp_path)
    tracing = {"endpoint": f"http://127.0.0.1:{port}/v1/traces", "sample": 0, "client_rate": 100}
    settings: dict[str, Any] = {"server": {"workers": 1}, "tracing": tracing}
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server", Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)) as server:
        lost, headers = traceparent(0x3001)
        assert ask(server, headers).status == 200
        until(lambda: "the collector takes no traces" in server.daemon.stderr.read_text(), seconds=15)
        try:
            collector.start(lambda: answers(port))
            trace_id, headers = traceparent(0x3002)
            assert ask(server, headers | {"tracestate": "vendor=one"}).status == 200
            until(lambda: trace_id in collector.log, seconds=15)
            until(lambda: "the collector takes traces again" in server.daemon.stderr.read_text(), seconds=15)
        finally:
            collector.stop()
    shown = collector.log
    assert lost not in shown
    assert re.findall(r"Name +: (.+)", shown) == ["authenticate", "decide", "sign", "audit", "GET /token"]
    assert re.search(rf"Trace ID +: {trace_id}\n +Parent ID +: {PARENT}\n", shown)
    assert re.search(r"Kind +: Server\n", shown)
    assert "http.response.status_code: Int(200)" in shown
    assert re.search(r"TraceState +: vendor=one", shown)
