"""What is counted, in one process: each request once, under labels of closed sets, and how the worker is."""

from __future__ import annotations

import base64
import random
import shutil
import string
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from tests_web_server import PASSWORDS, Lines

from tokenserver.authn.chain import Chain
from tokenserver.authn.protection.circuit_breaker import FAILURES
from tokenserver.config.load import load_settings
from tokenserver.credentials import Password
from tokenserver.errors import BackendUnavailable, Incomplete, Overloaded
from tokenserver.exchange.observers import ObservedExchange, Observer
from tokenserver.exchange.outcomes import DEVICE_STEPS, OUTCOMES, PEER_RESULTS
from tokenserver.exchange.service import TokenService
from tokenserver.identity import Identity, Kind
from tokenserver.metrics.definitions import METHODS
from tokenserver.metrics.exposition import SILENT_SECONDS, Page
from tokenserver.metrics.recorder import StorageGauges
from tokenserver.metrics.setup import metrics_board
from tokenserver.metrics.shared_rows import Board
from tokenserver.server.compose import build
from tokenserver.server.reconfigure import reconfigured
from tokenserver.server.running import RunningServer
from tokenserver.tokens.issuer import TokenIssuer
from tokenserver.web.application import application, token_endpoint

CONFIG = """\
issuer: auth.example.com
server: {url: http://localhost:5001, metrics: 127.0.0.1:9090, workers: 1}
registries: [{service: reg, also: [old]}, {service: other}]
authentication:
  - htpasswd: {file: users.htpasswd, name: local}
  - ldap: {name: corp, url: ldap://127.0.0.1:1, insecure_plaintext: true, base: dc=x, subject: uid,
           bind_dn: "cn=reader,dc=x", bind_password: secret, preset: openldap}
anonymous: true
policies: policies
keys: keys
"""

Sample = tuple[str, Mapping[str, str]]


@dataclass
class Measured:
    """A server in this process, its page of metrics, and the clocks that the page reads."""

    parts: RunningServer
    client: FlaskClient
    board: Board
    audit: Lines
    folder: Path
    now: float
    monotonic: float

    def samples(self) -> dict[str, float]:
        """Every series of a scrape, as it is spelled, with its value."""
        page = Page(self.board, now=lambda: self.now, monotonic=lambda: self.monotonic)
        families = text_string_to_metric_families(page.text().decode())
        return {spelled(sample): sample.value for family in families for sample in family.samples}

    def sampled(self) -> dict[str, float]:
        """As `samples`, after the worker has noted how it is."""
        assert self.parts.meter is not None
        self.parts.meter.sample(self.parts.reading(), now=self.now, monotonic=self.monotonic)
        return self.samples()

    def counted(self, ask: Callable[[], Any]) -> dict[str, float]:
        """Which counters one request moves, by how much; without the latencies, whose buckets depend on the machine."""
        before = self.samples()
        ask()
        after = self.samples()
        assert before.keys() == after.keys()
        moved = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        return {name: by for name, by in moved.items() if not name.startswith("tokenserver_exchange_seconds")}


def spelled(sample: Any) -> str:
    """A series in one line, without the quotes of Prometheus."""
    labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}"


@pytest.fixture
def measured(server_folder: Path, tmp_path: Path) -> Measured:
    folder = tmp_path / "server"
    shutil.copytree(server_folder, folder)
    (folder / "tokenserver.yaml").write_text(CONFIG)
    settings = load_settings(folder / "tokenserver.yaml", {})
    board, audit = metrics_board(settings, workers=1), Lines()
    parts = build(settings, sink=audit, board=board)
    now = datetime.now(UTC).timestamp()
    return Measured(parts, application(parts).test_client(), board, audit, folder, now, 1000.0)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


ANN = basic("ann", PASSWORDS["ann"])


def exchange(outcome: str, *, service: str = "reg", method: str = "GET") -> str:
    return f"tokenserver_exchanges_total{{method={method},outcome={outcome},service={service}}}"


def vouched(source: str) -> str:
    return f"tokenserver_authenticated_total{{source={source}}}"


def form(**more: str) -> dict[str, Any]:
    values = {"grant_type": "password", "client_id": "x", "username": "ann", "password": PASSWORDS["ann"], **more}
    return {"method": "POST", "data": values}


@pytest.mark.parametrize(
    ("query", "request_", "expected"),
    [
        pytest.param("service=reg", {"headers": ANN}, [exchange("login"), vouched("local")], id="login"),
        pytest.param(
            "service=reg&scope=repository:team/x:pull",
            {"headers": ANN},
            [exchange("granted"), vouched("local")],
            id="granted",
        ),
        pytest.param(
            "service=reg&scope=repository:team/x:pull,delete",
            {"headers": ANN},
            [exchange("partial"), vouched("local")],
            id="partial",
        ),
        pytest.param(
            "service=other&scope=repository:secret:pull",
            {},
            [exchange("denied", service="other"), vouched("anonymous")],
            id="denied",
        ),
        pytest.param(
            "service=old&scope=repository:public/x:pull",
            {},
            [exchange("granted"), vouched("anonymous")],
            id="under-another-name",
        ),
        pytest.param(
            "service=reg&scope=repository:team/x:pull&explain=1",
            {"headers": ANN},
            [exchange("explained"), vouched("local")],
            id="explained",
        ),
        pytest.param("service=reg&explain=1", {}, [exchange("authentication_required")], id="explained-to-nobody"),
        pytest.param(
            "service=reg", {"headers": basic("ann", "wrong")}, [exchange("invalid_credentials")], id="wrong-password"
        ),
        pytest.param(
            "service=nobody", {}, [exchange("invalid_request", service="")], id="unknown-service"
        ),
        pytest.param("", {}, [exchange("invalid_request", service="")], id="no-service"),
        pytest.param(
            "service=reg&service=reg", {}, [exchange("invalid_request", service="")], id="refused-before-the-exchange"
        ),
        pytest.param(
            "", form(service="reg"), [exchange("login", method="POST"), vouched("local")], id="form"
        ),
        pytest.param(
            "",
            form(service="reg", grant_type="nonsense"),
            [exchange("invalid_request", method="POST", service="")],
            id="unknown-grant",
        ),
    ],
)  # fmt: skip
def test_each_request_counts_once(
    measured: Measured, query: str, request_: dict[str, Any], expected: list[str]
) -> None:
    """Under what came of it, at which registry, by which method, and who vouched."""
    moved = measured.counted(lambda: measured.client.open(f"/token?{query}", **request_))
    assert moved == dict.fromkeys(expected, 1.0)
    assert [event["outcome"] for event in measured.audit.events] == [_outcome(expected[0])]


def _outcome(series: str) -> str:
    return series.partition("outcome=")[2].partition(",")[0]


def test_a_remembered_ruling_counts_as_the_first(measured: Measured) -> None:
    """Where it is counted is remembered with the ruling: each request is still one more, by its own method."""
    measured.client.get("/token?service=reg", headers=ANN)

    def again() -> None:
        for _ in range(5):
            measured.client.get("/token?service=reg", headers=ANN)
        measured.client.open("/token", **form(service="reg"))

    counted = measured.counted(again)
    assert counted == {exchange("login"): 5.0, exchange("login", method="POST"): 1.0, vouched("local"): 6.0}


def test_latencies_are_a_histogram(measured: Measured) -> None:
    """Buckets are cumulative, the last one is the count, and the sum is about the time that was spent."""
    for _ in range(3):
        measured.client.get("/token?service=reg", headers=ANN)
    samples = measured.samples()
    name = "tokenserver_exchange_seconds"
    buckets = [value for key, value in samples.items() if key.startswith(f"{name}_bucket") and "outcome=login" in key]
    assert buckets == sorted(buckets)
    assert buckets[-1] == samples[f"{name}_count{{outcome=login}}"] == 3.0
    assert 0.0 < samples[f"{name}_sum{{outcome=login}}"] < 60.0
    assert samples[f"{name}_count{{outcome=granted}}"] == 0.0


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "series"),
    [
        pytest.param(BackendUnavailable("corp", "is gone"), "{backend=corp,reason=no_answer}", id="directory"),
        pytest.param(Incomplete("corp", "a part"), "{backend=corp,reason=incomplete}", id="incomplete"),
        pytest.param(Overloaded("hashing", "full", 4), "{backend=hashing,reason=overloaded}", id="overloaded"),
    ],
)
def test_who_gave_no_answer(measured: Measured, monkeypatch: pytest.MonkeyPatch, error: Exception, series: str) -> None:
    """The source that is down and the room that is full have names."""
    monkeypatch.setattr(TokenService, "exchange", failing(error))
    moved = measured.counted(lambda: measured.client.get("/token?service=reg"))
    assert moved == {exchange("unavailable"): 1.0, f"tokenserver_unavailable_total{series}": 1.0}


def test_a_false_signature_sounds_the_alarm(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature that does not verify gives no token, and a metric of its own to alert on.

    See docs/design/threats.md#threat-63.
    """
    right = TokenIssuer._sign

    def flipped(self: TokenIssuer, header: str, claims: str) -> str:
        text = right(self, header, claims)
        return text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]

    monkeypatch.setattr(TokenIssuer, "_sign", flipped)
    answers: list[Any] = []
    moved = measured.counted(lambda: answers.append(measured.client.get("/token?service=reg")))
    assert moved == {exchange("unavailable"): 1.0, "tokenserver_signing_failures_total{}": 1.0}
    assert [answer.status_code for answer in answers] == [503]
    assert b"token" not in answers[0].data


@pytest.mark.parametrize("query", ["service=reg", "service=reg&service=reg"])
def test_a_lost_audit_event_sounds_the_alarm(measured: Measured, query: str) -> None:
    """No token leaves without its event; that this happens is a metric of its own, wherever it happens."""
    measured.audit.broken = True
    moved = measured.counted(lambda: measured.client.get(f"/token?{query}"))
    service = "reg" if query == "service=reg" else ""
    assert moved == {exchange("unavailable", service=service): 1.0, "tokenserver_audit_failures_total{}": 1.0}


class Anybody:
    """A user source that vouches for every second name that it is asked about, and hashes nothing."""

    name = "local"

    def authenticate(self, credentials: Password) -> Identity | None:
        """See `Authenticator.authenticate`."""
        known = len(credentials.username) % 2 == 0
        return Identity(credentials.username, Kind.PASSWORD, self.name) if known else None


def test_random_names_make_no_series(measured: Measured) -> None:
    """3,000 requests with random users, repositories and services leave the series as they were.

    The audit trail is the witness that all of them came as far as names go: users who are known and users who are not,
    registries and repositories that nobody has heard of.

    See docs/design/threats.md#threat-104.
    """
    snapshot = replace(measured.parts.live.snapshot(), chain=Chain([Anybody()], anonymous=True, decoy=None))
    service = TokenService(lambda: snapshot, now=lambda: measured.now)
    assert measured.parts.meter is not None
    observers: list[Observer] = [measured.parts.trail, measured.parts.meter]
    exchange_ = ObservedExchange(service, observers, monotonic=lambda: 0.0)
    # Plain http from other machines is refused unread, and no name would come any further.
    endpoint = replace(token_endpoint(replace(measured.parts, exchange=exchange_)), https_only=None)
    before = measured.sampled()
    dice = random.Random(1)  # noqa: S311 - the same every time

    def word(letters: str = string.ascii_lowercase + 'é"\n{}') -> str:
        return "".join(dice.choices(letters, k=dice.choice((7, 8))))

    for index in range(3_000):
        repository = f"{word(string.ascii_lowercase)}/{index}"
        asked = {"service": word() if index % 2 else "reg", "scope": f"repository:{repository}:pull"}
        environ: dict[str, Any] = {
            "REQUEST_METHOD": dice.choice(METHODS),
            "QUERY_STRING": urlencode(asked),
            "REMOTE_ADDR": f"2001:db8::{index:x}",
        }
        user = word(string.ascii_letters + "é")
        if environ["REQUEST_METHOD"] == "POST":
            body = urlencode({"grant_type": "password", "client_id": "x", "username": user, "password": "p", **asked})
            environ["QUERY_STRING"] = ""
            environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["wsgi.input"] = BytesIO(body.encode())
        elif index % 3:
            environ["HTTP_AUTHORIZATION"] = basic(user, "p")["Authorization"]
        endpoint.answer(environ)
    after = measured.sampled()
    assert after.keys() == before.keys()
    assert sum(after[name] - before[name] for name in after if "exchanges_total" in name) == 3_000
    seen = Counter(event["outcome"] for event in measured.audit.events)
    assert min(seen[outcome] for outcome in ("denied", "invalid_credentials", "invalid_request")) > 300, seen
    for field, least in (("subject", 300), ("username", 300), ("registry", 1200)):
        assert len({event.get(field) for event in measured.audit.events}) > least, field
    assert len({scope for event in measured.audit.events for scope in event["asked"]}) == 3_000
    assert after[vouched("local")] - before[vouched("local")] > 300


def test_registries_and_sources_that_came_later(measured: Measured) -> None:
    """They are counted without a name: series are those of the start. Those that went count no more."""
    text = CONFIG.replace("{service: other}", "{service: later}").replace("name: local", "name: later")
    (measured.folder / "tokenserver.yaml").write_text(text)
    measured.parts = reconfigured(measured.parts, load_settings(measured.folder / "tokenserver.yaml", {}))
    measured.client = application(measured.parts).test_client()
    moved = measured.counted(lambda: measured.client.get("/token?service=later", headers=ANN))
    assert moved == {exchange("login", service=""): 1}
    assert measured.counted(lambda: measured.client.get("/token?service=old")) == {
        exchange("login"): 1,
        vouched("anonymous"): 1,
    }
    assert measured.counted(lambda: measured.client.get("/token?service=other")) == {
        exchange("invalid_request", service=""): 1
    }


def test_a_single_registry_that_came_later(measured: Measured) -> None:
    """A request without a service means it, and a failed one is counted without a name as well."""
    text = CONFIG.replace("[{service: reg, also: [old]}, {service: other}]", "[{service: later}]")
    (measured.folder / "tokenserver.yaml").write_text(text)
    measured.parts = reconfigured(measured.parts, load_settings(measured.folder / "tokenserver.yaml", {}))
    measured.client = application(measured.parts).test_client()
    wrong = basic("ann", "wrong")
    moved = measured.counted(lambda: measured.client.get("/token", headers=wrong))
    assert moved == {exchange("invalid_credentials", service=""): 1}


def test_a_key_folder_that_went_has_no_certificates(measured: Measured) -> None:
    """Its series ends instead of counting down for ever."""

    def folders() -> set[str]:
        return {name for name in measured.sampled() if name.startswith("tokenserver_certificate_expiry_seconds")}

    assert len(folders()) == 2
    shutil.copytree(measured.folder / "keys", measured.folder / "moved")
    (measured.folder / "tokenserver.yaml").write_text(CONFIG.replace("keys: keys", "keys: moved"))
    measured.parts = reconfigured(measured.parts, load_settings(measured.folder / "tokenserver.yaml", {}))
    assert folders() == set()


def test_every_series_is_there_from_the_start(measured: Measured) -> None:
    """A series that begins with 1 has no increase, so a first failure would alert nobody."""
    samples = measured.sampled()
    for outcome in OUTCOMES:
        for service in ("reg", "other", ""):
            assert samples[exchange(outcome, service=service)] == 0.0
    assert samples["tokenserver_signing_failures_total{}"] == 0.0
    assert samples["tokenserver_workers{}"] == 1.0


def test_nothing_secret_or_personal_is_told(measured: Measured) -> None:
    """No user, repository, address, password or key appears in metrics.

    See docs/design/threats.md#threat-66 and docs/design/threats.md#threat-97.
    """
    measured.client.get("/token?service=reg&scope=repository:team/very-special:pull", headers=ANN)
    measured.client.get("/token?service=reg", headers=basic("mallory", "hunter2"))
    page = Page(measured.board, now=lambda: measured.now, monotonic=lambda: measured.monotonic).text().decode()
    key = (measured.folder / "keys").glob("*.key")
    secrets = [line for file in key for line in file.read_text().splitlines() if "-----" not in line]
    assert secrets
    for word in ("ann", "mallory", "hunter2", "very-special", PASSWORDS["ann"], *secrets):
        assert word not in page


# --- how the worker is -----------------------------------------------------------------------------------------------


def ends(samples: Mapping[str, float], folder: Path, which: str) -> float:
    return samples[f"tokenserver_certificate_expiry_seconds{{certificate={which},keys={folder / 'keys'}}}"]


@pytest.mark.parametrize("days", [0, 29, 3000])
def test_certificates_count_down(measured: Measured, days: int) -> None:
    """The seconds until a certificate ends go down as time goes by, and below zero when it is past.

    See docs/design/threats.md#threat-70.
    """
    ring = measured.parts.live.snapshot().rings[0]
    measured.sampled()
    measured.now += timedelta(days=days).total_seconds()
    samples = measured.samples()
    later = datetime.fromtimestamp(measured.now, UTC)
    left = (ring.active.not_after - later).total_seconds()
    assert ends(samples, measured.folder, "signing") == pytest.approx(left, abs=1.0)
    assert ends(samples, measured.folder, "ca") == pytest.approx((ring.ca_not_after - later).total_seconds(), abs=1.0)
    assert (left < 0) == (days == 3000)


def test_a_refused_change_is_counted_and_a_part_not_ready(measured: Measured) -> None:
    """`policy_reload_failed_total` + 1, and the age of what is live goes on (docs/design/threats.md#fault-16)."""
    first = measured.sampled()
    (measured.folder / "policies" / "policy.yaml").write_text("version: 1\nallow: nonsense\n")
    look_twice(measured.parts)
    measured.now += 60
    samples = measured.sampled()
    assert samples["tokenserver_policy_reload_failed_total{}"] == 1.0
    assert samples["tokenserver_policy_reloads_total{}"] == 0.0
    assert samples["tokenserver_not_ready{part=files}"] == 1.0
    assert first["tokenserver_not_ready{part=files}"] == 0.0
    assert samples["tokenserver_policy_age_seconds{}"] == pytest.approx(60.0)


def test_a_change_that_goes_live_shows_its_digest(measured: Measured) -> None:
    """How many workers have which policies live; a young age; and the file that was mended is ready again.

    See docs/design/threats.md#fault-19.
    """
    old = digests(measured.sampled())
    policy = measured.folder / "policies" / "policy.yaml"
    policy.write_text(policy.read_text() + "# changed\n")
    look_twice(measured.parts)
    measured.now += 60
    new = digests(measured.sampled())
    live = measured.parts.live.snapshot().policies.digest[:12]
    assert new == {f"tokenserver_policy_info{{digest={live}}}": 1.0}
    assert old.keys() != new.keys()
    samples = measured.samples()
    assert samples["tokenserver_policy_reloads_total{}"] == 1.0
    assert samples["tokenserver_policy_age_seconds{}"] == 0.0


def digests(samples: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in samples.items() if name.startswith("tokenserver_policy_info")}


def look_twice(parts: RunningServer) -> None:
    """A change is loaded when two looks in a row agree."""
    parts.live.look()
    parts.live.look()


def test_a_breaker_that_opens_is_seen(measured: Measured) -> None:
    """One worker, one breaker: exactly one state has it, and the source is not ready while it is open."""
    before = measured.sampled()
    for number in range(FAILURES):
        measured.client.get("/token?service=reg", headers=basic(f"stranger-{number}", "x"))
    after = measured.sampled()
    state = "tokenserver_breaker{{source=corp,state={}}}".format
    assert [before[state(one)] for one in ("closed", "open", "half-open")] == [1.0, 0.0, 0.0]
    assert [after[state(one)] for one in ("closed", "open", "half-open")] == [0.0, 1.0, 0.0]
    assert (before["tokenserver_not_ready{part=corp}"], after["tokenserver_not_ready{part=corp}"]) == (0.0, 1.0)
    assert after["tokenserver_unavailable_total{backend=corp,reason=no_answer}"] == FAILURES


def test_how_full_the_rooms_are(measured: Measured) -> None:
    """Requests that wait for a core or a directory are visible before any are rejected."""
    load = "tokenserver_load{{room={},state={}}}".format
    with measured.parts.protection.hashing:
        full = measured.sampled()
    empty = measured.sampled()
    assert (full[load("hashing", "running")], empty[load("hashing", "running")]) == (1.0, 0.0)
    assert full[load("hashing", "waiting")] == full[load("corp", "running")] == 0.0


def test_requests_that_admission_control_rejects_are_counted(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overload costs no audit event, so this is where it shows; each is counted once, however often it is read."""
    monkeypatch.setattr(measured.parts.admission, "workers", 0)
    monkeypatch.setattr(measured.parts.admission, "queue", 0)
    statuses = [measured.client.get("/token?service=reg").status_code for _ in range(3)]
    assert statuses == [503, 503, 503]
    assert [measured.sampled()["tokenserver_sent_away_total{}"] for _ in range(2)] == [3.0, 3.0]
    assert measured.audit.raw == []


def test_counting_failed_logins_alone_is_seen(measured: Measured) -> None:
    """A Redis that does not answer costs nobody a login, so a metric has to report it.

    See docs/design/threats.md#threat-25.
    """
    reading = measured.parts.reading()
    for alone in (True, False):
        assert measured.parts.meter is not None
        measured.parts.meter.sample(replace(reading, is_throttling_alone=alone), now=measured.now, monotonic=1000.0)
        assert measured.samples()["tokenserver_throttle_fallback{}"] == float(alone)


def test_the_keys_of_issuers(measured: Measured) -> None:
    """Their age goes on between two samples; a source without keys has none, and a source that went, neither."""
    old = "anonymous: true"
    new = f"  - workload: {{name: ci, preset: gitlab_ci, issuer: 'https://gitlab.example.com'}}\n{old}"
    (measured.folder / "tokenserver.yaml").write_text(CONFIG.replace(old, new))
    settings = load_settings(measured.folder / "tokenserver.yaml", {})
    measured.board = metrics_board(settings, workers=1)
    measured.parts = build(settings, sink=Lines(), board=measured.board)
    age, failing = (f"tokenserver_issuer_keys_{name}{{source=ci}}" for name in ("age_seconds", "failing"))
    first = measured.sampled()
    assert (first.get(age), first[failing]) == (None, 1.0)
    reading, meter = measured.parts.reading(), measured.parts.meter
    assert meter is not None
    meter.sample(replace(reading, issuer_keys={"ci": (90.0, False)}), now=measured.now, monotonic=measured.monotonic)
    measured.monotonic += 5.0
    later = measured.samples()
    assert (later[age], later[failing]) == (95.0, 0.0)
    meter.sample(replace(reading, issuer_keys={}), now=measured.now, monotonic=measured.monotonic)
    gone = measured.samples()
    assert (gone.get(age), gone[failing]) == (None, 0.0)


def test_the_storage(measured: Measured) -> None:
    """Its age goes on between two samples, refusals are counted once, and without a storage nothing is shown."""
    reading, meter = measured.parts.reading(), measured.parts.meter
    assert meter is not None
    age, refused = "tokenserver_storage_age_seconds{}", "tokenserver_stored_credentials_refused_total{}"
    ends = "tokenserver_credential_expires_seconds{form=key}"
    assert (measured.sampled().get(age), measured.samples()[refused]) == (None, 0.0)
    gauges = StorageGauges(90.0, live={"key": 3}, ends={"key": int(measured.now) + 60}, refused=2, new_networks=4)
    for _ in range(2):
        meter.sample(replace(reading, storage=gauges), now=measured.now, monotonic=measured.monotonic)
    measured.monotonic += 5.0
    later = measured.samples()
    assert (later[age], later[refused], later["tokenserver_stored_credentials{form=key}"]) == (95.0, 2.0, 3.0)
    assert later["tokenserver_credential_new_networks_total{}"] == 4.0
    assert later[ends] == pytest.approx(60.0, abs=1.0)
    assert "tokenserver_credential_expires_seconds{form=robot}" not in later


@pytest.mark.parametrize("step", DEVICE_STEPS)
def test_logins_at_terminals(measured: Measured, step: str) -> None:
    """Each step by its name, from the first one on."""
    meter = measured.parts.meter
    assert meter is not None
    moved = measured.counted(lambda: meter.count_device_step(step))
    assert moved == {f"tokenserver_device_logins_total{{step={step}}}": 1.0}


@pytest.mark.parametrize("result", PEER_RESULTS)
def test_the_shadow_peer(measured: Measured, result: str) -> None:
    """Each result by its name, from the first one on."""
    meter = measured.parts.meter
    assert meter is not None
    moved = measured.counted(lambda: meter.count_shadow_peer(result, 3))
    assert moved == {f"tokenserver_shadow_peer_total{{result={result}}}": 3.0}


def test_a_moved_clock_is_seen(measured: Measured) -> None:
    """By how much and in which direction."""
    measured.parts.clock._seen += 7200.0
    measured.parts.clock._right += 7200.0
    assert measured.sampled()["tokenserver_clock_jump_seconds{}"] == pytest.approx(-7200.0, abs=1.0)


def test_a_silent_worker_is_no_worker(measured: Measured) -> None:
    """One that hangs or is gone has no say in how things are; what it counted stays."""
    measured.client.get("/token?service=reg", headers=ANN)
    assert measured.sampled()["tokenserver_workers{}"] == 1.0
    measured.monotonic += SILENT_SECONDS + 1
    samples = measured.samples()
    assert samples["tokenserver_workers{}"] == 0.0
    assert not digests(samples)
    assert samples[exchange("login")] == 1.0


def test_without_metrics_nothing_is_observed(measured: Measured) -> None:
    """Off means off: the audit trail is the only observer of the exchange."""
    plain = build(measured.parts.settings, sink=Lines())
    assert plain.meter is None
    assert plain.exchange.observers == (plain.trail,)
    assert measured.parts.exchange.observers == (measured.parts.trail, measured.parts.meter)


def test_the_public_port_has_no_metrics(measured: Measured) -> None:
    """404 there, metrics on or off (docs/design/threats.md#threat-101)."""
    assert measured.client.get("/metrics").status_code == 404


def test_reports_of_registries(measured: Measured) -> None:
    """Written ones by registry and action, refused ones by outcome; what has no label is counted without, or not."""
    meter = measured.parts.meter
    assert meter is not None
    service = measured.parts.settings.registries[0].service

    def written() -> None:
        for name in (service, "added later"):
            meter.count_report(name, "push")

    def refused() -> None:
        for name in (service, "unknown", ""):
            meter.count_refused_reports(name, "invalid_request")

    name = "tokenserver_registry_reports_refused_total{outcome=invalid_request,service="
    assert measured.counted(written) == {f"tokenserver_registry_reports_total{{action=push,service={service}}}": 1.0}
    assert measured.counted(refused) == {f"{name}{service}}}": 1.0, f"{name}}}": 2.0}
