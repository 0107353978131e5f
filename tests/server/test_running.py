"""The running server: what it says about its health, and to whom."""

from __future__ import annotations

import base64
import gc
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_issuer import SetClock
from live_policies import MARKED, part_of
from stored_logins_server import stored_site
from tests_web_server import PASSWORDS, Lines, server_folder
from workload_jwts import jwk, key_set, private_key

from tokenserver.authn.workload.issuer_keys import IssuerKeys
from tokenserver.authn.workload.key_origins import FetchedKeys, KeysNotFetched
from tokenserver.authn.workload.key_sets import read_key_set
from tokenserver.config.settings import Settings
from tokenserver.config.sources.user_source import UserSource
from tokenserver.errors import Fault
from tokenserver.metrics.setup import metrics_board
from tokenserver.server.compose import build, user_sources
from tokenserver.server.running import MAX_PLACES
from tokenserver.server.shared_state import workers_share
from tokenserver.web.application import application

__all__ = ["server_folder"]


def test_readiness_names_files_and_lines_and_no_more(settings: Settings) -> None:
    """Faults in a file, and the place of the folder, may be confidential."""
    parts = build(settings)
    assert parts.readiness()["files"] is None
    (settings.policies / "teams").mkdir()
    for number in range(7):
        (settings.policies / f"{number}.yaml").write_text("version: 1\nalow: [canary]\n...\n")
    assert [parts.live.look(), parts.live.look()] == [False, False]
    told = parts.readiness()["files"]
    places = ", ".join(f"policies/{number}.yaml:2" for number in range(5))
    assert told == f"the current files were rejected ({places}, …); see the log"


def test_readiness_survives_an_unexpected_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no place."""
    parts = build(settings)

    def fails(*_: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(part_of(parts, "policies"), "load", fails)
    (settings.policies / "p.yaml").write_text(MARKED + "\n")
    assert [parts.live.look(), parts.live.look()] == [False, False]
    assert parts.readiness()["files"] == "the current files were rejected (an unexpected error); see the log"


def test_a_slow_reload_is_a_note(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """D: with the files as `/readyz` may name them, while it lasts, and it does not make the server unready."""
    parts = build(settings)
    (watch,) = [watch for watch in parts.live._watches if watch.part.kind == "policies"]
    path = settings.policies / "p.yaml"
    path.write_text(MARKED.replace("public", "open"))
    assert parts.live.look() is False
    assert parts.notes() == {}
    now = watch._monotonic()
    monkeypatch.setattr(watch, "_monotonic", lambda: now + 7)
    after = "unchanged files go live now, the others as soon as they are complete"
    assert parts.notes() == {"policies": f"changing for 7 s (policies/p.yaml); {after}"}
    assert parts.reading().reload_delays["policies", "changing"] == pytest.approx(7, abs=1)
    assert set(parts.readiness().values()) == {None}
    load = watch.part.load
    seen = []

    def slowly(*arguments: Any) -> object:
        monkeypatch.setattr(watch, "_monotonic", lambda: now + 19)
        seen.append(parts.notes())
        return load(*arguments)

    monkeypatch.setattr(watch.part, "load", slowly)
    assert parts.live.look() is True
    assert seen == [{"policies": "loading for 12 s; the previous configuration stays live until it is done"}]
    assert (parts.notes(), parts.reading().reload_delays) == ({}, {})


def test_a_broken_policy_keeps_no_user_and_no_key(settings: Settings) -> None:
    """D: users and keys reload without waiting for policies, and a rotation is not stopped by them."""
    users = settings.authentication[0].htpasswd
    assert users is not None
    text = users.file.read_text("utf-8")
    parts = build(settings)
    (settings.policies / "p.yaml").write_text("version: 1\nalow: []\n...\n")
    try:
        users.file.write_text("".join(line for line in text.splitlines(True) if not line.startswith("ann:")), "utf-8")
        assert [parts.live.look(), parts.live.look()] == [False, True]
        assert sorted(user for source in user_sources(parts.live.snapshot()) for user in source.users) == [
            "root-ann",
            "zoë",
        ]
        assert parts.readiness()["files"] is not None
        assert [rotator._is_blocked() for rotator in parts.rotators] == [False]
    finally:
        users.file.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param("policies/a.yaml", "policies/a.yaml:3", id="below the folder's parent"),
        pytest.param("users", "users:3", id="beside the policies"),
        pytest.param("/etc/secret/place/keys.json", "keys.json:3", id="elsewhere: the name alone"),
    ],
)
def test_places(file: str, expected: str, settings: Settings) -> None:
    """`/readyz` is public, so a place says no more than an operator needs."""
    parts = build(settings)
    above = settings.policies.parent
    fault = Fault(file if file.startswith("/") else str(above / file), 3, "key", "canary")
    assert parts._places([fault]) == expected
    assert parts._places([replace(fault, line=0)]) == expected.removesuffix(":3")
    assert parts._places([]) == ""


def test_each_place_is_listed_once(settings: Settings) -> None:
    """Up to a number of them."""
    parts = build(settings)
    faults = [Fault(str(settings.policies / f"{number // 2}.yaml"), 1, "", "") for number in range(2 * MAX_PLACES + 2)]
    listed = parts._places(faults)
    assert listed == ", ".join(f"policies/{number}.yaml:1" for number in range(MAX_PLACES)) + ", …"
    assert "…" not in parts._places(faults[: 2 * MAX_PLACES])


def test_a_healthy_server(settings: Settings) -> None:
    """Each part is listed without a problem, and there is nothing to note."""
    parts = build(settings)
    readiness = parts.readiness()
    assert set(readiness) == {"keys", "policies", settings.authentication[0].name, "files", "audit"}
    assert set(readiness.values()) == {None}
    assert parts.notes() == {}


def test_a_server_that_stops_is_not_ready(settings: Settings) -> None:
    """So that a load balancer sends nothing more."""
    parts = replace(build(settings), is_stopping=lambda: True)
    assert parts.readiness()["server"] == "is stopping"


def test_the_first_certificate_to_expire_counts(settings: Settings) -> None:
    """Later the keys are a problem, and the other parts are not."""
    parts = build(settings)
    now = datetime.now(UTC)
    found = parts.expiry(now)
    (ring,) = parts.live.snapshot().rings
    assert found.active == pytest.approx((ring.active.not_after - now).total_seconds(), abs=1)
    assert found.problem is None
    assert parts.expiry(ring.ca_not_after + timedelta(days=1)).problem is not None


def test_gauges(settings: Settings) -> None:
    """They agree with the snapshot and with readiness."""
    parts = build(settings)
    reading = parts.reading()
    assert reading.policy == parts.live.snapshot().policies.digest
    assert reading.parts == parts.readiness()
    assert (reading.rejected, reading.jump, reading.reload_delays) == (parts.admission.rejected, 0.0, {})
    assert set(reading.ends) == {str(settings.keys.folder)}
    assert "requests" in reading.loads


def test_an_issuer_that_is_down_is_a_note(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the start, or once its keys are an hour old: people and the other workloads need a server that is ready."""
    clock, answers = SetClock(), [KeysNotFetched("canary")]
    good = FetchedKeys(read_key_set(key_set(jwk(private_key("ES256"), "k"))))

    def origin() -> FetchedKeys:
        if answers:
            raise answers[0]
        return good

    class Watched(IssuerKeys):
        def __init__(self, name: str, _: object) -> None:
            super().__init__(name, origin, steady=clock, spawn=lambda run: run(), spread=lambda: 0.0)

    monkeypatch.setattr("tokenserver.server.sources.workload_sources.IssuerKeys", Watched)
    parts = build(with_workloads(settings))
    seen = []
    for seconds, is_down in ((0, True), (60, False), (600, True), (3600, True), (60, False)):
        clock.now += seconds
        answers[:] = [KeysNotFetched("canary")] if is_down else []
        for source in parts.live.snapshot().workload_sources:
            assert isinstance(source.keys, IssuerKeys)
            source.keys.tick()
        assert set(parts.readiness().values()) == {None}
        seen.append((parts.notes().get("github"), parts.reading().issuer_keys["github"]))
    assert seen == [
        ("the keys of its issuer could not be fetched yet; see the log", (None, True)),
        (None, (0.0, False)),
        (None, (600.0, True)),
        ("the keys of its issuer are 1 h old, and will be used until 24 h; see the log", (4200.0, True)),
        (None, (0.0, False)),
    ]


def with_workloads(settings: Settings) -> Settings:
    """The same settings, with a source of workloads as well."""
    source = {"name": "github", "preset": "github_actions", "issuer": "https://ci.example.com"}
    added = UserSource.model_validate({"workload": source})
    return settings.model_copy(update={"authentication": (*settings.authentication, added)})


def test_background_threads_end(settings: Settings) -> None:
    """Each has a name, and setting the event ends all of them."""
    names = {"rotate-keys", "watch-files", "audit-trail"}
    before = {thread.ident for thread in threading.enumerate()}
    stop = build(settings).watch()
    started = [thread for thread in threading.enumerate() if thread.ident not in before]
    assert {thread.name for thread in started} >= names
    stop.set()
    for thread in started:
        thread.join(10)
        assert not thread.is_alive(), thread.name


def _descriptors() -> dict[int, str]:
    """What this process has open."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the listing itself
            found[int(link.name)] = str(link.readlink())
    return found


def _start_and_stop(settings: Settings) -> None:
    """A worker of a server with everything that workers share, for one login."""
    others = threading.enumerate()
    board, shared = metrics_board(settings, workers=2), workers_share(settings, workers=2)
    parts = build(settings, sink=Lines(), board=board, shared=shared)
    stop = parts.watch()
    basic = base64.b64encode(f"ann:{PASSWORDS['ann']}".encode()).decode()
    client = application(parts).test_client()
    answer = client.get("/token?service=reg&offline_token=true", headers={"Authorization": f"Basic {basic}"})
    assert "refresh_token" in answer.get_json()
    stop.set()
    for thread in threading.enumerate():
        if thread not in others:
            thread.join()
    assert parts.storage is not None
    parts.storage.database.close()


def test_a_stopped_server_leaves_no_descriptor(server_folder: Path, tmp_path: Path) -> None:
    """No shared memory, file or socket stays in its process."""
    with stored_site(server_folder, tmp_path / "site") as site:
        settings = site.parts.settings
    del site
    _start_and_stop(settings)
    gc.collect()
    before = _descriptors()
    _start_and_stop(settings)
    gc.collect()
    assert _descriptors() == before
