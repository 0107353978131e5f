"""The rotation of a running server: does what is due, stays out of the way of others, and never stops the signing."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.ring_operations import RingOperations
from tokenserver.keys.rotator import Rotator, rotation_warnings, watch_keys
from tokenserver.keys.schedule import RotationStep, Schedule
from tokenserver.keys.store import init_keys, load_keys

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SCHEDULE = Schedule(publish_ahead=HOUR, longest_token=HOUR, rotate_every=30 * DAY)


class World:
    """A folder of keys and a server's view of it, which is updated on request."""

    def __init__(self, folder: Path, schedule: Schedule) -> None:
        init_keys(folder, issuer="a", algorithm=Algorithm.ES256, now=NOW)
        self.changes = RingOperations(folder, "a", schedule, patience=0)
        self.blocked = False
        self.live = load_keys(folder, now=NOW)
        self.rotator = Rotator(self.changes, self.ring, is_blocked=lambda: self.blocked)

    def ring(self) -> KeyRing:
        return self.live

    def follow(self) -> None:
        self.live = load_keys(self.changes.folder, now=NOW, dates=False)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "keys", SCHEDULE)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_it_rotates(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Each step is performed when it is due, and logged; nothing happens in between."""
    caplog.set_level(logging.INFO)
    first = world.live.active.id
    steps = []
    for days in (0, 30, 31, 32, 33):
        steps.append(world.rotator.tick(NOW + days * DAY))
        world.follow()
    new = world.live.active.id
    assert steps == [None, RotationStep.PREPARE, RotationStep.SWITCH, RotationStep.FORGET, None]
    assert messages(caplog) == [
        f"created the signing key {new} and published it as next",
        f"the signing key {new} signs from now on",
        f"removed the retired signing key {first}, whose last token has expired",
    ]


def test_what_another_process_did_is_not_done_again(world: World) -> None:
    """This process has not followed yet; under the lock it sees that there is nothing to do."""
    assert world.rotator.tick(NOW + 30 * DAY) is RotationStep.PREPARE
    assert world.rotator.tick(NOW + 30 * DAY) is None
    world.follow()
    assert len(world.live.next) == 1


def test_it_does_not_wait_for_another_process(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has the lock does the work; that is no failure."""
    with KeyFolder(world.changes.folder).changing(patience=0):
        assert world.rotator.tick(NOW + 30 * DAY) is None
    assert messages(caplog) == []
    assert world.rotator.tick(NOW + 30 * DAY) is RotationStep.PREPARE


def test_it_changes_nothing_that_it_could_not_follow(world: World) -> None:
    """While the files are refused, this process would go on with the old key."""
    world.blocked = True
    assert world.rotator.tick(NOW + 30 * DAY) is None
    world.blocked = False
    assert world.rotator.tick(NOW + 30 * DAY) is RotationStep.PREPARE


def test_without_the_ca_key_it_says_what_to_do(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The CA key is kept elsewhere: a due key is reported once a day, and an imported one is switched to."""
    ca_key = KeyFolder(world.changes.folder).ca_key
    kept = ca_key.read_bytes()
    ca_key.unlink()
    due = NOW + 30 * DAY
    assert [world.rotator.tick(due + HOUR * number) for number in range(25)] == [None] * 25
    told = messages(caplog)
    assert len(told) == 2
    assert "token-ca.key is not here: run `tokenserver keys rotate --to FILE` where it is kept" in told[0]
    ca_key.touch(mode=0o600)
    ca_key.write_bytes(kept)
    world.changes.prepare(due)
    ca_key.unlink()
    world.follow()
    assert world.rotator.tick(due + HOUR) is RotationStep.SWITCH


@pytest.mark.parametrize(
    ("file", "told"),
    [
        pytest.param("token-ca.key", "token-ca.key: is not a private key in PEM", id="CA key"),
        pytest.param("ring.json", "ring.json:1:", id="ring"),
    ],
)
def test_a_failure_is_told_and_survived(world: World, caplog: pytest.LogCaptureFixture, file: str, told: str) -> None:
    """A step that fails is reported once an hour, and the current key stays."""
    before = world.live.active.id
    (world.changes.folder / file).write_text("garbage")
    moments = [NOW + 30 * DAY + timedelta(minutes=20 * number) for number in range(6)]
    assert [world.rotator.tick(moment) for moment in moments] == [None] * 6
    found = messages(caplog)
    assert len(found) == 2
    assert found[0] == found[1]
    assert found[0].startswith("rotation failed, keeping the current key: ")
    assert told in found[0]
    assert world.live.active.id == before


def test_an_unexpected_error_is_survived(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its type is logged, but not its text, which may contain anything."""

    def fails(_self: RingOperations, _now: datetime) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(RingOperations, "advance", fails)
    assert world.rotator.tick(NOW + 30 * DAY) is None
    assert messages(caplog) == ["rotation failed: unexpected RuntimeError"]


@pytest.mark.parametrize(
    ("left", "today", "tomorrow"),
    [
        pytest.param(32 * DAY, [], [], id="over a month"),
        pytest.param(31 * DAY, [], [logging.WARNING], id="a month"),
        pytest.param(30 * DAY, [logging.WARNING], [logging.WARNING], id="30 days"),
        pytest.param(8 * DAY, [logging.WARNING], [logging.ERROR], id="8 days"),
        pytest.param(7 * DAY, [logging.ERROR], [logging.ERROR], id="7 days"),
        pytest.param(-DAY, [logging.ERROR], [logging.ERROR], id="over"),
    ],
)
def test_ends_of_certificates_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, left: timedelta, today: list[int], tomorrow: list[int]
) -> None:
    """From 30 days on as a warning, from 7 on as an error, once a day and not at every look."""
    world = World(tmp_path / "keys", replace(SCHEDULE, rotate_every=None))
    now = world.live.active.not_after - left
    found = []
    for moment in (now, now + DAY):
        for _ in range(5):
            world.rotator.tick(moment)
        found.append([record.levelno for record in caplog.records])
        caplog.clear()
    assert found == [today, tomorrow]


def test_pinned_registries_wait_for_people(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server never switches by itself; when it is due, the log and `check` say what to do."""
    world = World(tmp_path / "keys", replace(SCHEDULE, pinned=True))
    made = world.changes.prepare(NOW).key_id
    world.follow()
    told = (
        f"the signing key {made} waits: when every registry that pins keys has it, switch to it with:"
        " tokenserver keys rotate"
    )
    assert world.rotator.tick(NOW + HOUR / 2) is None
    assert rotation_warnings(world.live, world.changes, NOW + HOUR / 2) == []
    assert messages(caplog) == []
    assert world.rotator.tick(NOW + HOUR) is None
    assert messages(caplog) == [told]
    assert rotation_warnings(world.live, world.changes, NOW + HOUR) == [told]


def test_check_says_what_keeps_keys_from_rotating(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing CA key, now or already due, and a folder that cannot be written."""
    assert rotation_warnings(world.live, world.changes, NOW) == []
    KeyFolder(world.changes.folder).ca_key.unlink()
    [soon] = rotation_warnings(world.live, world.changes, NOW)
    [late] = rotation_warnings(world.live, world.changes, NOW + 30 * DAY)
    assert soon == "rotate_every is set, but token-ca.key is not here: import new keys in time"
    assert late.startswith("a new signing key is due, but token-ca.key is not here: run")
    monkeypatch.setattr("tokenserver.keys.rotator.os.access", lambda _path, _mode: False)
    assert f"{world.changes.folder} is not writable: keys do not rotate here" in " ".join(
        rotation_warnings(world.live, world.changes, NOW)
    )


def test_the_watch_ticks_until_it_is_stopped() -> None:
    """Every rotator, again and again, with the time of now in UTC."""
    stop = threading.Event()
    seen: list[tuple[str, datetime]] = []

    class Fake:
        def __init__(self, name: str) -> None:
            self.name = name

        def tick(self, now: datetime) -> None:
            seen.append((self.name, now))
            if len(seen) == 4:
                stop.set()

    watch_keys([Fake("a"), Fake("b")], stop, every=0)  # type: ignore[list-item]  # a fake of the one method that is used
    assert [name for name, _ in seen] == ["a", "b", "a", "b"]
    assert {now.tzinfo for _, now in seen} == {UTC}
