"""Notifications of registries over HTTP: who may report, what is written, and what a registry gets for an answer.

See docs/design/threats.md#threat-225 and docs/design/threats.md#threat-226.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import canaries
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stored_logins_server import message
from tests_web_server import PASSWORDS, Lines
from werkzeug.test import TestResponse

from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.exchange.admission import MAX_BODIES_PER_CLIENT
from tokenserver.metrics.setup import metrics_board
from tokenserver.server.compose import build, watched_files
from tokenserver.server.running import RunningServer
from tokenserver.web.application import ReconfigurableApplication, application, listener_apps, token_endpoint
from tokenserver.web.bodies import Place
from tokenserver.web.notifications.endpoint import BODY_LIMIT, MAX_BODY
from tokenserver.web.parameters import BodyTooSlow
from tokenserver.web.routes import TokenFront
from tokenserver.web.token_endpoint import TokenAnswer

SECRET = "fedcba9876543210fedcba9876543210"
OTHER = "fedcba9876543210fedcba9876543210-of-another"
for _secret in (SECRET, OTHER):
    canaries.know(_secret)
ENVELOPE = "application/vnd.docker.distribution.events.v2+json"
HERE = {"REMOTE_ADDR": "127.0.0.1"}


@dataclass
class Reported:
    """A server that registries report to."""

    parts: RunningServer
    client: FlaskClient
    audit: Lines

    @property
    def front(self) -> TokenFront:
        """What answers before Flask."""
        front = self.client.application.wsgi_app
        assert isinstance(front, TokenFront)
        return front

    def send(
        self,
        *events: Mapping[str, Any],
        service: str = "reg",
        secret: str | None = SECRET,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        kind: str = ENVELOPE,
        peer: str = "127.0.0.1",
    ) -> TestResponse:
        """One envelope, or another body."""
        given = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return self.client.post(
            f"/notifications/{service}",
            data=json.dumps({"events": events}).encode() if body is None else body,
            content_type=kind,
            headers={**given, **(headers or {})},
            environ_base={"REMOTE_ADDR": peer},
        )

    def written(self) -> list[tuple[str, str]]:
        """Id and action of each report in the trail."""
        return [(one["event_id"], one["action"]) for one in self.audit.events if one["event"] == "registry"]

    def counted(self, table: str) -> dict[tuple[str, ...], float]:
        """The cells of a metric that are not 0."""
        assert self.parts.meter is not None
        layout, row = self.parts.meter._layout, self.parts.meter._row
        return {labels: row[cell] for labels, cell in getattr(layout, table).items() if row[cell]}


def reported(folder: Path, tmp_path: Path, extra: str = "", **settings_of_registry: str) -> Reported:
    """A server over the session's files, of which `reg` reports and `quiet` does not."""
    for name, secret in (("reg", SECRET), ("other", OTHER)):
        (tmp_path / f"{name}.secret").write_text(secret)
        (tmp_path / f"{name}.secret").chmod(0o600)
    more = "".join(f", {key}: {value}" for key, value in settings_of_registry.items())
    config = tmp_path / "tokenserver.yaml"
    config.write_text(
        "issuer: auth.example.com\n"
        f"server: {{url: 'http://localhost:5001', metrics: '127.0.0.1:1', trusted_proxies: [10.0.0.0/8]{extra}}}\n"
        "registries:\n"
        f"  - {{service: reg, also: [reg.old], notifications: {{secret_file: reg.secret{more}}}}}\n"
        "  - {service: other, notifications: {secret_file: other.secret}}\n"
        "  - {service: quiet}\n"
        f"authentication: [{{htpasswd: {{file: {folder}/users.htpasswd}}}}]\n"
        f"policies: {folder}/policies\nkeys: {folder}/keys\n"
    )
    loaded = load_settings(config, {})
    audit = Lines()
    parts = build(loaded, sink=audit, board=metrics_board(loaded, workers=1))
    return Reported(parts, application(parts).test_client(), audit)


@pytest.fixture
def registry(server_folder: Path, tmp_path: Path) -> Reported:
    """With every default."""
    return reported(server_folder, tmp_path)


def event(number: int = 1, **members: Any) -> dict[str, Any]:
    """A push of ann."""
    target = {"repository": "web/site", "tag": "1", "digest": "sha256:00", "mediaType": "application/x"}
    return {"id": f"e-{number}", "action": "push", "target": target, "actor": {"name": "ann"}, **members}


BLOB = {"repository": "web/site", "digest": "sha256:01", "mediaType": "application/octet-stream"}


def test_a_report_is_in_the_trail_when_it_is_answered(registry: Reported) -> None:
    """One event for each report, under the registry's primary name."""
    answer = registry.send(event(1), event(2, action="pull"), service="reg.old")
    assert (answer.status_code, answer.data) == (200, b"{}\n")
    first, second = registry.audit.events
    assert (first["registry"], first["subject"], first["action"]) == ("reg", "ann", "push")
    assert first["request_id"] == second["request_id"] == answer.headers["X-Request-Id"]
    assert first["reported_by"] == "127.0.0.1"
    assert registry.counted("reports") == {("reg", "push"): 1, ("reg", "pull"): 1}


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(f"Bearer {SECRET}", id="bearer"),
        pytest.param(f"bearer  {SECRET} ", id="bearer with blanks"),
        pytest.param("Basic " + base64.b64encode(f"zot:{SECRET}".encode()).decode(), id="password, as zot"),
    ],
)
def test_how_the_secret_is_sent(registry: Reported, header: str) -> None:
    """As Distribution sends a header, and as zot sends a password."""
    assert registry.send(event(), secret=None, headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize(
    ("service", "secret"),
    [
        pytest.param("reg", OTHER, id="secret of another registry"),
        pytest.param("reg", SECRET[:-1], id="shorter"),
        pytest.param("reg", "", id="empty"),
        pytest.param("quiet", SECRET, id="a registry that does not report"),
        pytest.param("unknown", SECRET, id="unknown service"),
        pytest.param("", SECRET, id="no service"),
        pytest.param("reg/", SECRET, id="a further slash"),
        pytest.param("REG", SECRET, id="another case"),
    ],
)
def test_the_wrong_secret_and_the_wrong_service_are_alike(registry: Reported, service: str, secret: str) -> None:
    """401 with the same text, and nothing is written but that (docs/design/threats.md#threat-225)."""
    usual = registry.send(event(), secret="0" * 32)
    answer = registry.send(event(), service=service, secret=secret)
    assert (answer.status_code, answer.data) == (usual.status_code, usual.data)
    wrong = "wrong secret, or no registry of this name reports here; fix: compare the registry's configuration with"
    assert message(answer) == (401, f"{wrong} registry-config --notifications")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="notifications"'
    assert registry.written() == []
    refused = registry.audit.events[-1]
    assert (refused["event"], refused["outcome"]) == ("notifications", "invalid_credentials")
    assert refused["registry"] == service
    assert SECRET not in json.dumps(registry.audit.events)


def test_refused_requests_are_counted_under_names_of_the_configuration(registry: Reported) -> None:
    """Whatever name the path has: that of a registry that reports, by its primary one, or none."""
    layout = registry.parts.meter._layout if registry.parts.meter is not None else None
    assert layout is not None
    names = set(layout.refused_reports)
    for service in ("reg", "reg.old", "quiet", "unknown", "reg/x", "", "a" * 5000, 'x"} 1'):
        assert registry.send(event(), service=service, secret=None).status_code in {401, 404}
    refused = registry.counted("refused_reports")
    assert refused.keys() == {("reg", "authentication_required"), ("", "authentication_required")}
    assert refused["reg", "authentication_required"] == 2
    assert set(layout.refused_reports) == names
    assert registry.counted("reports") == {}


def test_tokens_for_pushes_are_counted_where_pushes_are_reported(server_folder: Path, tmp_path: Path) -> None:
    """Once each; not what a registry that does not report them is asked for, nor pulls, denied pushes and questions."""
    registry = reported(server_folder, tmp_path, actions="[push]")
    credentials = base64.b64encode(f"ann:{PASSWORDS['ann']}".encode()).decode()

    def ask(service: str, scope: str, more: str = "") -> None:
        query = f"/token?service={service}&scope=repository:{scope}{more}"
        assert registry.client.get(query, headers={"Authorization": f"Basic {credentials}"}).status_code == 200

    for _ in range(2):
        ask("reg", "team/x:pull,push")
        ask("reg.old", "team/x:push")
    ask("quiet", "team/x:push")
    ask("reg", "team/x:pull")
    ask("reg", "secret/x:push")
    ask("reg", "team/x:push", "&explain=1")
    assert registry.counted("push_tokens") == {("reg",): 4}
    config = tmp_path / "tokenserver.yaml"
    live = ReconfigurableApplication(registry.parts)
    registry = Reported(live.parts, live.flask.test_client(), registry.audit)
    config.write_text(config.read_text().replace("actions: [push]", "actions: [delete]"))
    live.apply(load_settings(config, {}))
    registry = Reported(live.parts, live.flask.test_client(), registry.audit)
    ask("reg", "team/x:push")
    ask("other", "team/x:push")
    assert registry.counted("push_tokens") == {("reg",): 4, ("other",): 1}
    live.stop()


def test_no_secret(registry: Reported) -> None:
    """401, and no failure for the throttle."""
    for _ in range(30):
        assert registry.send(event(), secret=None).status_code == 401
    assert registry.send(event()).status_code == 200


def test_wrong_secrets_are_throttled_and_silence_nobody(registry: Reported) -> None:
    """As any unknown secret of an address; the right one is accepted nevertheless."""
    statuses = [registry.send(event(), secret=f"{number:032}").status_code for number in range(40)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert registry.send(event()).status_code == 200
    refused = registry.counted("refused_reports")
    assert refused["reg", "throttled"] + refused["reg", "invalid_credentials"] == 40


def test_a_report_that_comes_again_is_written_once(registry: Reported) -> None:
    """A registry sends again what it got no answer for; another registry's report is another one."""
    for _ in range(3):
        assert registry.send(event(1), event(2)).status_code == 200
    registry.send(event(1), service="other", secret=OTHER)
    assert registry.written() == [("e-1", "push"), ("e-2", "push"), ("e-1", "push")]
    assert registry.counted("reports") == {("reg", "push"): 2, ("other", "push"): 1}


LONG = "x" * 300
JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."


@pytest.mark.parametrize("start", [LONG, JWT], ids=["long", "like a token"])
def test_ids_that_are_not_repeated_as_they_are(start: str, registry: Reported) -> None:
    """docs/design/threats.md#threat-228: different ids are different reports, and a repeated one is one."""
    for end in ("a", "b", "a"):
        assert registry.send({**event(1), "id": start + end}).status_code == 200
    written = registry.written()
    assert len({identifier for identifier, _ in written}) == len(written) == 2
    assert start not in str(written)


def test_nothing_is_lost_while_the_trail_takes_nothing(registry: Reported) -> None:
    """503, so that the registry sends it again, and then it is written."""
    registry.audit.broken = True
    answer = registry.send(event())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert registry.counted("reports") == {}
    registry.audit.broken = False
    assert registry.send(event()).status_code == 200
    assert registry.written() == [("e-1", "push")]
    assert registry.counted("refused_reports") == {("reg", "unavailable"): 1}


@pytest.mark.parametrize(
    ("settings_of_registry", "written"),
    [
        pytest.param({}, ["push", "mount", "delete", "unreadable"], id="default"),
        pytest.param({"blobs": "true"}, ["push", "push", "pull", "mount", "delete", "unreadable"], id="blobs"),
        pytest.param({"actions": "[delete]"}, ["delete", "unreadable"], id="deletes alone"),
    ],
)
def test_what_is_recorded(
    server_folder: Path, tmp_path: Path, settings_of_registry: dict[str, str], written: list[str]
) -> None:
    """The wanted actions, and of blobs their mounts and deletes alone; what cannot be read is always recorded."""
    registry = reported(server_folder, tmp_path, **settings_of_registry)
    events = [
        event(1),
        event(2, target=BLOB),
        event(3, action="pull", target=BLOB),
        event(4, action="mount", target=BLOB),
        event(5, action="delete", target=BLOB),
        event(6, action="heal"),
    ]
    assert registry.send(*events).status_code == 200
    assert [action for _, action in registry.written()] == written


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        pytest.param(b"{", ENVELOPE, 400, id="no JSON"),
        pytest.param(b"[" * 100_000, ENVELOPE, 400, id="deep"),
        pytest.param(b" " * (MAX_BODY + 1), ENVELOPE, 413, id="large"),
        pytest.param(b"{}", "application/x-www-form-urlencoded", 415, id="a form"),
        pytest.param(b"{}", "", 415, id="no type"),
    ],
)
def test_bodies_that_are_none(registry: Reported, body: bytes, kind: str, status: int) -> None:
    """Refused with the reason, of which the trail has an event."""
    assert registry.send(body=body, kind=kind).status_code == status
    (refused,) = registry.audit.events
    assert (refused["event"], refused["outcome"]) == ("notifications", "invalid_request")
    assert registry.send(event()).status_code == 200


def test_an_event_of_zot(registry: Reported) -> None:
    """In binary mode, whose attributes are headers; it has no subject."""
    headers = {"ce-specversion": "1.0", "ce-id": "z-1", "ce-type": "zotregistry.image.updated"}
    body = json.dumps({"name": "web/site", "reference": "1", "digest": "sha256:00"}).encode()
    assert registry.send(body=body, kind="application/json", headers=headers).status_code == 200
    (written,) = registry.audit.events
    assert (written["action"], written["repository"], written["tag"]) == ("push", "web/site", "1")
    assert "subject" not in written


def test_other_methods(registry: Reported) -> None:
    """405, whether the service is known or not."""
    for service in ("reg", "unknown"):
        answer = registry.client.get(f"/notifications/{service}", headers={"Authorization": f"Bearer {SECRET}"})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_plain_http_from_elsewhere(registry: Reported) -> None:
    """403: the secret would be on the network."""
    assert registry.send(event(), peer="192.0.2.7").status_code == 403
    assert registry.written() == []


def test_without_a_registry_that_reports(server_folder: Path, tmp_path: Path) -> None:
    """The path does not exist."""
    registry = reported(server_folder, tmp_path)
    config = tmp_path / "tokenserver.yaml"
    lines = [line for line in config.read_text().splitlines() if "secret_file" not in line]
    config.write_text("\n".join(lines))
    parts = build(load_settings(config, {}), sink=registry.audit)
    quiet = Reported(parts, application(parts).test_client(), registry.audit)
    assert quiet.send(event()).status_code == 404


def test_below_the_path_of_the_public_url(server_folder: Path, tmp_path: Path) -> None:
    """As every other path: a proxy may keep it or strip it."""
    registry = reported(server_folder, tmp_path)
    config = tmp_path / "tokenserver.yaml"
    config.write_text(config.read_text().replace("localhost:5001", "localhost:5001/registry-auth"))
    parts = build(load_settings(config, {}), sink=registry.audit)
    client = application(parts).test_client()
    for number, path in enumerate(("/notifications/reg", "/registry-auth/notifications/reg")):
        body = json.dumps({"events": [event(number)]})
        headers = {"Authorization": f"Bearer {SECRET}"}
        assert client.post(path, data=body, content_type=ENVELOPE, headers=headers).status_code == 200
    assert registry.written() == [("e-0", "push"), ("e-1", "push")]


def test_on_a_listener_of_its_own(server_folder: Path, tmp_path: Path) -> None:
    """There alone, with health and without tokens."""
    registry = reported(server_folder, tmp_path, extra=", notifications: '127.0.0.1:2'")
    apps = listener_apps(registry.parts, token_endpoint(registry.parts))
    assert apps.notifications is not None
    own = Reported(registry.parts, apps.notifications.test_client(), registry.audit)
    assert own.send(event()).status_code == 200
    assert registry.send(event()).status_code == 404
    statuses = {path: own.client.get(path).status_code for path in ("/healthz", "/readyz", "/token", "/ca.pem")}
    assert statuses == {"/healthz": 200, "/readyz": 200, "/token": 404, "/ca.pem": 404}


def headers_only(service: str = "reg", secret: str = SECRET, **more: str) -> dict[str, Any]:
    """The environ of a report whose body has not been read."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/notifications/{service}",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"Bearer {secret}",
        "CONTENT_TYPE": ENVELOPE,
        "CONTENT_LENGTH": "2",
        "wsgi.url_scheme": "http",
        **more,
    }


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        pytest.param(headers_only(secret=OTHER), 401, id="wrong secret"),
        pytest.param(headers_only(service="unknown"), 401, id="unknown service"),
        pytest.param(headers_only(CONTENT_LENGTH=str(MAX_BODY + 1)), 413, id="too large"),
        pytest.param(headers_only(CONTENT_LENGTH="x"), 400, id="no number"),
        pytest.param(headers_only(REMOTE_ADDR="192.0.2.7"), 403, id="plain http"),
    ],
)
def test_bodies_that_are_not_read(registry: Reported, environ: dict[str, Any], status: int) -> None:
    """The answer needs none, and nothing more is read of the connection (docs/design/threats.md#threat-225)."""
    answer = registry.front.admit_body(environ)
    assert isinstance(answer, TokenAnswer)
    assert answer.status == status
    assert ("Connection", "close") in answer.headers
    assert [one["event"] for one in registry.audit.events] == ["notifications"]


def test_a_body_in_transit(registry: Reported) -> None:
    """It has a place, and limits of its own; one that does not arrive leaves an event."""
    environ = headers_only()
    place = registry.front.admit_body(environ)
    assert isinstance(place, Place)
    place.leave()
    assert registry.front.body_limit(environ) == BODY_LIMIT
    assert registry.front.body_limit({"PATH_INFO": "/token"}).most < MAX_BODY
    answer = registry.front.give_up(environ, BodyTooSlow("the body did not arrive within 10 seconds"))
    assert (answer.status, ("Connection", "close") in answer.headers) == (408, True)
    (refused,) = registry.audit.events
    assert (refused["event"], refused["registry"]) == ("notifications", "reg")


def test_no_place_for_a_body(registry: Reported) -> None:
    """503 without an event: an overload must cost little."""
    places = [registry.front.admit_body(headers_only()) for _ in range(MAX_BODIES_PER_CLIENT)]
    assert all(isinstance(place, Place) for place in places)
    answer = registry.front.admit_body(headers_only())
    assert isinstance(answer, TokenAnswer)
    assert answer.status == 503
    assert registry.audit.events == []


def test_a_missing_secret_refuses_the_start(server_folder: Path, tmp_path: Path) -> None:
    """As every other file that the configuration names."""
    registry = reported(server_folder, tmp_path)
    (tmp_path / "reg.secret").unlink()
    with pytest.raises(LoadError, match=r"reg\.secret"):
        build(registry.parts.settings, sink=registry.audit)
    assert tmp_path / "reg.secret" in watched_files(registry.parts.settings)


def test_a_registry_that_begins_to_report(server_folder: Path, tmp_path: Path) -> None:
    """While the server runs; with a faulty secret, the previous configuration stays in force."""
    registry = reported(server_folder, tmp_path)
    config = tmp_path / "tokenserver.yaml"
    with_quiet = config.read_text().replace(
        "service: quiet", "service: quiet, notifications: {secret_file: quiet.secret}"
    )
    live = ReconfigurableApplication(registry.parts)
    running = Reported(registry.parts, live.flask.test_client(), registry.audit)
    config.write_text(with_quiet)
    with pytest.raises(LoadError, match=r"quiet\.secret"):
        live.apply(load_settings(config, {}))
    assert running.send(event(), service="quiet").status_code == 401
    assert running.send(event()).status_code == 200
    (tmp_path / "quiet.secret").write_text(SECRET)
    (tmp_path / "quiet.secret").chmod(0o600)
    live.apply(load_settings(config, {}))
    assert running.send(event(), service="quiet").status_code == 200
    kept = live.parts.reporters
    live.apply(load_settings(config, {}))
    assert live.parts.reporters is kept
    live.stop()


@given(
    name=st.text(max_size=300),
    agent=st.text(max_size=300),
    repository=st.text(max_size=300),
    members=st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8), max_size=4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("\x1b]0;owned\x07", "\x7f\u202e", "web/site", {})
@example('ann\n{"event":"registry"}', "", "web/site", {})
def test_hostile_texts(registry: Reported, name: str, agent: str, repository: str, members: dict[str, Any]) -> None:
    """One line of printable ASCII for each report (docs/design/threats.md#threat-226)."""
    registry.audit.raw.clear()
    number = f"{name}{agent}{repository}"
    sent = {
        **members,
        **event(),
        "id": f"e-{hash(number)}",
        "actor": {"name": name},
        "request": {"useragent": agent, "addr": agent},
        "target": {"repository": repository, "tag": name},
    }
    assert registry.send(sent).status_code == 200
    for line in registry.audit.raw:
        text = line.decode("ascii")
        assert text.endswith("\n")
        assert text[:-1].isprintable()
        assert len(text) < 16 * 1024
