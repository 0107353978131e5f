"""The keys of a server that runs: followed through a rotation, kept through every fault of their folder."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from flask.testing import FlaskClient
from tests_web_server import server_folder

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.keys.certificates import generate_p256, make_ca, private_pem
from tokenserver.keys.ring_operations import RingOperations
from tokenserver.keys.schedule import RotationStep
from tokenserver.server.compose import build, warnings
from tokenserver.server.registry_keys import key_changes
from tokenserver.server.running import RunningServer
from tokenserver.tokens.claims import Registry
from tokenserver.tokens.verification import InvalidToken, verify_own
from tokenserver.web.application import application

__all__ = ["server_folder"]

CONFIG = """\
issuer: auth.example.com
server: {url: http://localhost:5001}
registries: [{service: reg}]
authentication: [{htpasswd: {file: users.htpasswd}}]
anonymous: true
policies: policies
keys: {rotate_every: 30d}
"""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class World:
    """A server with separate files, and operations on its keys."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.parts: RunningServer = build(settings)
        self.client: FlaskClient = application(self.parts).test_client()
        self.changes: RingOperations = key_changes(settings.key_sets()[0])

    @property
    def snapshot(self) -> Snapshot:
        return self.parts.live.snapshot()

    def follow(self) -> bool:
        """Two looks, as the watch has them within a second."""
        return [self.parts.live.look(), self.parts.live.look()][1]

    def token(self) -> str:
        answer = self.client.get("/token?service=reg&scope=repository:public/x:pull")
        assert answer.status_code == 200, answer.text
        return str(answer.get_json()["token"])

    def opens(self, token: str) -> bool:
        """Whether this server still knows the key of a token of its own."""
        registry: Registry = self.snapshot.registry("reg")
        try:
            verify_own(token, self.snapshot.issuer.ring, registry, now=int(time.time()))
        except InvalidToken:
            return False
        return True

    def published(self) -> list[str]:
        """The thumbprints of the JWKS, in its order."""
        return [key["kid"] for key in self.client.get("/.well-known/jwks.json").get_json()["keys"]]

    def ready(self) -> tuple[int, dict[str, str]]:
        answer = self.client.get("/readyz")
        return answer.status_code, answer.get_json()["parts"]


def age(folder: Path, by: timedelta) -> None:
    """Let every state have begun that much earlier."""
    ring = folder / "ring.json"
    content = json.loads(ring.read_text())
    for key in content["keys"]:
        key["since"] = (datetime.fromisoformat(key["since"]) - by).isoformat()
    ring.write_text(json.dumps(content))


@pytest.fixture
def world(server_folder: Path, tmp_path: Path) -> World:
    """A server with separate files."""
    shutil.copytree(server_folder, tmp_path / "site")
    (tmp_path / "site" / "tokenserver.yaml").write_text(CONFIG)
    return World(load_settings(tmp_path / "site" / "tokenserver.yaml", {}))


def test_a_rotation_as_the_world_sees_it(world: World) -> None:
    """The JWKS has a key before its first token and until its last has expired; the CA never changes.

    See docs/design/threats.md#threat-68.
    """
    ca = world.client.get("/ca.pem").text
    first = world.snapshot.issuer.ring.active.thumbprint
    tokens, seen = [world.token()], [world.published()]
    for _ in range(3):
        age(world.settings.keys.folder, 40 * DAY)
        world.changes.advance(datetime.now(UTC))
        assert world.follow() is True
        tokens.append(world.token())
        seen.append(world.published())
    new = world.snapshot.issuer.ring.active.thumbprint
    assert seen == [[first], [first, new], [new, first], [new]]
    assert [world.opens(token) for token in tokens] == [False, False, True, True]
    assert world.client.get("/ca.pem").text == ca
    assert world.ready()[0] == 200


def test_the_server_rotates_by_itself(world: World) -> None:
    """Its own rotator, its own watch, no command."""
    [rotator] = world.parts.rotators
    assert rotator.tick(datetime.now(UTC) + 30 * DAY) is RotationStep.PREPARE
    assert world.follow() is True
    assert len(world.published()) == 2


def test_the_watch_runs_the_rotation(world: World) -> None:
    """`RunningServer.watch` starts both threads, and one event ends them."""
    age(world.settings.keys.folder, 40 * DAY)
    again = World(world.settings)
    stop = again.parts.watch()
    try:
        deadline = time.monotonic() + 10
        while len(again.published()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop.set()
    for thread in threading.enumerate():
        if thread.name in ("rotate-keys", "watch-files"):
            thread.join(timeout=10)


def test_what_is_not_read_is_no_change(world: World) -> None:
    """L: notes, the lock, and what is being written under a hidden name, in both folders."""
    folder = world.settings.keys.folder
    before = world.snapshot
    for path in (folder / "NOTES.txt", folder / ".lock", folder / "signing" / ".x.key", folder / "signing" / "README"):
        path.write_text("x")
    assert world.follow() is False
    assert world.snapshot is before
    (folder / "signing").chmod(0o777)
    assert world.follow() is False
    assert "can be changed by others" in (world.parts.live.fault or "")
    (folder / "signing").chmod(0o700)
    assert world.follow() is True


def test_an_emergency_as_the_world_sees_it(world: World) -> None:
    """The removed key is no longer published, and this server rejects its tokens (docs/design/threats.md#threat-69)."""
    old, before = world.snapshot.issuer.ring.active.thumbprint, world.token()
    assert world.opens(before)
    world.changes.emergency(datetime.now(UTC))
    assert world.follow() is True
    assert old not in world.published()
    assert (world.opens(before), world.opens(world.token())) == (False, True)


def vanishes(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def comes_back_empty(folder: Path) -> None:
    vanishes(folder)
    folder.mkdir(mode=0o700)


def key_file(folder: Path) -> Path:
    [path] = (folder / "signing").glob("*.key")
    return path


def half_a_pair(folder: Path) -> None:
    key_file(folder).write_bytes(private_pem(generate_p256()))


def half_a_file(folder: Path) -> None:
    path = key_file(folder)
    path.write_bytes(path.read_bytes()[:100])


def missing_key(folder: Path) -> None:
    key_file(folder).unlink()


def open_key(folder: Path) -> None:
    key_file(folder).chmod(0o644)


def foreign_ca(folder: Path) -> None:
    key = generate_p256()
    (folder / "token-ca.key").write_bytes(private_pem(key))
    now = datetime.now(UTC)
    (folder / "token-ca.pem").write_text(make_ca(key, issuer="b", now=now).public_bytes(Encoding.PEM).decode())


def two_active(folder: Path) -> None:
    path = folder / "ring.json"
    content = json.loads(path.read_text())
    content["keys"] += [{"id": "other", "state": "active"}]
    path.write_text(json.dumps(content))


def half_a_ring(folder: Path) -> None:
    path = folder / "ring.json"
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(vanishes, id="the folder vanishes"),
        pytest.param(comes_back_empty, id="the folder comes back empty"),
        pytest.param(half_a_pair, id="half of a pair copied"),
        pytest.param(half_a_file, id="half of a file copied"),
        pytest.param(missing_key, id="a key is gone"),
        pytest.param(open_key, id="a key that others can read"),
        pytest.param(foreign_ca, id="a foreign CA"),
        pytest.param(two_active, id="two active keys"),
        pytest.param(half_a_ring, id="half of a ring"),
    ],
)
def test_the_keys_in_memory_go_on(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    """Signing continues from memory, logged and not ready, without rotation; it recovers after the fix.

    See docs/design/threats.md#fault-20.
    """
    folder = world.settings.keys.folder
    shutil.copytree(folder, tmp_path / "kept")
    before = world.published()
    harm(folder)
    assert world.follow() is False
    assert world.opens(world.token())
    assert world.published() == before
    status, parts = world.ready()
    assert (status, parts["keys"]) == (503, "ok")
    assert "the current files were rejected (keys" in parts["files"]
    assert "keeping the previous configuration" in caplog.text
    [rotator] = world.parts.rotators
    assert rotator.tick(datetime.now(UTC) + 30 * DAY) is None
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tmp_path / "kept", folder)
    assert world.follow() is True
    assert world.ready()[0] == 200


@pytest.mark.parametrize(
    ("active", "ca", "expected"),
    [
        pytest.param(DAY, DAY, "ok", id="both valid"),
        pytest.param(-DAY, DAY, "the signing certificate has expired, so registries refuse every token", id="key"),
        pytest.param(DAY, -DAY, "the token CA has expired, so registries refuse every token", id="CA"),
    ],
)
def test_readiness_ends_with_a_certificate(
    world: World, monkeypatch: pytest.MonkeyPatch, active: timedelta, ca: timedelta, expected: str
) -> None:
    """Metrics have the remaining times, and readiness names what has expired (docs/design/threats.md#threat-70)."""
    now, snapshot = datetime.now(UTC), world.snapshot
    ring = snapshot.issuer.ring
    ring = replace(ring, active=replace(ring.active, not_after=now + active), ca_not_after=now + ca)
    monkeypatch.setattr(snapshot.issuer, "ring", ring)
    status, parts = world.ready()
    assert (status, parts["keys"]) == (200 if expected == "ok" else 503, expected)
    found = world.parts.expiry(now)
    assert (found.active, found.ca) == (active.total_seconds(), ca.total_seconds())


def test_a_clock_far_behind_is_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of last year the certificate has not begun, and registries would refuse every token.

    See docs/design/threats.md#threat-111.
    """
    ring = world.snapshot.issuer.ring
    tomorrow = datetime.now(UTC) + DAY
    monkeypatch.setattr(world.snapshot.issuer, "ring", replace(ring, active=replace(ring.active, not_before=tomorrow)))
    status, parts = world.ready()
    assert (status, parts["keys"]) == (503, "the signing certificate is not valid yet, by this clock; is it right?")


def test_no_key_changes_by_a_clock_that_was_moved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that seems due may not be; the jump is reported, and the server stays ready.

    See docs/design/threats.md#fault-21.
    """
    [rotator] = world.parts.rotators
    later = datetime.now(UTC) + 30 * DAY
    monkeypatch.setattr(world.parts.clock, "_now", later.timestamp)
    assert rotator.tick(later) is None
    answer = world.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.get_json()["notes"]["clock"].startswith("jumped ahead by 2592000 s")
    monkeypatch.undo()
    assert rotator.tick(later) is not None
    assert "notes" not in world.client.get("/readyz").get_json()


def test_check_warns(world: World) -> None:
    """Obstacles to rotation are reported before the start, and an expiry within a week is urgent."""
    (world.settings.keys.folder / "token-ca.key").unlink()
    ring = world.snapshot.issuer.ring
    ending = replace(ring, active=replace(ring.active, not_after=datetime.now(UTC) + 6 * DAY))
    world.snapshot.issuer.ring = ending
    found = warnings(world.settings, world.snapshot)
    assert any(warning.startswith(f"urgent: the certificate of the signing key {ring.active.id}") for warning in found)
    assert any("token-ca.key is not here" in warning for warning in found)


@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [pytest.param("1h", 300, id="usual"), pytest.param("1m", 30, id="short"), pytest.param("2s", 1, id="shortest")],
)
def test_the_jwks_is_kept_for_less_than_a_key_is_announced(world: World, ahead: str, seconds: int) -> None:
    """Whoever caches it knows every key before it signs."""
    path = world.settings.keys.folder.parent / "tokenserver.yaml"
    path.write_text(CONFIG.replace("{rotate_every: 30d}", f"{{rotate_every: 30d, publish_ahead: {ahead}}}"))
    again = World(load_settings(path, {}))
    answer = again.client.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == f"public, max-age={seconds}"
